using Dqlite.Raft;

namespace Dqlite.Simulation.Tracing;

/// <summary>
/// Turns what one node's core does into lines of a trace. It compares the core before and after each input; where one input made several
/// transitions, the lines between them show the state as it was between them.
/// </summary>
internal sealed class NodeTrace(TraceWriter trace) : ICoreObserver
{
    private static readonly TracedKind Vote = TraceMessages.NamesOf(RaftMessageKind.VoteResponse);
    private static readonly TracedKind Acknowledgement = TraceMessages.NamesOf(RaftMessageKind.AppendEntriesResponse);

    private readonly EventLines _lines = new(trace);
    private CoreInput? _input;

    // A leader's own log counts from the first entry of its term on, as in etcd/raft, where it acknowledges to itself.
    private LogIndex _ownAcknowledged;

    private NodeView View
    {
        get => _lines.View;
        set => _lines.View = value;
    }

    /// <inheritdoc/>
    public void OnStart(RaftCore core)
    {
        _input = null;
        _lines.Id = core.Id;
        View = NodeView.Of(core);
        _lines.Memberships.Start(core);
        _lines.Write("InitState");
    }

    /// <inheritdoc/>
    public void OnInput(RaftCore core, in CoreInput input)
    {
        if (_input is not null)
        {
            Follow(core, []);
        }

        _input = input;
    }

    /// <inheritdoc/>
    public void OnOutputs(RaftCore core, RaftOutputs outputs)
    {
        var ledTerm = View.IsLeader ? View.Term : Term.Zero;
        Follow(core, outputs.Messages);
        var isStillLeader = View.IsLeader && View.Term == ledTerm;
        var isReady = false;
        foreach (var message in outputs.Messages)
        {
            isReady |= TraceMessages.NamesOf(message.Kind).Tag == TraceWriter.CommonTag;
            if (isStillLeader || !IsOfLeader(message, ledTerm))
            {
                WriteSend(message);
            }
        }

        if (isReady)
        {
            _lines.Write("Ready");
        }
    }

    /// <inheritdoc/>
    public void OnSnapshotSending(RaftCore core, NodeId to, LogIndex index)
    {
        _lines.WriteSnapshot(TraceMessages.Snapshot.Send, core.Id, to, core.CurrentTerm, index);
        _lines.Write("Ready");
    }

    /// <summary>Writes what happened since the last call, in the order in which the core did it.</summary>
    private void Follow(RaftCore core, IReadOnlyList<RaftMessage> messages)
    {
        var next = NodeView.Of(core);
        WriteInput(core, next);
        _input = null;
        if (View.IsLeader && next.Term == View.Term)
        {
            FollowLeader(core, next);
        }

        if (View.IsLeader && !(next.IsLeader && next.Term == View.Term))
        {
            // What it sent as a leader before it stepped down, in the same step (R27).
            foreach (var message in messages.Where(message => IsOfLeader(message, View.Term)))
            {
                WriteSend(message);
            }
        }

        FollowRole(next);
        View = View with { Vote = next.Vote };
        if (next.IsLeader)
        {
            FollowLeader(core, next);
        }
        else
        {
            FollowFollower(next);
        }

        FollowMembership(core);
    }

    private void WriteInput(RaftCore core, NodeView next)
    {
        switch (_input)
        {
            case { Kind: CoreInputKind.Message, Received: { } message }:
                WriteReceive(message, next);
                break;
            case { Kind: CoreInputKind.HardStatePersisted, State: var state }:
                _lines.Write("Ready");
                if (View.Role == RaftRole.Candidate && state == new HardState(View.Term, View.Vote))
                {
                    _lines.WriteMessage(Vote.Receive, OwnVote());
                }

                break;
            case { Kind: CoreInputKind.EntriesPersisted }:
                _lines.Write("Ready");
                if (View.IsLeader && core.PersistedIndex > _ownAcknowledged)
                {
                    _ownAcknowledged = core.PersistedIndex;
                    _lines.WriteMessage(Acknowledgement.Receive, OwnAcknowledgement(_ownAcknowledged));
                }

                break;
            case { Kind: CoreInputKind.SnapshotInstalled } snapshot:
                _lines.WriteSnapshot(TraceMessages.Snapshot.Receive, snapshot.Peer, core.Id, snapshot.Term, snapshot.Index);
                break;
            default:
                break; // seen by its effects
        }
    }

