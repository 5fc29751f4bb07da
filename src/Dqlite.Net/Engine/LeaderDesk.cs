using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>
/// Carries requests to the leader, wherever it is, and serves them where this node leads. Belongs to the loop, except
/// <see cref="AskAsync"/>. Every operation may be asked twice: a request whose answer was lost is repeated.
/// </summary>
internal sealed class LeaderDesk(NodeContext node)
{
    /// <summary>Ids of members of a founding list stay below this; later ones are this plus the index of their entry, so none is used twice.</summary>
    public const long JoinedNodeIdBase = 100;

    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(5);

    private readonly SortedDictionary<long, PendingAsk> _asks = [];
    private long _nextRequest;

    /// <summary>Any thread: asks the leader until it answers, a refusal comes, or the time is up.</summary>
    /// <exception cref="DqliteException">Refused, or (transient) no leader in time.</exception>
    public async Task<LeaderReply> AskAsync(LeaderRequest request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timer.CancelAfter(timeout);
        var last = "no leader is known";
        while (true)
        {
            var reply = await AskOnceInTimeAsync(request, timer.Token).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            switch (reply.Status)
            {
                case LeaderStatus.Done:
                    return reply;
                case LeaderStatus.Refused:
                    throw new DqliteException(reply.Text, 1, false, node.LeaderAddress);
                case LeaderStatus.NotLeader:
                    break;
                case LeaderStatus.Retry:
                    last = reply.Text;
                    break;
                default:
                    throw new InvalidDataException($"A leader answered with the unknown status {reply.Status}.");
            }

            try
            {
                await Task.Delay(node.Options.TickInterval * 3, node.Time, timer.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw DqliteErrors.Transient(Dqlite.Sqlite.ShimResult.NotLeader, $"{request.Operation} did not end within {timeout.TotalSeconds:0.#} s: {last}.", node.LeaderAddress);
            }
        }
    }

    /// <summary>
    /// Any thread: asks through another member, on a connection of its own. For the removal of this node: the others drop it as a peer with the
    /// entry that removes it, so it would hear neither the answer nor the commit.
    /// </summary>
    /// <exception cref="DqliteException">Refused, or (transient) nobody did it in time.</exception>
    public async Task AskThroughOthersAsync(LeaderRequest request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var self = new Hello("", NodeId.None, node.Metadata.Identity.Incarnation, node.Address, PeerPurpose.Rpc);
        var options = new TransportOptions { AllowInsecureNonLoopback = node.Options.AllowInsecureNonLoopback };
        var others = node.Status.Configuration.Members.Where(member => member.Id != node.Core.Id).ToArray();
        var last = "no other member answered";
        var began = node.Time.GetTimestamp();
        for (var i = 0; node.Time.GetElapsedTime(began) < timeout; i++)
        {
            try
            {
                var message = new NodeMessage(LeaderRequest.MessageKind, 1, request.Encode());
                var answer = await PeerClient.CallAsync(others[i % others.Length].Address, self, message, 2 * AnswerTimeout, options, cancellationToken).ConfigureAwait(false);
                var reply = LeaderReply.Decode(answer.Response.Body);
                if (reply.Status == LeaderStatus.Done)
                {
                    return;
                }

                last = reply.Status == LeaderStatus.Refused ? throw new DqliteException(reply.Text, 1, false, node.LeaderAddress) : reply.Text;
            }
            catch (Exception exception) when (PeerClient.IsUnreachable(exception))
            {
                last = exception.Message;
            }

            await Task.Delay(node.Options.TickInterval * 3, node.Time, cancellationToken).ConfigureAwait(false);
        }

        throw DqliteErrors.Transient(Dqlite.Sqlite.ShimResult.NotLeader, $"{request.Operation} did not end within {timeout.TotalSeconds:0.#} s: {last}.", node.LeaderAddress);
    }

    /// <summary>Loop: a request or an answer of a peer.</summary>
    public void OnMessage(NodeId from, NodeMessage message, long nowNs, RaftOutputs outputs)
    {
        try
        {
            Dispatch(from, message, nowNs, outputs);
        }
        catch (Exception exception) when (exception is InvalidDataException or MessagePackSerializationException)
        {
            // Of another version, or damaged: the asker repeats it or gives up. A peer must not be able to stop this node.
            node.Log.UnexpectedMessage(from.Value, message.Kind);
        }
    }

    private void Dispatch(NodeId from, NodeMessage message, long nowNs, RaftOutputs outputs)
    {
        switch (message.Kind)
        {
            case LeaderRequest.MessageKind:
                Serve(LeaderRequest.Decode(message.Body), nowNs, outputs, reply => node.Transport?.Send(from, new NodeMessage(LeaderReply.MessageKind, message.RequestId, reply.Encode())));
                break;
            case LeaderReply.MessageKind when _asks.Remove(message.RequestId, out var ask):
                ask.Completion.TrySetResult(LeaderReply.Decode(message.Body));
                break;
            case InstallMessages.AckKind:
                node.Installs.OnAck(from, message);
                break;
            default:
                // An answer that came too late, or a message of a newer version: neither has an effect here.
                node.Log.UnexpectedMessage(from.Value, message.Kind);
                break;
        }
    }

    /// <summary>Loop: answers a request if this node leads.</summary>
    public void Serve(LeaderRequest request, long nowNs, RaftOutputs outputs, Action<LeaderReply> reply)
    {
        var isOpen = node.Replicator.IsOpen;
#if MUTANTS
        isOpen |= Mutant.Is("R21") && node.Core.Role == RaftRole.Leader
            && request.Operation is LeaderOperation.AddMember or LeaderOperation.Promote or LeaderOperation.Demote or LeaderOperation.Remove;
#endif
        if (!isOpen)
        {
            reply(new LeaderReply(LeaderStatus.NotLeader, Text: node.LeaderAddress ?? ""));
            return;
        }

        if (request.FindProblem() is { } problem)
        {
            reply(new LeaderReply(LeaderStatus.Refused, Text: problem));
            return;
        }

        switch (request.Operation)
        {
            case LeaderOperation.CreateDatabase:
                CreateDatabase(request, nowNs, outputs, reply);
                break;
            case LeaderOperation.DropDatabase:
                DropDatabase(request, nowNs, outputs, reply);
                break;
            case LeaderOperation.Transfer:
                Transfer(new NodeId(request.NodeId), nowNs, outputs, reply);
                break;
            case LeaderOperation.AddMember:
            case LeaderOperation.Promote:
            case LeaderOperation.Demote:
            case LeaderOperation.Remove:
                ChangeMembership(request, nowNs, outputs, reply);
                break;
            default:
                reply(new LeaderReply(LeaderStatus.Refused, Text: $"The leader does not know the operation {(byte)request.Operation}: it runs an older version."));
                break;
        }
    }

    /// <summary>Loop: leadership changed: whoever asked another node asks again.</summary>
    public void OnStateChanged()
    {
        foreach (var (id, ask) in _asks.Where(pair => pair.Value.Leader != node.Core.Leader).ToArray())
        {
            _asks.Remove(id);
            ask.Completion.TrySetResult(new LeaderReply(LeaderStatus.NotLeader));
        }
    }

    /// <summary>Loop: the node stops.</summary>
    public void Stop(Exception reason)
    {
        foreach (var ask in _asks.Values)
        {
            ask.Completion.TrySetException(reason);
        }

        _asks.Clear();
    }

    /// <summary>An answer that does not come (the request was lost, or nothing can be committed now) is one to ask for again.</summary>
    private async Task<LeaderReply> AskOnceInTimeAsync(LeaderRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await node.UntilEndedAsync(AskOnceAsync(request)).WaitAsync(AnswerTimeout, node.Time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            return new LeaderReply(LeaderStatus.Retry, Text: "the leader did not answer in time");
        }
        catch (OperationCanceledException)
        {
            return new LeaderReply(LeaderStatus.Retry, Text: "the leader did not answer in time");
        }
    }

    private Task<LeaderReply> AskOnceAsync(LeaderRequest request)
    {
        var completion = new TaskCompletionSource<LeaderReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!node.Call((nowNs, outputs) => Ask(request, nowNs, outputs, completion)))
        {
            completion.TrySetException(node.StoppedError());
        }

        return completion.Task;
    }

