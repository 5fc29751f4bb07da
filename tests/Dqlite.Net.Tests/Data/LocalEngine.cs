using Dqlite.Net.Engine;
using Dqlite.Sqlite;

namespace Dqlite.Net.Tests.Data;

/// <summary>
/// The engine of a cluster that exists in the test alone: a real page store, and a thread that commits its drafts. Every turn that a
/// cluster can take is a switch here, so that each failure comes when the test wants it and not by chance.
/// </summary>
internal sealed class LocalEngine : IDatabaseEngine, IPageDatabaseEvents, IDisposable
{
    private readonly object _gate = new();
    private readonly string _directory;
    private readonly Thread _thread;
    private readonly Dictionary<ulong, TaskCompletionSource> _slots = [];
    private readonly List<(ulong First, ulong Last, CommitId Id)> _proposed = [];
    private readonly List<(ulong First, ulong Last)> _dropped = [];
    private readonly List<(ulong Lsn, TaskCompletionSource<CommitId> Source)> _commitWaiters = [];
    private readonly List<(ulong Lsn, TaskCompletionSource<CommitId?> Source)> _idWaiters = [];
    private readonly List<(ulong Lsn, TaskCompletionSource Source)> _coverWaiters = [];
    private readonly List<TaskCompletionSource> _heldReads = [];
    private readonly List<TaskCompletionSource> _draftSignals = [];
    private ulong _ticket;
    private ulong _holder;
    private long _index = 1;
    private long _term = 1;
    private bool _holdsCommits;
    private bool _holdsProposals;
    private bool _holdsReads;
    private bool _work;
    private bool _disposed;
    private bool _pagesOpen = true;
    private bool _canWrite = true;
    private bool _losesNextSlot;
    private int _failing;

    public LocalEngine(TimeSpan? slotHold = null)
    {
        _directory = Directory.CreateTempSubdirectory("dqlite-ado-").FullName;
        Path = System.IO.Path.Combine(_directory, "app.db");
        var sums = System.IO.Path.Combine(_directory, "app.sums");
        var checksum = PageDatabase.CreateFiles(Path, sums, 4096, 0);
        Pages = PageDatabase.Open(
            new PageDatabaseOptions { Path = Path, SumsPath = sums, PageSize = 4096, PageCount = 1, Checksum = checksum, SlotHold = slotHold ?? TimeSpan.FromSeconds(30) }, this);
        Pages.SetServing(ShimResult.Ok);
        Pages.Lead(_term);
        _thread = new Thread(Run) { IsBackground = true, Name = "local engine" };
        _thread.Start();
    }

    public string Name => "app";

    public string Path { get; }

    public IPageStore Pages { get; }

    /// <summary>Under the lock: a change of leader is one step for those who ask.</summary>
    public bool CanWrite
    {
        get
        {
            lock (_gate)
            {
                return _canWrite;
            }
        }
    }

    public string? LeaderAddress { get; set; }

    public long AppliedIndex { get; private set; } = 1;

    /// <summary>How many entries were proposed, and how many drafts they carried.</summary>
    public int Proposals { get; private set; }

    public int Drafts { get; private set; }

    public int ReadsBegun { get; private set; }

    public (ReadConsistency Level, long SessionIndex, TimeSpan MaxStaleness) LastRead { get; private set; }

    /// <summary>What the next reads fail with.</summary>
    public Exception? ReadFailure { get; set; }

    /// <summary>Drafts are proposed, and then wait.</summary>
    public void HoldCommits() => Change(() => _holdsCommits = true);

    /// <summary>Lets commits go on.</summary>
    /// <param name="dropping">Those that wait are dropped: leadership was lost, and is won again at once.</param>
    public void ReleaseCommits(bool dropping = false) => Change(() =>
    {
        _holdsCommits = false;
        if (dropping)
        {
            FenceLocked();
            LeadLocked();
        }
    });

    /// <summary>Drafts are not even proposed: they have no commit id.</summary>
    public void HoldProposals() => Change(() => _holdsProposals = true);

    public void ReleaseProposals() => Change(() => _holdsProposals = false);

    public void HoldReads() => Change(() => _holdsReads = true);

    public void ReleaseReads()
    {
        List<TaskCompletionSource> held = [];
        Change(() =>
        {
            _holdsReads = false;
            held.AddRange(_heldReads);
            _heldReads.Clear();
        });
        held.ForEach(read => read.SetResult());
    }

    /// <summary>The next n entries are dropped: leadership is lost, and won again at once.</summary>
    public void FailNextCommits(int count = 1) => Change(() => _failing = count);