    /// <summary>A leader's commit index and log only grow.</summary>
    private void FollowLeader(RaftCore core, NodeView next)
    {
        if (next.Commit > View.Commit)
        {
            View = View with { Commit = next.Commit };
            _lines.Write("Commit");
        }

        while (View.Last < next.Last)
        {
            View = View with { Last = View.Last.Next };
            if (core.ConfigurationIndex == View.Last)
            {
                var before = _lines.Memberships.InForce;
                _lines.Memberships.Follow(core);
                _lines.WriteChange(before);
            }
            else
            {
                _lines.Write("Replicate");
            }

            _lines.WriteMessage(Acknowledgement.Send, OwnAcknowledgement(View.Last));
        }
    }

    private void FollowRole(NodeView next)
    {
        if (next.Role == RaftRole.Candidate && next.Term > View.Term)
        {
            View = View with { Term = next.Term, Vote = next.Vote, Role = RaftRole.Candidate };
            _lines.Write("BecomeCandidate");
            _lines.WriteMessage(Vote.Send, OwnVote());
        }
        else if (next.Term > View.Term)
        {
            View = View with { Term = next.Term, Vote = NodeId.None, Role = RaftRole.Follower };
            _lines.Write("BecomeFollower");
        }

        if (next.Role != View.Role)
        {
            FollowRoleWithinTerm(next.Role);
        }
    }

    private void FollowRoleWithinTerm(RaftRole next)
    {
        var isStepDown = View.Role is RaftRole.Leader or RaftRole.Candidate && next is RaftRole.Follower or RaftRole.PreCandidate;
        if (isStepDown)
        {
            View = View with { Role = RaftRole.Follower };
            _lines.Write("BecomeFollower");
        }

        View = View with { Role = next };
        switch (next)
        {
            case RaftRole.Leader:
                _ownAcknowledged = View.Last;
                _lines.Write("BecomeLeader");
                break;
            case RaftRole.PreCandidate:
                _lines.Write("BecomePreCandidate", TraceWriter.OwnTag);
                break;
            case RaftRole.Follower when !isStepDown:
                _lines.Write("BecomeFollower", TraceWriter.OwnTag);
                break;
            default:
                break; // told already
        }
    }

    private void FollowFollower(NodeView next)
    {
        var isCommit = next.Commit > View.Commit;
        View = next;
        if (isCommit)
        {
            // etcd/raft traces the leader's alone.
            _lines.Write("Commit", TraceWriter.OwnTag);
        }
    }

    private void FollowMembership(RaftCore core)
    {
        if (_lines.Memberships.Follow(core))
        {
            _lines.WriteMembership("AdoptConf", TraceWriter.OwnTag, core.Configuration);
        }

        if (_lines.Memberships.Reached(View.Commit) is { } committed)
        {
            _lines.WriteMembership("ApplyConfChange", TraceWriter.CommonTag, committed);
            _lines.Memberships.Commit(committed);
        }
    }

    private void WriteReceive(RaftMessage message, NodeView next)
    {
        if (message is VoteRequest && message.Term > View.Term && next.Term == View.Term)
        {
            // A live leader's follower does not even adopt the term (dissertation section 4.2.3), as if it had not arrived.
            _lines.WriteMessage("IgnoreRequestVoteRequest", message, TraceWriter.OwnTag);
            return;
        }

        var names = TraceMessages.NamesOf(message.Kind);
        _lines.WriteMessage(names.Receive, message, names.Tag);
    }

    private void WriteSend(RaftMessage message)
    {
        var names = TraceMessages.NamesOf(message.Kind);
        _lines.WriteMessage(names.Send, message, names.Tag);
    }

    private static bool IsOfLeader(RaftMessage message, Term term) =>
        message.Term == term && message is AppendEntriesRequest or HeartbeatRequest or TimeoutNow;

    private VoteResponse OwnVote() => new(_lines.Id, _lines.Id, View.Term, Granted: true);

    private AppendEntriesResponse OwnAcknowledgement(LogIndex index) =>
        new(_lines.Id, _lines.Id, View.Term, true, index, LogIndex.Zero, Term.Zero, LogIndex.Zero, 0, 0);
}
