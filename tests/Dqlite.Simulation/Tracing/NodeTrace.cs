using System.Text.Json;
using Dqlite.Raft;

namespace Dqlite.Simulation.Tracing;

/// <summary>
/// Turns what one node's core does into lines of a trace. It compares the core before and after each input; where one input made several
/// transitions, the lines between them show the state as it was between them.
/// </summary>
internal sealed class NodeTrace(TraceWriter trace) : ICoreObserver
{
    private readonly TracedMemberships _memberships = new();
    private NodeView _view;
    private NodeId _id;
    private CoreInput? _input;

    // The own log counts from the first entry of the own term on, as in etcd/raft, where a leader acknowledges to itself.
    private LogIndex _selfAcknowledged;

    /// <inheritdoc/>
    public void OnStart(RaftCore core)
    {
        _id = core.Id;
        _input = null;
        _view = NodeView.Of(core);
        _memberships.Start(core);
        WriteNode("InitState");
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
        var ledTerm = _view.IsLeader ? _view.Term : Term.Zero;
        Follow(core, outputs.Messages);
        var isStillLeader = _view.IsLeader && _view.Term == ledTerm;
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
            WriteNode("Ready");
        }
    }

    /// <inheritdoc/>
    public void OnSnapshotSending(RaftCore core, NodeId to, LogIndex index)
    {
        var json = Begin(TraceWriter.CommonTag, TraceMessages.Snapshot.Send);
        TraceMessages.WriteSnapshot(json, _id, to, _view.Term, index);
        trace.End();
        WriteNode("Ready");
    }

    /// <summary>Writes what happened since the last call, in the order in which the core did it.</summary>
    private void Follow(RaftCore core, IReadOnlyList<RaftMessage> messages)
    {
        var next = NodeView.Of(core);
        WriteInput(core, next);
        if (_view.IsLeader && next.Term == _view.Term)
        {
            FollowLeader(core, next);
        }

        if (_view.IsLeader && !(next.IsLeader && next.Term == _view.Term))
        {
            // What it sent as a leader before it stepped down, in the same step (R27).
            foreach (var message in messages.Where(message => IsOfLeader(message, _view.Term)))
            {
                WriteSend(message);
            }
        }

        FollowRole(next);
        _view = _view with { Vote = next.Vote };
        if (next.IsLeader)
        {
            FollowLeader(core, next);
        }
        else
        {
            FollowFollower(next);
        }

        FollowMembership(core);
        _input = null;
    }

    private static bool IsOfLeader(RaftMessage message, Term term) =>
        message.Term == term && message is AppendEntriesRequest or HeartbeatRequest or TimeoutNow;

    private void WriteInput(RaftCore core, NodeView next)
    {
        switch (_input)
        {
            case { Kind: CoreInputKind.Message, Received: { } message }:
                WriteReceive(message, next);
                break;
            case { Kind: CoreInputKind.HardStatePersisted, State: var state }:
                WriteNode("Ready");
                if (_view.Role == RaftRole.Candidate && state == new HardState(_view.Term, _view.Vote))
                {
                    WriteMessage(TraceMessages.NamesOf(RaftMessageKind.VoteResponse).Receive, OwnVote());
                }

                break;
            case { Kind: CoreInputKind.EntriesPersisted }:
                WriteNode("Ready");
                if (_view.IsLeader && core.PersistedIndex > _selfAcknowledged)
                {
                    _selfAcknowledged = core.PersistedIndex;
                    WriteMessage(TraceMessages.NamesOf(RaftMessageKind.AppendEntriesResponse).Receive, OwnAcknowledgement(_selfAcknowledged));
                }

                break;
            case { Kind: CoreInputKind.SnapshotInstalled } snapshot:
                var json = Begin(TraceWriter.CommonTag, TraceMessages.Snapshot.Receive);
                TraceMessages.WriteSnapshot(json, snapshot.Peer, _id, snapshot.Term, snapshot.Index);
                trace.End();
                break;
            default:
                break; // seen by its effects
        }
    }

    /// <summary>A leader's commit index and log only grow.</summary>
    private void FollowLeader(RaftCore core, NodeView next)
    {
        if (next.Commit > _view.Commit)
        {
            _view = _view with { Commit = next.Commit };
            WriteNode("Commit");
        }

        while (_view.Last < next.Last)
        {
            _view = _view with { Last = _view.Last.Next };
            if (core.ConfigurationIndex == _view.Last)
            {
                WriteChange(core);
            }
            else
            {
                WriteNode("Replicate");
            }

            WriteMessage(TraceMessages.NamesOf(RaftMessageKind.AppendEntriesResponse).Send, OwnAcknowledgement(_view.Last));
        }
    }

    private void FollowRole(NodeView next)
    {
        var isCampaign = next.Role == RaftRole.Candidate && next.Term > _view.Term;
        if (isCampaign)
        {
            _view = _view with { Term = next.Term, Vote = _id, Role = RaftRole.Candidate };
            WriteNode("BecomeCandidate");
            WriteMessage(TraceMessages.NamesOf(RaftMessageKind.VoteResponse).Send, OwnVote());
        }
        else if (next.Term > _view.Term)
        {
            _view = _view with { Term = next.Term, Vote = NodeId.None, Role = RaftRole.Follower };
            WriteNode("BecomeFollower");
        }

        if (next.Role != _view.Role)
        {
            FollowRoleWithinTerm(next.Role);
        }
    }

    private void FollowRoleWithinTerm(RaftRole next)
    {
        var isStepDown = _view.Role is RaftRole.Leader or RaftRole.Candidate && next is RaftRole.Follower or RaftRole.PreCandidate;
        if (isStepDown)
        {
            _view = _view with { Role = RaftRole.Follower };
            WriteNode("BecomeFollower");
        }

        switch (next)
        {
            case RaftRole.Leader:
                _view = _view with { Role = next };
                _selfAcknowledged = _view.Last;
                WriteNode("BecomeLeader");
                break;
            case RaftRole.PreCandidate:
                _view = _view with { Role = next };
                WriteNode("BecomePreCandidate", TraceWriter.OwnTag);
                break;
            case RaftRole.Follower when !isStepDown:
                _view = _view with { Role = next };
                WriteNode("BecomeFollower", TraceWriter.OwnTag);
                break;
            default:
                break;
        }
    }

    private void FollowFollower(NodeView next)
    {
        var isCommit = next.Commit > _view.Commit;
        _view = next;
        if (isCommit)
        {
            // etcd/raft traces the leader's alone.
            WriteNode("Commit", TraceWriter.OwnTag);
        }
    }

    private void FollowMembership(RaftCore core)
    {
        if (_memberships.Follow(core))
        {
            WriteMembership("AdoptConf", TraceWriter.OwnTag, core.Configuration);
        }

        if (_memberships.Reached(_view.Commit) is { } committed)
        {
            WriteMembership("ApplyConfChange", TraceWriter.CommonTag, committed);
            _memberships.Commit(committed);
        }
    }

    private void WriteReceive(RaftMessage message, NodeView next)
    {
        var names = TraceMessages.NamesOf(message.Kind);
        if (message is VoteRequest && message.Term > _view.Term && next.Term == _view.Term)
        {
            // A live leader's follower does not even adopt the term (dissertation section 4.2.3), as if it had not arrived.
            WriteMessage("IgnoreRequestVoteRequest", message, TraceWriter.OwnTag);
        }
        else
        {
            WriteMessage(names.Receive, message, names.Tag);
        }
    }

    private void WriteSend(RaftMessage message)
    {
        var names = TraceMessages.NamesOf(message.Kind);
        WriteMessage(names.Send, message, names.Tag);
    }

    private void WriteChange(RaftCore core)
    {
        var before = _memberships.InForce;
        _memberships.Follow(core);
        var json = Begin(TraceWriter.CommonTag, "ChangeConf");
        TracedMemberships.WriteStep(json, before, core.Configuration);
        trace.End();
    }

    private void WriteMembership(string name, string tag, ClusterConfiguration next)
    {
        var json = Begin(tag, name);
        TracedMemberships.WriteNew(json, next);
        trace.End();
    }

    private void WriteMessage(string name, RaftMessage message, string tag = TraceWriter.CommonTag)
    {
        var json = Begin(tag, name);
        TraceMessages.Write(json, message);
        trace.End();
    }

    private void WriteNode(string name, string tag = TraceWriter.CommonTag)
    {
        Begin(tag, name);
        trace.End();
    }

    private Utf8JsonWriter Begin(string tag, string name)
    {
        var json = trace.Begin(tag);
        json.WriteString("name", name);
        json.WriteString("nid", TraceMessages.Text(_id));
        json.WriteStartObject("state");
        json.WriteNumber("term", _view.Term.Value);
        json.WriteString("vote", TraceMessages.Text(_view.Vote));
        json.WriteNumber("commit", _view.Commit.Value);
        json.WriteEndObject();
        json.WriteString("role", RoleName(tag));
        json.WriteNumber("log", _view.Last.Value);
        _memberships.Write(json);
        return json;
    }

    /// <summary>etcd/raft's specification has no pre-vote, which changes nothing that it knows: there a pre-candidate is a follower.</summary>
    private string RoleName(string tag) => _view.Role switch
    {
        RaftRole.PreCandidate when tag == TraceWriter.OwnTag => "StatePreCandidate",
        RaftRole.Follower or RaftRole.PreCandidate => "StateFollower",
        RaftRole.Candidate => "StateCandidate",
        RaftRole.Leader => "StateLeader",
        _ => throw new InvalidOperationException($"Unknown role {_view.Role}."),
    };

    private VoteResponse OwnVote() => new(_id, _id, _view.Term, Granted: true);

    private AppendEntriesResponse OwnAcknowledgement(LogIndex index) =>
        new(_id, _id, _view.Term, true, index, LogIndex.Zero, Term.Zero, LogIndex.Zero, 0, 0);
}
