namespace Dqlite.Raft;

/// <summary>Leadership: proposals, heartbeats, check-quorum and commit (Raft section 5.4).</summary>
public sealed partial class RaftCore
{
    private readonly List<Peer> _peers = [];
    private readonly Func<NodeId, long> _matchOf;
    private readonly Func<NodeId, long> _echoOf;
    private readonly Func<NodeId, long> _confirmedReadOf;
    private LogIndex _termStartIndex;
    private LogIndex _urgentCommit;
    private int _heartbeatTicks;

    /// <summary>Whether this node leads and an entry of its own term is committed: before that it knows neither what is committed
    /// (R12, R35) nor which membership is (R21).</summary>
    public bool IsTermCommitted => Role == RaftRole.Leader && CommitIndex >= _termStartIndex;

    /// <summary>A leader's view of a member; null when this node does not lead or the node is not another member.</summary>
    /// <param name="peer">The member.</param>
    public PeerProgress? ProgressOf(NodeId peer) => Find(peer) is { } progress
        ? new PeerProgress(progress.MatchIndex, progress.NextIndex, progress.State, _connected.Contains(peer), progress.InflightMessages,
            progress.TicksSinceContact)
        : null;

    /// <summary>Appends an application entry to the log of the leader.</summary>
    /// <param name="expectedTerm">The term in which the payload was made; another current term refuses it, without effect.</param>
    /// <param name="payload">The bytes; not kept by the core.</param>
    /// <param name="nowNs">Monotonic time in nanoseconds.</param>
    /// <param name="outputs">What is to be done is added to it.</param>
    public ProposalResult Propose(Term expectedTerm, ReadOnlyMemory<byte> payload, long nowNs, RaftOutputs outputs)
    {
        Begin(nowNs, outputs);
        var refusal = Role != RaftRole.Leader ? RefusalReason.NotLeader
            : expectedTerm != CurrentTerm ? RefusalReason.OtherTerm
            : IsTransferInProgress ? RefusalReason.TransferInProgress
            : RefusalReason.None;
        return refusal == RefusalReason.None ? AppendAsLeader(EntryKind.Application, payload, outputs) : new(refusal, LogIndex.Zero, Term.Zero);
    }

    /// <summary>The disk is failing or a majority's checksum differs: a leader steps down, in the same term and with its vote (R3, R20).
    /// It asks the best follower to campaign at once.</summary>
    /// <param name="nowNs">Monotonic time in nanoseconds.</param>
    /// <param name="outputs">What is to be done is added to it.</param>
    public void StepDown(long nowNs, RaftOutputs outputs)
    {
        Begin(nowNs, outputs);
#if MUTANTS
        if (Mutant.Is("R20b"))
        {
            return;
        }
#endif
        if (Role == RaftRole.Leader)
        {
            HandOver(outputs);
        }
    }

    private void BecomeLeader(RaftOutputs outputs)
    {
        SetRole(RaftRole.Leader, outputs);
        SetLeader(Id, outputs);
        _leaderOfTerm = Id;
        _heartbeatTicks = 0;
        _leaseBarrier = LogIndex.Zero;
        _peers.Clear();
        SyncPeers();

        // Raft section 8: commits what earlier terms left, and makes reads and membership changes possible.
        _termStartIndex = LastIndex.Next;
        AppendAsLeader(EntryKind.NoOp, ReadOnlyMemory<byte>.Empty, outputs);
    }

    private void LeaveLeadership(RaftOutputs outputs)
    {
        _peers.Clear();
        EndTransfer();
        foreach (var read in _reads.Drain())
        {
            AnswerRead(read, success: false, LogIndex.Zero, outputs);
        }
    }

    private void TickLeader(RaftOutputs outputs)
    {
        foreach (var peer in _peers)
        {
            peer.Tick();
        }

        // Check-quorum (R9): reads and writes through a leader that nobody follows would hang, not fail.
        if (!HearsQuorum())
        {
            BecomeFollower(CurrentTerm, NodeId.None, outputs);
            return;
        }

        TickTransfer(outputs);
        if (_options.DefersCommit)
        {
            SendCommit(outputs);
        }

        if (++_heartbeatTicks >= _options.HeartbeatTicks)
        {
            SendHeartbeats(outputs);
        }
    }

