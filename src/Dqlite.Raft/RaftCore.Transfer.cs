namespace Dqlite.Raft;

/// <summary>Leadership transfer (dissertation section 3.10): proposals stop, the target catches up, then it campaigns at once.</summary>
public sealed partial class RaftCore
{
    private NodeId _transferTarget;
    private int _transferTicks;
    private bool _isTimeoutNowSent;

    /// <summary>Whether a transfer is going on; proposals are refused until it succeeds or an election timeout has passed (R41).</summary>
    public bool IsTransferInProgress => _transferTarget != NodeId.None;

    /// <summary>Hands leadership to a voter.</summary>
    /// <param name="target">The voter, or <see cref="NodeId.None"/> for the best caught-up one.</param>
    /// <param name="nowNs">Monotonic time in nanoseconds.</param>
    /// <param name="outputs">What is to be done is added to it.</param>
    /// <returns>None when the transfer began; any refusal has no effect (R42).</returns>
    public RefusalReason TransferLeadership(NodeId target, long nowNs, RaftOutputs outputs)
    {
        Begin(nowNs, outputs);
        if (Role != RaftRole.Leader)
        {
            return RefusalReason.NotLeader;
        }

        var chosen = target == NodeId.None ? BestSuccessor() : target;
        var refusal = IsTransferInProgress ? RefusalReason.TransferInProgress
            : chosen == Id || !Configuration.IsVoter(chosen) ? RefusalReason.InvalidTarget
            : RefusalReason.None;
#if MUTANTS
        refusal = Mutant.Is("R42") ? RefusalReason.None : refusal;
#endif
        if (refusal != RefusalReason.None)
        {
            return refusal;
        }

        _transferTarget = chosen;
        _transferTicks = 0;
        _isTimeoutNowSent = false;
        SendTimeoutNowIfReady(outputs);
        return RefusalReason.None;
    }

    /// <summary>The voter with the most log among those that were heard lately and whose connection was not seen closed; none when there is no such voter.</summary>
    private NodeId BestSuccessor()
    {
        Peer? best = null;
        foreach (var peer in _peers)
        {
            var isCandidate = Configuration.IsVoter(peer.Id) && !_seenClosed.Contains(peer.Id) && peer.TicksSinceContact < _options.ElectionTimeoutTicks;
            if (isCandidate && (best is null || peer.MatchIndex > best.MatchIndex))
            {
                best = peer;
            }
        }

        return best?.Id ?? NodeId.None;
    }

    /// <summary>The target matches the whole log, which nothing extends now (R41).</summary>
    private void SendTimeoutNowIfReady(RaftOutputs outputs)
    {
        if (!IsTransferInProgress || _isTimeoutNowSent)
        {
            return;
        }

        var isReady = Find(_transferTarget)?.MatchIndex == LastIndex;
#if MUTANTS
        isReady |= Mutant.Is("R41");
#endif
        if (isReady)
        {
            _isTimeoutNowSent = true;
            SendTimeoutNow(_transferTarget, outputs);
        }
    }

    private void SendTimeoutNow(NodeId target, RaftOutputs outputs)
    {
        _leaseBarrier = LastIndex; // the lease ends before the message leaves
        Send(new TimeoutNow(Id, target, CurrentTerm, LastIndex), outputs);
    }

    private void TickTransfer(RaftOutputs outputs)
    {
#if MUTANTS
        if (Mutant.Is("R41b"))
        {
            return;
        }
#endif
        if (IsTransferInProgress && ++_transferTicks >= _options.ElectionTimeoutTicks)
        {
            AbortTransfer(outputs);
        }
    }

    private void AbortTransfer(RaftOutputs outputs)
    {
        var wasSent = _isTimeoutNowSent;
        EndTransfer();
        if (wasSent)
        {
            // Once this is committed, the late TimeoutNow or the votes it asked for can elect nobody: the lease may come back.
            AppendAsLeader(EntryKind.NoOp, ReadOnlyMemory<byte>.Empty, outputs);
        }
    }

    private void EndTransfer()
    {
        _transferTarget = NodeId.None;
        _isTimeoutNowSent = false;
    }

    /// <summary>Steps down and, unless nobody is ready for it, names a successor, so that no election timeout passes without a leader.</summary>
    private void HandOver(RaftOutputs outputs)
    {
        var successor = BestSuccessor();
        if (Find(successor)?.MatchIndex == LastIndex)
        {
            SendTimeoutNow(successor, outputs);
        }

        BecomeFollower(CurrentTerm, NodeId.None, outputs);
    }

    private void OnTimeoutNow(TimeoutNow request, RaftOutputs outputs)
    {
        // Equality, not "at least": a message that was delayed until the leader went on is void (R39).
        var isCurrent = Leader == request.From && LastIndex == request.LastLogIndex;
#if MUTANTS
        isCurrent |= Mutant.Is("R39b") || (Mutant.Is("R41") && Leader == request.From);
#endif
        if (Role == RaftRole.Follower && isCurrent && IsPromotable)
        {
            BecomeCandidate(isTransfer: true, outputs);
        }
    }
}
