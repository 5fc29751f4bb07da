namespace Dqlite.Raft;

/// <summary>Linearizable reads (dissertation section 6.4): by the lease, else by a round of echoes begun after the read.</summary>
public sealed partial class RaftCore
{
    private readonly ReadQueue _reads = new();
    private readonly List<ForwardedRead> _forwarded = [];

    /// <summary>
    /// Asks for a read index; the answer comes in <see cref="RaftOutputs.Reads"/>. On the leader: at once under a valid lease, else after a
    /// round of echoes; not before the own term is committed (R35). On a follower: from the leader. It fails when no leader is known, when
    /// the leader is lost, and after an election timeout without an answer.
    /// </summary>
    /// <param name="requestId">Comes back with the answer; distinct among the pending ones.</param>
    /// <param name="nowNs">Monotonic time in nanoseconds, taken at this read.</param>
    /// <param name="outputs">What is to be done is added to it.</param>
    public void Read(long requestId, long nowNs, RaftOutputs outputs)
    {
        Begin(nowNs, outputs);
        if (Role == RaftRole.Leader)
        {
            ReadAsLeader(new PendingRead(requestId, NodeId.None), outputs);
        }
        else if (Leader == NodeId.None)
        {
            outputs.Reads.Add(new ReadState(requestId, false, LogIndex.Zero));
        }
        else
        {
            _forwarded.Add(new ForwardedRead(requestId, 0));
            Send(new ReadIndexRequest(Id, Leader, CurrentTerm, requestId), outputs);
        }
    }

    private void ReadAsLeader(PendingRead read, RaftOutputs outputs)
    {
        if (IsLeaseValid)
        {
            AnswerRead(read, success: true, CommitIndex, outputs);
            return;
        }

        _reads.Add(read);
        BeginReadRound(outputs);
    }

    /// <summary>Begins a round for the reads that wait, unless one is open: its echoes may have been sent before they arrived (R36).</summary>
    private void BeginReadRound(RaftOutputs outputs)
    {
        var knowsCommit = IsTermCommitted;
#if MUTANTS
        knowsCommit |= Mutant.Is("R35");
#endif
        if (_reads.IsRoundOpen || !_reads.IsWaiting || !knowsCommit)
        {
            return;
        }

        _reads.BeginRound(CommitIndex);
        if (IsReadRoundConfirmed())
        {
            EndReadRoundIfConfirmed(outputs); // a single voter
        }
        else
        {
            SendHeartbeats(outputs);
        }
    }

    private bool IsReadRoundConfirmed()
    {
        var round = _reads.Sequence;
#if MUTANTS
        round -= Mutant.Is("R36") ? 1 : 0;
#endif
        return Quorum.Reached(Configuration.Voters, _confirmedReadOf) >= round;
    }

    private void EndReadRoundIfConfirmed(RaftOutputs outputs)
    {
        if (Role != RaftRole.Leader || !_reads.IsRoundOpen || !IsReadRoundConfirmed())
        {
            return;
        }

        var index = _reads.RoundIndex;
        foreach (var read in _reads.EndRound())
        {
            AnswerRead(read, success: true, index, outputs);
        }

        BeginReadRound(outputs);
    }

    private void AnswerRead(PendingRead read, bool success, LogIndex index, RaftOutputs outputs)
    {
        if (read.Origin == NodeId.None)
        {
            outputs.Reads.Add(new ReadState(read.RequestId, success, index));
        }
        else
        {
            if (success && Find(read.Origin) is { } peer)
            {
                SendCommit(peer, outputs); // the read waits for it
            }

            Send(new ReadIndexResponse(Id, read.Origin, CurrentTerm, read.RequestId, success, index), outputs);
        }
    }

    private void OnReadIndexRequest(ReadIndexRequest request, RaftOutputs outputs)
    {
        var read = new PendingRead(request.RequestId, request.From);
        if (Role == RaftRole.Leader)
        {
            ReadAsLeader(read, outputs);
        }
        else
        {
            AnswerRead(read, success: false, LogIndex.Zero, outputs);
        }
    }

    private void OnReadIndexResponse(ReadIndexResponse response, RaftOutputs outputs)
    {
        var position = _forwarded.FindIndex(read => read.RequestId == response.RequestId);
        if (position >= 0 && response.From == Leader)
        {
            _forwarded.RemoveAt(position);
            outputs.Reads.Add(new ReadState(response.RequestId, response.Success, response.ReadIndex));
        }
    }

    private void ExpireForwardedReads(RaftOutputs outputs)
    {
        for (var i = 0; i < _forwarded.Count; i++)
        {
            _forwarded[i] = _forwarded[i] with { AgeTicks = _forwarded[i].AgeTicks + 1 };
        }

        // Ascending by arrival, so the expired ones stand in front.
        var expired = _forwarded.FindIndex(read => read.AgeTicks < _options.ElectionTimeoutTicks);
        FailForwardedReads(expired < 0 ? _forwarded.Count : expired, outputs);
    }

    private void FailForwardedReads(RaftOutputs outputs) => FailForwardedReads(_forwarded.Count, outputs);

    private void FailForwardedReads(int count, RaftOutputs outputs)
    {
        for (var i = 0; i < count; i++)
        {
            outputs.Reads.Add(new ReadState(_forwarded[i].RequestId, false, LogIndex.Zero));
        }

        _forwarded.RemoveRange(0, count);
    }

    private readonly record struct ForwardedRead(long RequestId, int AgeTicks);
}
