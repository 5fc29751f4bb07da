namespace Dqlite.Raft;

/// <summary>How a leader's entries reach each member: pipeline, back-off, snapshots, losses (Raft section 5.3).</summary>
public sealed partial class RaftCore
{
    /// <summary>A snapshot stream to a peer ended.</summary>
    /// <param name="peer">The peer.</param>
    /// <param name="success">Whether the peer reported it as installed.</param>
    /// <param name="index">The last entry that it includes.</param>
    /// <param name="nowNs">Monotonic time in nanoseconds.</param>
    /// <param name="outputs">What is to be done is added to it.</param>
    public void SnapshotSent(NodeId peer, bool success, LogIndex index, long nowNs, RaftOutputs outputs)
    {
        Begin(nowNs, outputs);
        if (Find(peer) is not { State: ReplicationState.Snapshot } progress)
        {
            return;
        }

        progress.BecomeProbe(success ? index.Next : progress.MatchIndex.Next);

        // After a failure the next sign of life tries again, not a tight loop.
        progress.IsProbePaused = !success;
        SendAppends(progress, outputs);
    }

    private void SendAppendsToAll(RaftOutputs outputs)
    {
        foreach (var peer in _peers)
        {
            SendAppends(peer, outputs);
        }
    }

    /// <summary>Sends all that the peer's state and window allow.</summary>
    private void SendAppends(Peer peer, RaftOutputs outputs)
    {
        switch (peer.State)
        {
            case ReplicationState.Probe when !peer.IsProbePaused:
                SendAppend(peer, maxBytes: _options.MaxAppendBytes, outputs);
                peer.IsProbePaused = true;
                break;
            case ReplicationState.Replicate:
                while (peer.State == ReplicationState.Replicate && peer.NextIndex <= LastIndex && peer.HasRoom(_options))
                {
                    SendAppend(peer, maxBytes: _options.MaxAppendBytes, outputs);
                }

                break;
            default:
                break;
        }
    }

    /// <summary>Sends one AppendEntries; without entries when <paramref name="maxBytes"/> is zero.</summary>
    private void SendAppend(Peer peer, int maxBytes, RaftOutputs outputs)
    {
        var first = peer.NextIndex;
        if (first < FirstIndex)
        {
            peer.BecomeSnapshot();
#if MUTANTS
            if (Mutant.Is("R33"))
            {
                return;
            }
#endif
            outputs.SnapshotsNeeded.Add(peer.Id);
            return;
        }

        var sizeBytes = 0L;
        var last = maxBytes == 0 ? first.Previous : _log.BatchEnd(first, maxBytes, out sizeBytes);
        var previousTerm = TermAt(first.Previous);
        Invariant.Check(previousTerm is not null, $"the term of entry {first.Previous} is not known, the log is {FirstIndex}..{LastIndex}");
        Send(
            new AppendEntriesRequest(Id, peer.Id, CurrentTerm, first.Previous, previousTerm.Value, first, last, CommitIndex, _reads.Sequence,
                _nowNs, []),
            outputs);
        peer.CommitSent = CommitIndex;
        peer.LastAppendNs = _nowNs;
        if (peer.State == ReplicationState.Replicate && last >= first)
        {
            peer.Sent(last, sizeBytes);
        }
    }

    private void OnAppendEntriesResponse(AppendEntriesResponse response, RaftOutputs outputs)
    {
        if (Role != RaftRole.Leader || Find(response.From) is not { } peer)
        {
            return;
        }

        OnEcho(peer, response.ReadSequence, response.SentAtNs);
        if (response.Success)
        {
            OnAcknowledged(peer, response.MatchIndex, outputs);
        }
        else
        {
            OnRejected(peer, response, outputs);
        }

        EndReadRoundIfConfirmed(outputs);
    }

    /// <summary>A sign of life; the lease counts from the moment when what it answers was sent (R37).</summary>
    private void OnEcho(Peer peer, long readSequence, long sentAtNs)
    {
#if MUTANTS
        sentAtNs = Mutant.Is("R37") ? _nowNs : sentAtNs;
#endif
        peer.Echo(readSequence, sentAtNs);
    }