    /// <summary>Loop: asks the leader, once; a lost answer never comes.</summary>
    public void Ask(LeaderRequest request, long nowNs, RaftOutputs outputs, TaskCompletionSource<LeaderReply> completion)
    {
        var leader = node.Core.Leader;
        if (leader == node.Core.Id)
        {
            Serve(request, nowNs, outputs, reply => completion.TrySetResult(reply));
            return;
        }

        var id = ++_nextRequest;
        if (leader == NodeId.None || node.Transport?.Send(leader, new NodeMessage(LeaderRequest.MessageKind, id, request.Encode())) != true)
        {
            completion.TrySetResult(new LeaderReply(LeaderStatus.NotLeader));
            return;
        }

        _asks.Add(id, new PendingAsk(leader, completion));
    }

    private void CreateDatabase(LeaderRequest request, long nowNs, RaftOutputs outputs, Action<LeaderReply> reply)
    {
        var existing = node.Databases.FindByName(request.Name);
        if (existing is not null)
        {
            reply(request.Published && existing.IsPublished
                ? new LeaderReply(LeaderStatus.Done, existing.Id)
                : new LeaderReply(LeaderStatus.Refused, Text: existing.IsPublished
                    ? $"A database named '{request.Name}' exists already; choose another name or drop it first."
                    : $"A database named '{request.Name}' is being imported; wait for the import or drop it."));
            return;
        }

        Propose(EntryCodec.Create(request.Name, request.PageSize, request.AutoVacuum, request.Published), nowNs, outputs, reply);
    }

