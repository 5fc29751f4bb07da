using Dqlite.Raft;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Cluster;

/// <summary>What a single core must not do, whatever the others do: rules whose breach shows in the cluster only now and then.</summary>
internal sealed partial class Invariants
{
    private readonly List<(long Index, long Term, byte[] Payload)> _configurations = [];
    private readonly List<long> _committedAtNs = [0];
    private readonly Dictionary<(long Node, long Term), (long Term, long Index)> _preVotes = [];
    private byte[]? _founding;

    /// <summary>A node starts: it has the vote that it gave, and all that it acknowledged.</summary>
    private void CheckStart(SimNode node, RaftCore core, NodeView view)
    {
        if (view.Rot is { IsProven: true } rot && core.FirstIndex.Value <= rot.Index && core.LastIndex.Value < rot.Index)
        {
            Fail($"log: node {node.Number} starts with a log up to {core.LastIndex}; entry {rot.Index} is rotten, and later ones said that it was durable");
        }

        if (node.IsDamaged)
        {
            return;
        }

        if (_votes.TryGetValue((core.Id.Value, core.CurrentTerm.Value), out var vote) && core.VotedFor.Value != vote)
        {
            Fail($"votes: node {node.Number} starts in term {core.CurrentTerm} with a vote for {core.VotedFor}, and it voted for {vote}");
        }

        if (core.LastIndex.Value < view.MustHold)
        {
            Fail($"log: node {node.Number} starts with a log up to {core.LastIndex}, and it acknowledged {view.MustHold}");
        }
    }

    /// <summary>What the core asked for in one go.</summary>
    public void OnOutputs(SimNode node, RaftOutputs outputs)
    {
        var core = node.Node!.Core;
        var view = ViewOf(node);
        if (outputs.CommitIndex is { } commit && core.Role == RaftRole.Leader && core.TermAt(commit) != core.CurrentTerm)
        {
            Fail($"figure 8: leader {node.Number} of term {core.CurrentTerm} commits entry {commit} of term {core.TermAt(commit)}");
        }

        foreach (var entry in outputs.Appends)
        {
            if (entry.Kind == EntryKind.Configuration)
            {
                OnConfiguration(node, core, view, entry);
            }
        }
    }

    /// <summary>One change at a time, and none before an entry of the own term is committed (R21, R22); who is promoted has caught up (R26).</summary>
    private void OnConfiguration(SimNode node, RaftCore core, NodeView view, LogEntry entry)
    {
        _configurations.RemoveAll(known => known.Index == entry.Index.Value && known.Term == entry.Term.Value);
        _configurations.Add((entry.Index.Value, entry.Term.Value, entry.Payload.ToArray()));
        if (core.Role != RaftRole.Leader || entry.Term != core.CurrentTerm)
        {
            return;
        }

        if (core.TermAt(core.CommitIndex) != core.CurrentTerm)
        {
            Fail($"membership: leader {node.Number} changes it at {entry.Index} before an entry of its term {core.CurrentTerm} is committed");
        }

        if (view.ConfigurationIndex > view.Commit && view.ConfigurationIndex < entry.Index.Value && core.TermAt(new LogIndex(view.ConfigurationIndex)) is not null
            && view.ConfigurationIndex > core.CommitIndex.Value)
        {
            Fail($"membership: leader {node.Number} changes it at {entry.Index}, the change at {view.ConfigurationIndex} is not committed");
        }

        // What was committed while the leader stood still is not long ago for it.
        if (cluster.Scheduler.NowNs - node.ResumedAtNs > 2 * cluster.Shape.ElectionTimeoutNs)
        {
            CheckPromotion(node, core, entry);
        }
    }

    private void CheckPromotion(SimNode node, RaftCore core, LogEntry entry)
    {
        var before = ViewOf(node).Voters;
        var atNs = cluster.Scheduler.NowNs - (2 * cluster.Shape.ElectionTimeoutNs);
        var index = (int)Math.Min(_committedAtNs.Count - 1, core.CommitIndex.Value);
        while (index > 0 && _committedAtNs[index] > atNs)
        {
            index--;
        }

        foreach (var voter in ConfigurationCodec.Decode(entry.Payload.Span).Voters)
        {
            if (voter != core.Id && before is not null && !before.Contains(voter.Value)
                && cluster.Nodes.FirstOrDefault(other => other.Machine.NodeId == voter) is { } promoted && ViewOf(promoted).AcknowledgedIn(core.CurrentTerm.Value) < index)
            {
                Fail($"membership: leader {node.Number} promotes {voter} at {entry.Index}, which has acknowledged {ViewOf(promoted).AcknowledgedIn(core.CurrentTerm.Value)}, and {index} was committed long ago");
            }
        }
    }