    /// <summary>The next slot that is granted is lost before it is used.</summary>
    public void LoseNextSlot() => _losesNextSlot = true;

    /// <summary>Leadership is lost: every draft above the committed state is gone.</summary>
    public void Fence() => Change(FenceLocked);

    /// <summary>Leadership is won again.</summary>
    public void Lead() => Change(LeadLocked);

    /// <summary>The node stops: what is undecided stays so.</summary>
    public void Stop()
    {
        lock (_gate)
        {
            _canWrite = false;
            Turn();
            foreach (var (lsn, source) in _commitWaiters)
            {
                source.TrySetException(new DqliteUnknownOutcomeException(null, IdOf(lsn)));
            }

            _commitWaiters.Clear();
            _pagesOpen = false;
            Pages.Dispose();
        }
    }

    /// <summary>Takes the slot from whoever was granted it last.</summary>
    public bool RevokeWriter() => Pages.RevokeSlot(_holder, ShimResult.SlotRevoked);

    /// <summary>Completes when a draft was made after this call.</summary>
    public Task NextDraft()
    {
        lock (_gate)
        {
            var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _draftSignals.Add(source);
            return source.Task;
        }
    }

    public Task BeginReadAsync(ReadConsistency level, long sessionIndex, TimeSpan maxStaleness)
    {
        lock (_gate)
        {
            ReadsBegun++;
            LastRead = (level, sessionIndex, maxStaleness);
            if (ReadFailure is { } failure)
            {
                return Task.FromException(failure);
            }

            if (!_holdsReads)
            {
                return Task.CompletedTask;
            }

            var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _heldReads.Add(source);
            return source.Task;
        }
    }

    public ulong NextTicket() => Interlocked.Increment(ref _ticket);

    public Task AcquireWriterAsync(ulong ticket)
    {
        var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (!_canWrite)
            {
                return Task.FromException(NotLeader());
            }

            _slots.Add(ticket, source);
        }

        var rc = Pages.RequestSlot(ticket);
        if (rc == ShimResult.Busy)
        {
            return source.Task;
        }

        lock (_gate)
        {
            _slots.Remove(ticket);
        }

        _holder = rc == ShimResult.Ok ? ticket : _holder;
        if (_losesNextSlot)
        {
            _losesNextSlot = false;
            Change(() =>
            {
                FenceLocked();
                LeadLocked();
            });
        }

