namespace Dqlite.Raft;

/// <summary>What depends on the disk: which messages wait for it, and what its reports release.</summary>
public sealed partial class RaftCore
{
    private readonly List<PendingAcknowledgement> _acknowledgements = [];

    /// <summary>Term and vote are durable.</summary>
    /// <param name="state">The state as it was in <see cref="RaftOutputs.HardState"/>.</param>
    /// <param name="nowNs">Monotonic time in nanoseconds.</param>
    /// <param name="outputs">What is to be done is added to it.</param>
    public void HardStatePersisted(HardState state, long nowNs, RaftOutputs outputs)
    {
        Begin(nowNs, outputs);
        foreach (var message in _gate.Persisted(state))
        {
            Emit(message, outputs);
        }

        if (Role == RaftRole.Candidate && _gate.IsOpen)
        {
            CountOwnVote(outputs);
        }
    }

    /// <summary>Entries are durable up to here. Reports come in the order of <see cref="RaftOutputs.Appends"/>; several may be merged
    /// into their last one, but not across a <see cref="RaftOutputs.TruncateFrom"/> (R16).</summary>
    /// <param name="lastIndex">The last durable entry's index.</param>
    /// <param name="term">Its term.</param>
    /// <param name="nowNs">Monotonic time in nanoseconds.</param>
    /// <param name="outputs">What is to be done is added to it.</param>
    public void EntriesPersisted(LogIndex lastIndex, Term term, long nowNs, RaftOutputs outputs)
    {
        Begin(nowNs, outputs);
        if (!_log.Persisted(lastIndex, term))
        {
            return;
        }

        if (Role == RaftRole.Leader)
        {
            AdvanceCommit(outputs);
        }
        else
        {
            SendDueAcknowledgements(outputs);
        }
    }

    /// <summary>Drops the entries up to here from the log; their terms stay known.</summary>
    /// <param name="upTo">At most <see cref="CommitIndex"/>.</param>
    /// <exception cref="RaftInvariantException">Uncommitted entries would go.</exception>
    public void Compact(LogIndex upTo)
    {
        Invariant.Check(upTo <= CommitIndex, $"cannot compact up to {upTo}, entries are committed up to {CommitIndex}");
        _log.Compact(upTo);
        _configurations.Compact(upTo);
    }

    private void SetHardState(Term term, NodeId votedFor, RaftOutputs outputs)
    {
        Invariant.Check(
            term > CurrentTerm || (term == CurrentTerm && VotedFor == NodeId.None),
            $"(term, vote) goes from ({CurrentTerm}, {VotedFor}) to ({term}, {votedFor})");
        CurrentTerm = term;
        VotedFor = votedFor;
        var state = new HardState(term, votedFor);
        _gate.Changed(state);
        outputs.HardState = state;
        outputs.StateChanged = true;
    }

    /// <summary>Sends a message once the current term and vote are durable (R1).</summary>
    private void Send(RaftMessage message, RaftOutputs outputs)
    {
        var mayLeave = _gate.IsOpen;
#if MUTANTS
        mayLeave |= Mutant.Is("R1");
#endif
        if (mayLeave)
        {
            Emit(message, outputs);
        }
        else
        {
            _gate.Withhold(message);
        }
    }

    private void Emit(RaftMessage message, RaftOutputs outputs)
    {
        if (message is AppendEntriesResponse or HeartbeatResponse && message.To == _leaderOfTerm)
        {
            _lastAcknowledgementNs = _nowNs;
        }

        outputs.Messages.Add(message);
    }

    /// <summary>The log matches the leader's up to here; says so once that much is durable.</summary>
    private void Acknowledge(LogIndex matchIndex, long readSequence, long sentAtNs, RaftOutputs outputs)
    {
        _acknowledgements.Add(new PendingAcknowledgement(matchIndex, readSequence, sentAtNs));
        SendDueAcknowledgements(outputs);
    }

    /// <summary>One response covers all that became durable; it echoes the newest message among them.</summary>
    private void SendDueAcknowledgements(RaftOutputs outputs)
    {
        var due = default(PendingAcknowledgement);
        var count = 0;
        for (var i = 0; i < _acknowledgements.Count; i++)
        {
            var next = _acknowledgements[i];
            if (next.MatchIndex > PersistedIndex)
            {
                _acknowledgements[i - count] = next;
                continue;
            }

            due = count == 0 ? next : due.Merge(next);
            count++;
        }

        _acknowledgements.RemoveRange(_acknowledgements.Count - count, count);
        if (count > 0 && Leader != NodeId.None)
        {
            Send(
                new AppendEntriesResponse(Id, Leader, CurrentTerm, true, due.MatchIndex, LogIndex.Zero, Term.Zero, LogIndex.Zero,
                    due.ReadSequence, due.SentAtNs),
                outputs);
        }
    }

    private readonly record struct PendingAcknowledgement(LogIndex MatchIndex, long ReadSequence, long SentAtNs)
    {
        public PendingAcknowledgement Merge(PendingAcknowledgement other) => new(
            MatchIndex > other.MatchIndex ? MatchIndex : other.MatchIndex,
            Math.Max(ReadSequence, other.ReadSequence),
            Math.Max(SentAtNs, other.SentAtNs));
    }
}