    private void OnAcknowledged(Peer peer, LogIndex matchIndex, RaftOutputs outputs)
    {
        Invariant.Check(matchIndex <= LastIndex, $"{peer.Id} acknowledges {matchIndex}, the leader's log ends at {LastIndex}");
        peer.Acknowledged(matchIndex, LastIndex);
        var canReplicate = peer.State == ReplicationState.Probe
            || (peer.State == ReplicationState.Snapshot && peer.MatchIndex >= FirstIndex.Previous);
        if (canReplicate)
        {
            peer.BecomeReplicate();
        }

        AdvanceCommit(outputs);
        if (Role == RaftRole.Leader)
        {
            TellCommit(peer, outputs);
            SendTimeoutNowIfReady(outputs);
        }
    }

    private void OnRejected(Peer peer, AppendEntriesResponse response, RaftOutputs outputs)
    {
        var isStale = peer.State switch
        {
            ReplicationState.Probe => response.RejectedPrevIndex != peer.NextIndex.Previous,
            ReplicationState.Replicate => response.RejectedPrevIndex <= peer.MatchIndex,
            ReplicationState.Snapshot => true,
        };
        if (isStale)
        {
            return;
        }

        // Fast back-off (Raft section 5.3, end): nothing behind the hint can match, nor can anything of a higher term before it.
        var hint = response.ConflictIndex < response.RejectedPrevIndex ? response.ConflictIndex : response.RejectedPrevIndex.Previous;
        peer.BecomeProbe(_log.LastWithTermAtMost(hint, response.ConflictTerm).Next);
        SendAppends(peer, outputs);
    }

    private void OnHeartbeatResponse(HeartbeatResponse response, RaftOutputs outputs)
    {
        if (Role != RaftRole.Leader || Find(response.From) is not { } peer)
        {
            return;
        }

        OnEcho(peer, response.ReadSequence, response.SentAtNs);
        peer.IsProbePaused = false;
        SendAppends(peer, outputs);
        var isOverdue = peer.State == ReplicationState.Replicate && peer.NextIndex.Previous > peer.MatchIndex
            && response.SentAtNs >= peer.LastAppendNs;
#if MUTANTS
        isOverdue &= !Mutant.Is("R44");
#endif
        if (isOverdue)
        {
            // Everything was sent before this heartbeat and is still not acknowledged: lost, or a slow disk. An empty message behind it
            // is refused when something was lost (R44), and costs next to nothing when not.
            SendAppend(peer, maxBytes: 0, outputs);
        }

        EndReadRoundIfConfirmed(outputs);
    }

    /// <summary>Tells a follower the commit index: at once, unless it can wait for the next tick.</summary>
    private void TellCommit(Peer peer, RaftOutputs outputs)
    {
        if (_options.DefersCommit && peer.CommitSent >= _urgentCommit)
        {
            SendAppends(peer, outputs);
        }
        else
        {
            SendCommit(peer, outputs);
        }
    }

    private void SendCommit(RaftOutputs outputs)
    {
        foreach (var peer in _peers)
        {
            SendCommit(peer, outputs);
        }
    }

    /// <summary>Tells a follower the commit index, since it serves reads: with entries when there are any, else alone.</summary>
    private void SendCommit(Peer peer, RaftOutputs outputs)
    {
        SendAppends(peer, outputs);
        if (peer.State == ReplicationState.Replicate && peer.CommitSent < CommitIndex)
        {
            SendAppend(peer, maxBytes: 0, outputs);
        }
    }

    /// <summary>The connection is gone and what was under way with it. Nothing is sent before the peer shows signs of life.</summary>
    private void LosePeer(NodeId id, RaftOutputs outputs)
    {
#if MUTANTS
        if (Mutant.Is("R44"))
        {
            return;
        }
#endif
        if (Find(id) is { } peer)
        {
            peer.BecomeProbe(peer.MatchIndex.Next);
            peer.IsProbePaused = true;
        }

        if (IsTransferInProgress && _transferTarget == id)
        {
            AbortTransfer(outputs);
        }
    }
}