        return rc == ShimResult.Ok ? Task.CompletedTask : Task.FromException(NotLeader());
    }

    public void ReleaseWriter(ulong ticket)
    {
        lock (_gate)
        {
            _slots.Remove(ticket);
            if (!_pagesOpen)
            {
                return;
            }
        }

        if (!Pages.CancelSlot(ticket))
        {
            Pages.ReleaseSlot(ticket);
        }
    }

    public Task<CommitId> WaitCommittedAsync(ulong lsn)
    {
        lock (_gate)
        {
            if (IsDropped(lsn))
            {
                return Task.FromException<CommitId>(Lost());
            }

            if (lsn <= Pages.State.CommittedLsn)
            {
                return Task.FromResult(IdOf(lsn)!.Value);
            }

            var source = new TaskCompletionSource<CommitId>(TaskCreationOptions.RunContinuationsAsynchronously);
            _commitWaiters.Add((lsn, source));
            return source.Task;
        }
    }

    public Task WaitCoveredAsync(ulong snapshotLsn)
    {
        lock (_gate)
        {
            if (IsDropped(snapshotLsn))
            {
                return Task.FromException(Lost());
            }

            if (!_pagesOpen || snapshotLsn <= Pages.State.CommittedLsn)
            {
                return Task.CompletedTask;
            }

            var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _coverWaiters.Add((snapshotLsn, source));
            return source.Task;
        }
    }

    public Task<CommitId?> GetCommitIdAsync(ulong lsn)
    {
        lock (_gate)
        {
            if (IdOf(lsn) is { } id)
            {
                return Task.FromResult<CommitId?>(id);
            }

            if (IsDropped(lsn))
            {
                return Task.FromResult<CommitId?>(null);
            }

            var source = new TaskCompletionSource<CommitId?>(TaskCreationOptions.RunContinuationsAsynchronously);
            _idWaiters.Add((lsn, source));
            return source.Task;
        }
    }

    public Task<CommitOutcome> GetOutcomeAsync(CommitId commit, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            var (_, last, id) = _proposed.Find(entry => entry.Id == commit);
            return Task.FromResult(
                id != commit || IsDropped(last) ? CommitOutcome.NotCommitted
                : last <= Pages.State.CommittedLsn ? CommitOutcome.Committed
                : CommitOutcome.Undecided);
        }
    }

    public Task ExportAsync(string path, CancellationToken cancellationToken) => Task.FromException(new NotSupportedException());

    /// <summary>On the thread of the writer, inside SQLite.</summary>
    public void OnDraft()
    {
        lock (_gate)
        {
            _draftSignals.ForEach(source => source.TrySetResult());
            _draftSignals.Clear();
        }

        Change(static () => { });
    }

    public void OnSlot(ulong ticket, int resultCode)
    {
        TaskCompletionSource? source;
        lock (_gate)
        {
            _slots.Remove(ticket, out source);
        }

        if (resultCode == ShimResult.Ok)
        {
            _holder = ticket;
            source?.TrySetResult();
        }
        else
        {
            source?.TrySetException(NotLeader());
        }
    }

    public int ReadBarrier() => ShimResult.Ok;

    public void OnRot(uint pageNumber) => throw new InvalidOperationException($"Page {pageNumber} is damaged.");

    public void Dispose()
    {
        Change(() => _disposed = true);
        _thread.Join();
        lock (_gate)
        {
            if (_pagesOpen)
            {
                _pagesOpen = false;
                Pages.Dispose();
            }
        }

        Directory.Delete(_directory, recursive: true);
    }

    private DqliteException NotLeader() => DqliteErrors.NotLeader(LeaderAddress);

    private DqliteException Lost() => DqliteErrors.Transient(ShimResult.LeadershipLost, "Leadership was lost; the transaction had no effect.", LeaderAddress);

    private void Change(Action change)
    {
        lock (_gate)
        {
            change();
            _work = true;
            Monitor.PulseAll(_gate);
        }
    }

    private void Run()
    {
        lock (_gate)
        {
            while (!_disposed)
            {
                if (!_work)
                {
                    Monitor.Wait(_gate);
                    continue;
                }

                _work = false;
                if (_pagesOpen)
                {
                    Turn();
                }
            }
        }
    }

    private void Turn()
    {
        while (!_holdsProposals && Pages.Poll(1 << 20) is { } batch)
        {
            using (batch)
            {
                _index++;
                Proposals++;
                Drafts += batch.Drafts;
                _proposed.Add((batch.LsnFirst, batch.LsnLast, new CommitId(Name, _index, _term)));
            }

            Complete(_idWaiters, lsn => IdOf(lsn) is { } id ? source => source.TrySetResult(id) : null);
            if (_failing > 0)
            {
                _failing--;
                FenceLocked();
                LeadLocked();
            }
        }

        if (!_holdsCommits && _proposed.Count > 0 && _proposed[^1] is var newest && !IsDropped(newest.Last) && newest.Last > Pages.State.CommittedLsn)
        {
            Pages.Commit(newest.Last);
            AppliedIndex = _index;
            var committed = Pages.State.CommittedLsn;
            Complete(_commitWaiters, lsn => lsn <= committed ? source => source.TrySetResult(IdOf(lsn)!.Value) : null);
            Complete(_coverWaiters, lsn => lsn <= committed ? source => source.TrySetResult() : null);
        }
    }

    private void FenceLocked()
    {
        _canWrite = false;
        var committed = Pages.State.CommittedLsn;
        Pages.Fence(committed);

        // After the fence: a writer drafts without the lock of this class, and none is dropped that the range does not hold.
        _dropped.Add((committed + 1, Pages.State.LastLsn));
        Complete(_commitWaiters, lsn => IsDropped(lsn) ? source => source.TrySetException(Lost()) : null);
        Complete(_coverWaiters, lsn => IsDropped(lsn) ? source => source.TrySetException(Lost()) : null);
        Complete(_idWaiters, lsn => IsDropped(lsn) ? source => source.TrySetResult(null) : null);
    }

    private void LeadLocked()
    {
        Pages.Lead(++_term);
        _canWrite = true;
    }

    private static void Complete<T>(List<(ulong Lsn, T Source)> waiters, Func<ulong, Action<T>?> decide) => waiters.RemoveAll(waiter =>
    {
        var action = decide(waiter.Lsn);
        action?.Invoke(waiter.Source);
        return action is not null;
    });

    private CommitId? IdOf(ulong lsn)
    {
        var entry = _proposed.FindLast(entry => lsn >= entry.First && lsn <= entry.Last);
        return entry.Last == 0 ? null : entry.Id;
    }

    private bool IsDropped(ulong lsn) => _dropped.Exists(range => lsn >= range.First && lsn <= range.Last);
}
