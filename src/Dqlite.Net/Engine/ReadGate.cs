using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>
/// Decides when a read may take its snapshot (dissertation section 6.4). Registration is thread-safe; the rest belongs to the loop. Reads
/// that arrive while a round is on its way share the next one.
/// </summary>
internal sealed class ReadGate(NodeContext node)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<long, Round> _rounds = [];
    private readonly PriorityQueue<TaskCompletionSource, long> _applyWaiters = new();
    private List<TaskCompletionSource> _arrivals = [];
    private long _nextRound;
    private long _retryAtNs;
    private long _leaseDeadlineNs;
    private long _commitIndex;
    private long _barrierBeganNs = long.MinValue / 2;
    private long _barrierIndex;
    private long _arrivedNs;
    private Exception? _stopped;
#if MUTANTS
    private long _passNs;
    private long _awakeNs;
#endif

    /// <summary>Whether a linearizable read need not ask: by the clock at this read, never by an earlier look at it (R37, R38).</summary>
    private bool IsLeaseValid =>
#if MUTANTS
        Mutant.Is("R37b") ? _awakeNs < Volatile.Read(ref _leaseDeadlineNs) :
#endif
        node.NowNs < Volatile.Read(ref _leaseDeadlineNs);

    /// <summary>Loop: reads wait for a leader to ask.</summary>
    public bool NeedsTicks
    {
        get
        {
            lock (_lock)
            {
                return _arrivals.Count > 0;
            }
        }
    }

    /// <summary>Loop: linearizable reads need not ask until then.</summary>
    public void SetLease(long deadlineNs)
    {
#if MUTANTS
        deadlineNs = Mutant.Is("R38") && deadlineNs > node.NowNs ? long.MaxValue : deadlineNs;
#endif
        Volatile.Write(ref _leaseDeadlineNs, deadlineNs);
    }

    /// <summary>Loop: what is committed, before any message says so: a follower may serve a read of it from then on, and no later read may lack it.</summary>
    public void SetCommit(long index)
    {
#if MUTANTS
        index = Mutant.Is("D10") ? 0 : index;
#endif
        Volatile.Write(ref _commitIndex, index);
    }

    /// <summary>Any thread; see <see cref="IDatabaseEngine.BeginReadAsync"/>.</summary>
    public Task BeginReadAsync(ReadConsistency level, long sessionIndex, TimeSpan maxStaleness)
    {
        switch (level)
        {
            case ReadConsistency.Local:
                return Task.CompletedTask;
            case ReadConsistency.Session:
                return node.AppliedIndex >= sessionIndex ? Task.CompletedTask : CatchUpAsync(sessionIndex);
            case ReadConsistency.Bounded when IsFresh(maxStaleness):
                return Task.CompletedTask;
            case ReadConsistency.Bounded:
            case ReadConsistency.Linearizable:
                return IsLeaseValid ? WaitAppliedAsync(Volatile.Read(ref _commitIndex)) : JoinNextRound();
            default:
                throw new ArgumentOutOfRangeException(nameof(level), level, "Unknown read consistency.");
        }
    }

    /// <summary>What the session has seen is committed, but this node may not have heard of it: asking for a read index makes the leader say so at once.</summary>
    private Task CatchUpAsync(long index)
    {
        // The answer itself is of no use: the read goes on when the entry is applied.
        _ = JoinNextRound();
        return WaitAppliedAsync(index);
    }

    /// <summary>Any thread: completes when this node has applied the index.</summary>
    public Task WaitAppliedAsync(long index)
    {
        if (node.AppliedIndex >= index)
        {
            return Task.CompletedTask;
        }

        var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            if (_stopped is not null)
            {
                return Task.FromException(_stopped);
            }

            _applyWaiters.Enqueue(waiter, index);
        }

        // The index may have been applied between the look and the registration.
        OnApplied(node.AppliedIndex);
        return waiter.Task;
    }

    /// <summary>Loop: begins a round for the reads that have arrived.</summary>
    public void Start(RaftCore core, RaftOutputs outputs)
    {
#if MUTANTS
        StandStill();
#endif
        if (node.NowNs < _retryAtNs)
        {
            return;
        }

        List<TaskCompletionSource> readers;
        long arrivedNs;
        lock (_lock)
        {
            if (_arrivals.Count == 0)
            {
                return;
            }

            readers = _arrivals;
            arrivedNs = _arrivedNs;
            _arrivals = [];
            _arrivedNs = 0;
        }

        // Read after the readers were taken: the lease must hold at a moment that lies behind the begin of each of them.
        var nowNs = node.NowNs;
        var id = ++_nextRound;
        _rounds.Add(id, new Round(readers, arrivedNs, nowNs));
        core.Read(id, nowNs, outputs);
    }

    /// <summary>Loop: the core has decided rounds.</summary>
    public void OnDecided(IReadOnlyList<ReadState> reads)
    {
        foreach (var read in reads)
        {
            if (!_rounds.Remove(read.RequestId, out var round))
            {
                continue;
            }

            if (read.Success)
            {
                WhenApplied(round, read.Index.Value);
            }
            else
            {
                Retry(round);
            }
        }
    }

    /// <summary>Any thread: entries up to here are applied.</summary>
    public void OnApplied(long index)
    {
        List<TaskCompletionSource>? ready = null;
        lock (_lock)
        {
            while (_applyWaiters.TryPeek(out var waiter, out var at) && at <= index)
            {
                _applyWaiters.Dequeue();
                (ready ??= []).Add(waiter);
            }
        }

        ready?.ForEach(waiter => waiter.TrySetResult());
    }

    /// <summary>The node stops: whoever waits gets an answer.</summary>
    public void Stop(Exception reason)
    {
        List<TaskCompletionSource> all;
        lock (_lock)
        {
            _stopped = reason;
            all = [.. _arrivals, .. _rounds.Values.SelectMany(round => round.Readers), .. _applyWaiters.UnorderedItems.Select(item => item.Element)];
            _arrivals = [];
            _applyWaiters.Clear();
        }

        Volatile.Write(ref _leaseDeadlineNs, 0);
        _rounds.Clear();
        all.ForEach(waiter => waiter.TrySetException(reason));
    }

    /// <summary>Whether what is applied here covers a read that was confirmed recently enough.</summary>
    private bool IsFresh(TimeSpan maxStaleness)
    {
        lock (_lock)
        {
            return node.AppliedIndex >= _barrierIndex && node.NowNs - _barrierBeganNs <= maxStaleness.TotalNanoseconds;
        }
    }

    private Task JoinNextRound()
    {
        var reader = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        bool first;
        lock (_lock)
        {
            if (_stopped is not null)
            {
                return Task.FromException(_stopped);
            }

            first = _arrivals.Count == 0;
            if (first)
            {
                _arrivedNs = node.NowNs;
            }

            _arrivals.Add(reader);
        }

        if (first)
        {
            node.Inbox.Wake();
        }

        return reader.Task;
    }

    private void WhenApplied(Round round, long index)
    {
        lock (_lock)
        {
            (_barrierBeganNs, _barrierIndex) = (round.BeganNs, index);
        }

        var isApplied = node.AppliedIndex >= index;
#if MUTANTS
        isApplied |= Mutant.Is("R40");
#endif
        if (isApplied)
        {
            round.Readers.ForEach(reader => reader.TrySetResult());
            return;
        }

        lock (_lock)
        {
            foreach (var reader in round.Readers)
            {
                _applyWaiters.Enqueue(reader, index);
            }
        }
    }

    /// <summary>No leader at the moment: asks again with the next tick, until twice the election timeout has passed.</summary>
    private void Retry(Round round)
    {
        var patienceNs = (long)(4 * node.Options.ElectionTimeout.TotalNanoseconds);
        var nowNs = node.NowNs;
        if (nowNs - round.ArrivedNs > patienceNs)
        {
            var error = DqliteErrors.NoQuorum(node.LeaderAddress);
            round.Readers.ForEach(reader => reader.TrySetException(error));
            return;
        }

        _retryAtNs = nowNs + (long)node.Options.TickInterval.TotalNanoseconds;
        lock (_lock)
        {
            _arrivedNs = _arrivals.Count == 0 ? round.ArrivedNs : Math.Min(_arrivedNs, round.ArrivedNs);
            _arrivals.AddRange(round.Readers);
        }
    }

#if MUTANTS
    /// <summary>R37b: a clock that stands still while the process is stopped.</summary>
    private void StandStill()
    {
        if (Mutant.Is("R37b"))
        {
            var nowNs = node.NowNs;
            _awakeNs += _passNs == 0 ? nowNs : Math.Min(nowNs - _passNs, 2 * (long)node.Options.TickInterval.TotalNanoseconds);
            _passNs = nowNs;
        }
    }
#endif

    private sealed record Round(List<TaskCompletionSource> Readers, long ArrivedNs, long BeganNs);
}