    /// <summary>The membership in force is the last one of the node's own log (R23, R24, R25).</summary>
    private void CheckConfiguration(SimNode node, RaftCore core, NodeView view)
    {
        view.ConfigurationIndex = core.ConfigurationIndex.Value;
        view.Voters = [.. core.Configuration.Voters.Select(voter => voter.Value)];
        var expected = default((long Index, long Term, byte[]? Payload));
        foreach (var known in _configurations)
        {
            if (known.Index > expected.Index && known.Index <= core.LastIndex.Value && core.TermAt(new LogIndex(known.Index))?.Value == known.Term)
            {
                expected = known;
            }
        }

        var actual = ConfigurationCodec.Encode(core.Configuration);
        if (expected.Payload is null)
        {
            if (core.ConfigurationIndex.Value == 0 && core.Id.Value <= cluster.Shape.Voters)
            {
                _founding ??= actual;
                if (!_founding.AsSpan().SequenceEqual(actual))
                {
                    Fail($"membership: node {node.Number} has another founding membership");
                }
            }

            return;
        }

        if (expected.Index != core.ConfigurationIndex.Value || !expected.Payload.AsSpan().SequenceEqual(actual))
        {
            Fail($"membership: node {node.Number} goes by the one of index {core.ConfigurationIndex} ({core.Configuration.Members.Count} members), the last one of its log is at {expected.Index}");
        }
    }

    /// <summary>A vote stays what it is within its term (R3).</summary>
    private void CheckVote(SimNode node, RaftCore core, NodeView view)
    {
        var (term, vote) = (core.CurrentTerm.Value, core.VotedFor.Value);
        if (view.Vote.Term == term && view.Vote.For != 0 && view.Vote.For != vote)
        {
            Fail($"one vote per term: node {node.Number} voted for {view.Vote.For} in term {term}, and now its vote is {vote}");
        }

        view.Vote = (term, vote);
    }

    /// <summary>Only voters campaign (R11); transfers end in time (R41).</summary>
    private void CheckRole(SimNode node, RaftCore core, NodeView view)
    {
        if (core.Role != RaftRole.Follower && core.IsConfigurationCommitted && !core.Configuration.IsVoter(core.Id) && !view.WasVoter)
        {
            Fail($"node {node.Number} is {core.Role} in term {core.CurrentTerm} and no voter");
        }

        view.WasVoter = core.Configuration.IsVoter(core.Id);
        if (!core.IsTransferInProgress || node.Machine.IsPaused)
        {
            view.TransferTicks = 0;
            view.TransferSinceNs = null;
            return;
        }

        view.TransferSinceNs ??= node.Clock.LocalNs;
        view.TransferTicks++;
        if (node.Clock.LocalNs - view.TransferSinceNs > cluster.Shape.ElectionTimeoutNs + (6 * cluster.Shape.TickNs) && view.TransferTicks > 40
            && cluster.Scheduler.NowNs - node.ResumedAtNs > 2 * cluster.Shape.ElectionTimeoutNs)
        {
            Fail($"transfer: node {node.Number} has been handing over for {(node.Clock.LocalNs - view.TransferSinceNs) / 1_000_000} ms");
        }
    }

    /// <summary>When somebody begins to lead, nobody else has a lease (R37, R39).</summary>
    private void CheckLeases(SimNode node, RaftCore core)
    {
        foreach (var other in cluster.Running)
        {
            // One of an earlier term may win late, with votes that were long under way: nobody follows it.
            if (other != node && other.Node!.Core is { Role: RaftRole.Leader } deposed && deposed.CurrentTerm < core.CurrentTerm && deposed.LeaseDeadlineNs > other.Clock.LocalNs)
            {
                Fail($"lease: node {node.Number} leads term {core.CurrentTerm}, and node {other.Number} of term {deposed.CurrentTerm} has a lease for {deposed.LeaseDeadlineNs - other.Clock.LocalNs} ns more");
            }
        }
    }

    /// <summary>A voter grants a pre-vote only to a log that is not behind its own (R6).</summary>
    private void OnPreVote(SimNode node, PreVoteResponse response)
    {
        var core = node.Node!.Core;
        if (response.Granted && _preVotes.TryGetValue((response.To.Value, response.RequestTerm.Value), out var log)
            && (log.Term < core.LastTerm.Value || (log.Term == core.LastTerm.Value && log.Index < core.LastIndex.Value)))
        {
            Fail($"pre-vote: node {node.Number} with log ({core.LastIndex}, {core.LastTerm}) grants one to {response.To} with ({log.Index}, {log.Term})");
        }
    }

    private void OnPreVoteRequest(PreVoteRequest request)
    {
        var key = (request.From.Value, request.Term.Value);
        var log = (request.LastLogTerm.Value, request.LastLogIndex.Value);
        if (!_preVotes.TryGetValue(key, out var known) || known.CompareTo(log) < 0)
        {
            _preVotes[key] = log;
        }
    }

    /// <summary>Nobody is told to campaign before it has acknowledged everything (R41).</summary>
    private void OnTimeoutNow(SimNode node, TimeoutNow message)
    {
        var core = node.Node!.Core;
        var target = cluster.Nodes.FirstOrDefault(other => other.Machine.NodeId == message.To);
        if (core.Role == RaftRole.Leader && target is not null && ViewOf(target).AcknowledgedIn(core.CurrentTerm.Value) < message.LastLogIndex.Value)
        {
            Fail($"transfer: node {node.Number} tells {message.To} to campaign, which has acknowledged {ViewOf(target).AcknowledgedIn(core.CurrentTerm.Value)} of {message.LastLogIndex}");
        }
    }
}
