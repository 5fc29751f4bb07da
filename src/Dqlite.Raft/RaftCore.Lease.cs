namespace Dqlite.Raft;

/// <summary>
/// The leader lease. The leader's side: it may serve reads until the majority-th newest echoed send time plus
/// <see cref="RaftOptions.LeaseNs"/> (R37). The voter's side: whoever acknowledged helps no other candidate until that much time, and the
/// clocks' drift, has passed since, even when the leader's socket is closed. Both sides read only their own clock.
/// </summary>
public sealed partial class RaftCore
{
    private long? _lastAcknowledgementNs;

    // Set to the last index when a TimeoutNow leaves: the lease is void until a later entry is committed. By then the target cannot
    // win with what that message gave it, since a majority holds a longer log (R39).
    private LogIndex _leaseBarrier;

    /// <summary>Until when reads may be served without asking anyone, on the clock of the inputs; check it against the clock at each
    /// read. Zero when there is no lease: not leader, turned off, dropped by a transfer, or the own term is not committed.</summary>
    public long LeaseDeadlineNs
    {
        get
        {
            var isDropped = IsTransferInProgress || CommitIndex <= _leaseBarrier;
#if MUTANTS
            isDropped &= !Mutant.Is("R39");
#endif
            if (_options.LeaseNs == 0 || !IsTermCommitted || isDropped)
            {
                return 0;
            }

            var start = Quorum.Reached(Configuration.Voters, _echoOf);
            return start == long.MinValue ? 0 : Math.Min(start, _nowNs) + _options.LeaseNs;
        }
    }

    private bool IsLeaseValid => LeaseDeadlineNs > _nowNs;

    private long? ProtectedUntilNs => _lastAcknowledgementNs is { } acknowledged && _options.LeaseNs > 0
        ? acknowledged + _options.LeaseNs + (long)Math.Ceiling(_options.LeaseNs * _options.MaxClockDrift)
        : null;

    private bool IsLeaseProtected => _nowNs < ProtectedUntilNs;

    /// <summary>A node that has just started may have acknowledged a lease right before it stopped, so it waits for one. A single voter
    /// has no leader but itself.</summary>
    private void ProtectLeaseOfEarlierRun(long nowNs)
    {
        if (CurrentTerm > Term.Zero && !(Configuration.Voters.Count == 1 && Configuration.IsVoter(Id)))
        {
            _lastAcknowledgementNs = nowNs;
        }
    }
}