    private void DropDatabase(LeaderRequest request, long nowNs, RaftOutputs outputs, Action<LeaderReply> reply)
    {
        // By id: a request that is asked again must not drop another database that took the name meanwhile.
        var existing = node.Databases.All.FirstOrDefault(database => database.Id == request.DatabaseId);
        if (existing is null)
        {
            reply(new LeaderReply(LeaderStatus.Done, node.Applier.LastApplied.Value));
            return;
        }

        var result = node.Databases.ProposeDrop(existing, nowNs, outputs);
        WhenCommitted(result, new LeaderReply(LeaderStatus.Done, result.Index.Value), reply);
    }

    private void Propose(byte[] payload, long nowNs, RaftOutputs outputs, Action<LeaderReply> reply)
    {
        var result = node.Core.Propose(node.Core.CurrentTerm, payload, nowNs, outputs);
        WhenCommitted(result, new LeaderReply(LeaderStatus.Done, result.Index.Value), reply);
    }

    private void WhenCommitted(ProposalResult result, LeaderReply done, Action<LeaderReply> reply)
    {
        if (result.Refusal != RefusalReason.None)
        {
            reply(Refuse(result.Refusal));
            return;
        }

        node.Applier.WhenApplied(result.Index, result.Term, own => reply(own ? done : new LeaderReply(LeaderStatus.Retry, Text: "leadership changed")));
    }

