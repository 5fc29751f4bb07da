using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>
/// What became of each draft of one database, and who waits for it. Thread-safe. Filled by the node's loop alone; asked by connections.
///
/// A range of drafts is in one of these states:
///   Proposed  -> Committed              its entry was committed while this node led
///   Proposed  -> Undecided              leadership was lost; the log decides
///   Undecided -> Committed | Dropped    its entry, or another one, was committed at its index
///   (queued)  -> Dropped                fenced before it was proposed
/// </summary>
internal sealed class CommitLedger(string database, Func<string?> leaderAddress)
{
    /// <summary>Decided ranges that are remembered for connections that ask late.</summary>
    private const int MaxRanges = 8192;

    private readonly Lock _lock = new();
    private readonly List<Range> _ranges = [];
    private readonly PriorityQueue<Waiter, ulong> _waiters = new();
    private ulong _committed = 1;
    private Exception? _stopped;

    private enum State : byte
    {
        Proposed,
        Undecided,
        Committed,
        Dropped,
    }

    private enum WaitKind : byte
    {
        Committed,
        Covered,
        Id,
    }

    /// <summary>See <see cref="IDatabaseEngine.WaitCommittedAsync"/>.</summary>
    public Task<CommitId> WaitCommittedAsync(ulong lsn)
    {
        var waiter = new Waiter(lsn, WaitKind.Committed);
        Register(waiter);
        return waiter.Completion.Task;
    }

    /// <summary>See <see cref="IDatabaseEngine.WaitCoveredAsync"/>.</summary>
    public Task WaitCoveredAsync(ulong lsn)
    {
        var waiter = new Waiter(lsn, WaitKind.Covered);
        Register(waiter);
        return waiter.Completion.Task;
    }

    /// <summary>See <see cref="IDatabaseEngine.GetCommitIdAsync"/>.</summary>
    public Task<CommitId?> GetCommitIdAsync(ulong lsn)
    {
        var waiter = new Waiter(lsn, WaitKind.Id);
        Register(waiter);
        return waiter.IdCompletion!.Task;
    }

    /// <summary>Drafts first..last were appended to the log.</summary>
    public void OnProposed(ulong first, ulong last, long index, long term)
    {
        List<Waiter>? asked = null;
        lock (_lock)
        {
            Trim();
            _ranges.Add(new Range(first, last, new CommitId(database, index, term), State.Proposed));
            if (_waiters.Count > 0 && HasIdWaiter())
            {
                asked = DrainAll();
            }
        }

        Reevaluate(asked);
    }

    /// <summary>Everything up to this LSN is committed (own drafts, or pages of another leader).</summary>
    public void OnCommitted(ulong lsn)
    {
        List<Waiter>? ready = null;
        lock (_lock)
        {
            _committed = lsn;
            for (var i = _ranges.Count - 1; i >= 0 && _ranges[i].State is not State.Committed; i--)
            {
                if (_ranges[i].State == State.Proposed && _ranges[i].Last <= lsn)
                {
                    _ranges[i].State = State.Committed;
                }
            }

            while (_waiters.TryPeek(out var waiter, out var at) && at <= lsn)
            {
                _waiters.Dequeue();
                (ready ??= []).Add(waiter);
            }
        }

        Reevaluate(ready);
    }

    /// <summary>Leadership was lost: drafts above proposedLsn are gone, the others wait for the log.</summary>
    public void OnFence(ulong proposedLsn, ulong draftHead)
    {
        List<Waiter> all;
        lock (_lock)
        {
            foreach (var range in _ranges)
            {
                if (range.State == State.Proposed)
                {
                    range.State = State.Undecided;
#if MUTANTS
                    range.State = Dqlite.Raft.Mutant.Is("R46b") ? State.Dropped : range.State;
#endif
                }
            }

            // An earlier fence may have dropped LSNs that nothing has been committed above since.
            var first = Math.Max(proposedLsn, _ranges.Count > 0 ? _ranges[^1].Last : 0) + 1;
            if (draftHead >= first)
            {
                _ranges.Add(new Range(first, draftHead, default, State.Dropped));
            }

            all = DrainAll();
        }

        Reevaluate(all);
    }

    /// <summary>The log decided a fenced range.</summary>
    public void OnResolved(ulong first, bool committed)
    {
        List<Waiter> all;
        lock (_lock)
        {
            var range = Find(first);
            if (range is { State: State.Undecided })
            {
                range.State = committed ? State.Committed : State.Dropped;
            }

            all = DrainAll();
        }

        Reevaluate(all);
    }

    /// <summary>The node stops: whoever still waits gets an answer.</summary>
    public void Stop(Exception reason)
    {
        List<Waiter> all;
        lock (_lock)
        {
            _stopped = reason;
            all = DrainAll();
        }

        Reevaluate(all);
    }

    private void Register(Waiter waiter)
    {
        lock (_lock)
        {
            if (!Decide(waiter))
            {
                _waiters.Enqueue(waiter, waiter.Lsn);
            }
        }

        waiter.Publish();
    }