    /// <summary>Until the next heartbeat, or until a peer's silence becomes long enough to count.</summary>
    private int QuietLeaderTicks()
    {
        // A new membership may need peers that have been silent for long.
        if (IsTransferInProgress || !HearsQuorum())
        {
            return 0;
        }

        var ticks = _options.HeartbeatTicks - _heartbeatTicks - 1;
        foreach (var peer in _peers)
        {
            if (peer.State == ReplicationState.Replicate && peer.CommitSent < CommitIndex)
            {
                return 0; // the next tick says so
            }

            var left = _options.ElectionTimeoutTicks - peer.TicksSinceContact - 1;
            ticks = left >= 0 ? Math.Min(ticks, left) : ticks;
        }

        return Math.Max(0, ticks);
    }

    private bool HearsQuorum()
    {
#if MUTANTS
        if (Mutant.Is("R9"))
        {
            return true;
        }
#endif
        var heard = Configuration.IsVoter(Id) ? 1 : 0;
        foreach (var peer in _peers)
        {
            heard += peer.TicksSinceContact < _options.ElectionTimeoutTicks && Configuration.IsVoter(peer.Id) ? 1 : 0;
        }

        return heard >= Configuration.Majority;
    }

    private ProposalResult AppendAsLeader(EntryKind kind, ReadOnlyMemory<byte> payload, RaftOutputs outputs)
    {
        var entry = new LogEntry(LastIndex.Next, CurrentTerm, kind, payload);
        Append(entry, outputs);
        if (kind == EntryKind.Configuration)
        {
            SyncPeers();
        }

        SendAppendsToAll(outputs);
        return new ProposalResult(RefusalReason.None, entry.Index, entry.Term);
    }

    private void SendHeartbeats(RaftOutputs outputs)
    {
        _heartbeatTicks = 0;
        foreach (var peer in _peers)
        {
            SendHeartbeat(peer, outputs);
        }
    }

    private void SendHeartbeat(Peer peer, RaftOutputs outputs)
    {
        // The receiver's log beyond its match may still conflict, so the commit index stops there.
        var commit = peer.MatchIndex < CommitIndex ? peer.MatchIndex : CommitIndex;
#if MUTANTS
        commit = Mutant.Is("R13") ? CommitIndex : commit;
#endif
        Send(new HeartbeatRequest(Id, peer.Id, CurrentTerm, commit, _reads.Sequence, _nowNs), outputs);
    }

    /// <summary>Commits what a majority has on disk (Raft section 5.4.2): this node counts by its own disk's report (R17), and only an
    /// entry of the own term counts replicas (Figure 8, R12).</summary>
    private void AdvanceCommit(RaftOutputs outputs)
    {
        var voters = Configuration.Voters;
#if MUTANTS
        voters = Mutant.Is("R27") && !Configuration.IsVoter(Id) ? [.. voters, Id] : voters;
#endif
        var reached = new LogIndex(Quorum.Reached(voters, _matchOf));
        var isOwn = TermAt(reached) == CurrentTerm;
#if MUTANTS
        isOwn |= Mutant.Is("R12");
#endif
        if (reached <= CommitIndex || !isOwn)
        {
            return;
        }

        // A membership, or the begin of a term, changes what followers may do.
        var isUrgent = !IsTermCommitted || !IsConfigurationCommitted;
        SetCommit(reached, outputs);
        _urgentCommit = isUrgent ? reached : _urgentCommit;
        foreach (var peer in _peers)
        {
            TellCommit(peer, outputs);
        }

        if (IsConfigurationCommitted && !Configuration.IsVoter(Id))
        {
            HandOver(outputs); // R27: removed or demoted, and that is committed now
            return;
        }

        BeginReadRound(outputs);
    }

    private Peer? Find(NodeId id)
    {
        foreach (var peer in _peers)
        {
            if (peer.Id == id)
            {
                return peer;
            }
        }

        return null;
    }

    private long MatchOf(NodeId id) =>
#if MUTANTS
        Mutant.Is("R17") && id == Id ? LastIndex.Value :
#endif
        id == Id ? PersistedIndex.Value : Find(id)?.MatchIndex.Value ?? 0;

    private long EchoOf(NodeId id) => id == Id ? long.MaxValue : Find(id)?.EchoedSentAtNs ?? long.MinValue;

    private long ConfirmedReadOf(NodeId id) => id == Id ? long.MaxValue : Find(id)?.EchoedReadSequence ?? 0;
}