    private void ChangeMembership(LeaderRequest request, long nowNs, RaftOutputs outputs, Action<LeaderReply> reply)
    {
        var isCommitted = node.Core.IsConfigurationCommitted;
#if MUTANTS
        isCommitted |= Mutant.Is("R22");
#endif
        if (!isCommitted)
        {
            // What is in force may still be rolled back: nothing is answered from it.
            reply(Refuse(RefusalReason.ChangeInProgress));
            return;
        }

        var current = node.Core.Configuration;
        var id = new NodeId(request.NodeId);
        var member = request.Operation == LeaderOperation.AddMember
            ? current.Members.FirstOrDefault(other => other.Address == request.Address)
            : current.Find(id);
        if (request.Operation == LeaderOperation.AddMember)
        {
            AddMember(request, member, nowNs, outputs, reply);
            return;
        }

        if (member is null)
        {
            reply(request.Operation == LeaderOperation.Remove
                ? new LeaderReply(LeaderStatus.Done)
                : new LeaderReply(LeaderStatus.Refused, Text: $"Node {id} is not a member."));
            return;
        }

        var wanted = request.Operation == LeaderOperation.Promote ? MemberRole.Voter : MemberRole.NonVoter;
        if (request.Operation != LeaderOperation.Remove && member.Role == wanted)
        {
            reply(new LeaderReply(LeaderStatus.Done));
            return;
        }

        var mustHandOver = id == node.Core.Id && current.Voters.Count > 1;
#if MUTANTS
        mustHandOver &= !Mutant.Is("R27");
#endif
        if (mustHandOver)
        {
            // A leaving leader hands over first; the new leader then carries out the change.
            var refusal = node.Core.TransferLeadership(NodeId.None, nowNs, outputs);
            reply(new LeaderReply(LeaderStatus.Retry, Text: $"handing leadership over ({refusal})"));
            return;
        }

        var next = request.Operation == LeaderOperation.Remove ? current.Without(id) : current.With(member with { Role = wanted });
        WhenCommitted(node.Core.ProposeConfiguration(next, nowNs, outputs), new LeaderReply(LeaderStatus.Done), reply);
    }

    private void AddMember(LeaderRequest request, ClusterMember? known, long nowNs, RaftOutputs outputs, Action<LeaderReply> reply)
    {
        if (known is not null && known.Incarnation != request.Incarnation)
        {
            reply(new LeaderReply(LeaderStatus.Refused, Text:
                $"Node {known.Id} at {request.Address} is a member with another data directory: remove it with Cluster.RemoveAsync({known.Id}), then join again."));
            return;
        }

        var id = known?.Id ?? new NodeId(JoinedNodeIdBase + node.Core.LastIndex.Value + 1);
        var next = known is null ? node.Core.Configuration.With(new ClusterMember(id, request.Address, request.Incarnation, MemberRole.NonVoter)) : node.Core.Configuration;
        var done = new LeaderReply(LeaderStatus.Done, NodeId: id.Value, ClusterId: node.ClusterId, Configuration: ConfigurationCodec.Encode(next));
        if (known is not null)
        {
            reply(done);
            return;
        }

        WhenCommitted(node.Core.ProposeConfiguration(next, nowNs, outputs), done, reply);
    }

    private void Transfer(NodeId target, long nowNs, RaftOutputs outputs, Action<LeaderReply> reply)
    {
        if (target == node.Core.Id)
        {
            reply(new LeaderReply(LeaderStatus.Done));
            return;
        }

        var refusal = node.Core.TransferLeadership(target, nowNs, outputs);
        reply(refusal is RefusalReason.None ? new LeaderReply(LeaderStatus.Done) : Refuse(refusal));
    }

    private LeaderReply Refuse(RefusalReason reason) => reason switch
    {
        RefusalReason.NotLeader or RefusalReason.OtherTerm => new LeaderReply(LeaderStatus.NotLeader, Text: node.LeaderAddress ?? ""),
        RefusalReason.TransferInProgress => new LeaderReply(LeaderStatus.Retry, Text: "leadership is being handed over"),
        RefusalReason.TermNotCommitted => new LeaderReply(LeaderStatus.Retry, Text: "the leader has just been elected"),
        RefusalReason.ChangeInProgress => new LeaderReply(LeaderStatus.Retry, Text: "another membership change is on its way"),
        RefusalReason.NotCaughtUp => new LeaderReply(LeaderStatus.Retry, Text: "the node has not caught up yet"),
        RefusalReason.InvalidChange => new LeaderReply(LeaderStatus.Refused, Text: "That change of the membership is not possible: it would leave no voter, or changes more than one member."),
        RefusalReason.InvalidTarget => new LeaderReply(LeaderStatus.Refused, Text: "That node is not a voter of this cluster that leadership can go to."),
        RefusalReason.None => throw new InvalidOperationException("Not a refusal."),
        _ => throw new InvalidOperationException($"Unknown refusal {reason}."),
    };

    private sealed record PendingAsk(NodeId Leader, TaskCompletionSource<LeaderReply> Completion);
}