    private void Reevaluate(List<Waiter>? waiters)
    {
        if (waiters is null)
        {
            return;
        }

        lock (_lock)
        {
            foreach (var waiter in waiters)
            {
                if (!Decide(waiter))
                {
                    _waiters.Enqueue(waiter, waiter.Lsn);
                }
            }
        }

        foreach (var waiter in waiters)
        {
            waiter.Publish();
        }
    }

    /// <summary>Stores the waiter's answer when there is one. Under the lock.</summary>
    private bool Decide(Waiter waiter)
    {
        var range = Find(waiter.Lsn);
        if (range is { State: State.Committed })
        {
            return waiter.Succeed(range.Id);
        }

        if (range is { State: State.Dropped })
        {
            return waiter.Kind == WaitKind.Id ? waiter.Succeed(default) : waiter.Fail(Dropped(range.Id.Index > 0));
        }

        if (range is { State: State.Undecided } && waiter.Kind == WaitKind.Covered)
        {
            return waiter.Fail(Dropped(true));
        }

#if MUTANTS
        if (Dqlite.Raft.Mutant.Is("R46") && range is not null && waiter.Kind == WaitKind.Id)
        {
            return waiter.Succeed(default);
        }
#endif
        if (range is not null && waiter.Kind == WaitKind.Id)
        {
            return waiter.Succeed(range.Id);
        }

        if (range is null && waiter.Lsn <= _committed)
        {
            return waiter.Succeed(default);
        }

        if (_stopped is null)
        {
            return false;
        }

        return waiter.Kind switch
        {
            WaitKind.Id => waiter.Succeed(default),
            WaitKind.Covered => waiter.Fail(_stopped),
            WaitKind.Committed when range is null => waiter.Fail(_stopped),
            WaitKind.Committed => waiter.Fail(new DqliteUnknownOutcomeException(
                $"The node stopped before the log decided commit {range!.Id}; ask GetOutcomeAsync for it on any node.", range.Id)),
            _ => throw new InvalidOperationException(),
        };
    }

    private DqliteException Dropped(bool proposed) => DqliteErrors.Transient(
        proposed ? ShimResult.LeadershipLost : ShimResult.NotLeader,
        "Leadership was lost and the transaction took no effect; repeat it on the leader.", leaderAddress());

    private Range? Find(ulong lsn)
    {
        int low = 0, high = _ranges.Count - 1;
        while (low <= high)
        {
            var middle = (low + high) / 2;
            var range = _ranges[middle];
            if (lsn < range.First)
            {
                high = middle - 1;
            }
            else if (lsn > range.Last)
            {
                low = middle + 1;
            }
            else
            {
                return range;
            }
        }

        return null;
    }

    private bool HasIdWaiter()
    {
        foreach (var (waiter, _) in _waiters.UnorderedItems)
        {
            if (waiter.Kind == WaitKind.Id)
            {
                return true;
            }
        }

        return false;
    }

    private List<Waiter> DrainAll()
    {
        var all = new List<Waiter>(_waiters.Count);
        while (_waiters.TryDequeue(out var waiter, out _))
        {
            all.Add(waiter);
        }

        return all;
    }

    private void Trim()
    {
        if (_ranges.Count >= 2 * MaxRanges)
        {
            var keep = _ranges.FindIndex(_ranges.Count - MaxRanges, range => true);
            var undecided = _ranges.FindIndex(range => range.State is State.Proposed or State.Undecided);
            _ranges.RemoveRange(0, undecided >= 0 ? Math.Min(keep, undecided) : keep);
        }
    }

    private sealed class Range(ulong first, ulong last, CommitId id, State state)
    {
        public ulong First { get; } = first;

        public ulong Last { get; } = last;

        public CommitId Id { get; } = id;

        public State State { get; set; } = state;
    }

    /// <summary>Decided under the lock, published outside it.</summary>
    private sealed class Waiter(ulong lsn, WaitKind kind)
    {
        private CommitId _result;
        private Exception? _error;
        private bool _decided;

        public ulong Lsn { get; } = lsn;

        public WaitKind Kind { get; } = kind;

        public TaskCompletionSource<CommitId> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource<CommitId?>? IdCompletion { get; } =
            kind == WaitKind.Id ? new(TaskCreationOptions.RunContinuationsAsynchronously) : null;

        public bool Succeed(CommitId id)
        {
            _result = id;
            return _decided = true;
        }

        public bool Fail(Exception error)
        {
            _error = error;
            return _decided = true;
        }

        public void Publish()
        {
            if (!_decided)
            {
                return;
            }

            if (IdCompletion is not null)
            {
                IdCompletion.TrySetResult(_result.Index == 0 ? null : _result);
            }
            else if (_error is not null)
            {
                Completion.TrySetException(_error);
            }
            else
            {
                Completion.TrySetResult(_result);
            }
        }
    }
}
