using System.Collections.Concurrent;
using Dqlite.Net.Storage;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>A checkpoint that was begun: the view that it writes, and the log index that it stands for.</summary>
internal sealed record CheckpointJob(ReplicatedDatabase Database, IPageSnapshot View, LogIndex Index);

/// <summary>An entry of this database that was proposed here and is not decided yet.</summary>
internal readonly record struct ProposedBatch(ulong First, ulong Last, LogIndex Index, Term Term);

/// <summary>
/// One database on one node: the only place where LSNs and log indexes meet. Members under "loop" belong to the node's loop; the rest is
/// thread-safe and called by connections.
/// </summary>
internal sealed partial class ReplicatedDatabase : IDatabaseEngine, IPageDatabaseEvents, IDisposable
{
    private readonly INodeServices _node;
    private readonly CommitLedger _ledger;
    private readonly ConcurrentDictionary<ulong, TaskCompletionSource> _slotWaiters = new();
    private readonly Queue<ProposedBatch> _inflight = new();
    private readonly List<ProposedBatch> _undecided = [];
    private readonly Queue<(long First, long Last, long Bytes)> _marks = new();
    private long _nextTicket;
    private ulong _slotHolder;
    private long _slotHeldSinceNs;
    private long _lastIndex;
    private long _plainLeaseNs;
    private Exception? _stopped;
    private volatile bool _mustPropose;
    private bool _isLogFull;

    private ReplicatedDatabase(INodeServices node, DatabaseFiles files, DatabaseMetaFile metaFile)
    {
        var meta = metaFile.Meta;
        _node = node;
        Files = files;
        Pages = null!;
        MetaFile = metaFile;
        _ledger = new CommitLedger(meta.Name, () => node.LeaderAddress);
        _lastIndex = meta.LastEntry.Value;
        ProposedIndex = meta.LastEntry.Value;
        IsPublished = meta.IsPublished;
    }

    /// <inheritdoc/>
    public string Name => Meta.Name;

    /// <inheritdoc/>
    public string Path => Files.DatabasePath;

    /// <inheritdoc/>
    public IPageStore Pages { get; private set; }

    /// <inheritdoc/>
    public bool CanWrite => _node.CanWrite && _stopped is null;

    /// <inheritdoc/>
    public string? LeaderAddress => _node.LeaderAddress;

    /// <inheritdoc/>
    public long AppliedIndex => Volatile.Read(ref _lastIndex);

    /// <summary>Its files.</summary>
    public DatabaseFiles Files { get; }

    /// <summary>NAME.meta: written by the loop, or by the checkpoint while one runs.</summary>
    public DatabaseMetaFile MetaFile { get; private set; }

    /// <summary>What NAME.meta holds.</summary>
    public DatabaseMeta Meta => MetaFile.Meta;

    /// <summary>Log index of its create entry.</summary>
    public long Id => Meta.DatabaseId;

    /// <summary>Loop: whether it is visible (an import in progress is not).</summary>
    public bool IsPublished { get; set; }

    /// <summary>Loop: this node has proposed to drop it, so nothing more is proposed for it. A new term begins afresh: then the drop is decided.</summary>
    public bool IsDropProposed { get; set; }

    /// <summary>Loop: index of the last entry of this database that was proposed or applied here.</summary>
    public long ProposedIndex { get; private set; }

    /// <summary>Loop: the file holds everything up to this index.</summary>
    public long DoneIndex => Meta.CheckpointDone.Value;

    /// <summary>Loop: a checkpoint of it is running.</summary>
    public bool IsCheckpointing { get; set; }

    /// <summary>Whether it was dropped, or the node has stopped. Any thread.</summary>
    public bool IsStopped => _stopped is not null;

    /// <summary>Loop: it was published while a checkpoint ran, and NAME.meta does not say so yet.</summary>
    public bool HasUnsavedPublication => IsPublished && !Meta.IsPublished;

    /// <summary>Loop: bytes of entries applied since the last checkpoint.</summary>
    public long PendingBytes { get; private set; }

    /// <summary>Loop: index of the first entry that the file lacks, or 0.</summary>
    public long FirstPendingIndex => _marks.TryPeek(out var mark) ? mark.First : FirstPartIndex;

#if MUTANTS
    /// <summary>D7b: where the transaction ends that begins there.</summary>
    public long FirstPendingEnd => _marks.TryPeek(out var mark) ? mark.Last : 0;

#endif
    /// <summary>Opens the files of a database. Loop.</summary>
    public static ReplicatedDatabase Open(INodeServices node, DqliteNodeOptions options, DatabaseFiles files, DatabaseMetaFile metaFile)
    {
        var meta = metaFile.Meta;
        var database = new ReplicatedDatabase(node, files, metaFile);
        database.Pages = node.PageStores.Open(
            new PageDatabaseOptions
            {
                Path = files.DatabasePath,
                SumsPath = files.SumsPath,
                PageSize = meta.PageSize,
                PageCount = meta.PageCount,
                Checksum = meta.Checksum,
                MaxTransactionBytes = options.MaxTransactionBytes,
                MaxUndecidedBytes = options.MaxUndecidedBytes,
                MaxVersionBytes = options.MaxVersionBytes,
                SpillBytes = options.SpillBytes,
                SlotTimeout = options.PlainWriterTimeout,
                CommitTimeout = options.PlainCommitTimeout,
                SlotHold = options.MaxWriteTransactionHold,
            },
            database);
        database.Pages.SetServing(ShimResult.Ok);
        return database;
    }

    /// <summary>Loop: this node leads and has applied everything: drafts are taken.</summary>
    public void Lead(Term term)
    {
        ProposedIndex = _lastIndex;
        IsDropProposed = false;
        _plainLeaseNs = 0;
        Pages.Lead(term.Value);
    }

    /// <summary>Loop: until when plain connections need not ask. Where something may be committed and not applied they cannot wait for it: they ask.</summary>
    public void SetPlainLease(long deadlineNs, bool isBehind)
    {
        var leaseNs = isBehind && _inflight.Count > 0 ? 0 : deadlineNs;
        if (leaseNs != _plainLeaseNs)
        {
            _plainLeaseNs = leaseNs;
            Pages.SetLease(leaseNs);
        }
    }

    /// <summary>Loop: takes all queued drafts as one entry, or null.</summary>
    public IDraftBatch? Poll(int maxPipelinedEntries, long maxBytes)
    {
        // Somebody needs the commit id of a draft, so it must get an index, even without a quorum in sight.
        if (_cut is not null || IsDropProposed || (_inflight.Count >= maxPipelinedEntries && !_mustPropose))
        {
            return null;
        }

        var batch = Pages.Poll(maxBytes);
        if (batch is null)
        {
            _mustPropose = false;
        }

        return batch;
    }

    /// <summary>Loop: a batch was appended to the log.</summary>
    public void OnProposed(IDraftBatch batch, LogIndex index, Term term)
    {
        _inflight.Enqueue(new ProposedBatch(batch.LsnFirst, batch.LsnLast, index, term));
        ProposedIndex = index.Value;
        _ledger.OnProposed(batch.LsnFirst, batch.LsnLast, index.Value, term.Value);
    }

    /// <summary>Loop: the right to write is lost. Proposed drafts wait for the log; the others are gone.</summary>
    public void Fence()
    {
        var proposed = _inflight.Count > 0 ? _inflight.Last().Last : Pages.State.CommittedLsn;
        Pages.Fence(proposed);
        FenceCuts();
        _undecided.AddRange(_inflight);
        _inflight.Clear();
        _ledger.OnFence(proposed, Pages.State.LastLsn);
        Volatile.Write(ref _slotHolder, 0);
    }

    /// <summary>Loop: a committed entry of this database.</summary>
    public void ApplyPages(LogEntry entry, in PagesHeader header)
    {
        var index = entry.Index.Value;
        if (index <= _lastIndex)
        {
            return;
        }

        RequireBase(index, header.PreviousIndex);
        ulong lsn;
        if (_inflight.TryPeek(out var own) && own.Index == entry.Index && own.Term == entry.Term)
        {
            _inflight.Dequeue();
            lsn = own.Last;
            Pages.Commit(lsn);
        }
        else
        {
            lsn = EntryCodec.ApplyPages(entry.Payload.Span, header, Pages);
        }

        OnTookEffect(index, index, entry.Payload.Length, lsn);
    }

    /// <summary>Loop: the log has not decided about everything that was proposed here before leadership was lost.</summary>
    public bool HasUndecided => _undecided.Count > 0;

    /// <summary>Loop: an entry, of whatever kind, was committed at this index: it decides about fenced batches.</summary>
    public void Decide(LogIndex index, Term term)
    {
        for (var i = _undecided.Count - 1; i >= 0; i--)
        {
            var batch = _undecided[i];
            if (LogDecision.IsDecided(batch.Index, batch.Term, index, term))
            {
                _undecided.RemoveAt(i);
                var committed = batch.Index == index && batch.Term == term;
#if MUTANTS
                committed |= Mutant.Is("R46c") && batch.Index == index;
#endif
                Pages.Resolve(batch.First, batch.Last, committed);
                _ledger.OnResolved(batch.First, committed);
            }
        }
    }

    /// <summary>Loop: decides every fenced batch up to an index by the table of term starts (after an install).</summary>
    public void DecideUpTo(LogIndex index, Func<LogIndex, Term?> termAt)
    {
        foreach (var batch in _undecided.Where(batch => batch.Index <= index).ToArray())
        {
            Decide(batch.Index, termAt(batch.Index) ?? Term.Zero);
        }

        Decide(index, termAt(index) ?? Term.Zero);
    }

    /// <summary>
    /// Loop: begins a checkpoint of what is applied now. The view keeps that state together until the pages are written; they may be
    /// written once this node's own log is durable up to the index.
    /// </summary>
    public CheckpointJob? BeginCheckpoint()
    {
        if (IsCheckpointing || _marks.Count == 0)
        {
            return null;
        }

        IsCheckpointing = true;
        return new CheckpointJob(this, Pages.OpenSnapshot(), new LogIndex(_lastIndex));
    }

    /// <summary>Loop: a checkpoint has finished, and NAME.meta says how far it went.</summary>
    public void OnCheckpointed()
    {
        while (_marks.TryPeek(out var mark) && mark.Last <= DoneIndex)
        {
            PendingBytes -= mark.Bytes;
            _marks.Dequeue();
        }
    }

    /// <summary>Loop: an install has replaced the files.</summary>
    public void OnInstalled(DatabaseMetaFile metaFile)
    {
        MetaFile.Dispose();
        MetaFile = metaFile;
        var meta = metaFile.Meta;
        IsPublished = meta.IsPublished;
        DropStage();
        _marks.Clear();
        PendingBytes = 0;
        Volatile.Write(ref _lastIndex, meta.LastEntry.Value);
        ProposedIndex = meta.LastEntry.Value;
        Pages.Reopen(meta.PageCount, meta.Checksum);
        Pages.SetServing(ShimResult.Ok);
        _ledger.OnCommitted(Pages.State.CommittedLsn);
    }

    /// <summary>Loop: revokes an open write transaction of the library's own handles that has kept others waiting for too long.</summary>
    public void RevokeSlowWriter(long nowNs, long maxHoldNs)
    {
        var holder = Volatile.Read(ref _slotHolder);
        if (holder != 0 && !_slotWaiters.IsEmpty && nowNs - Volatile.Read(ref _slotHeldSinceNs) > maxHoldNs && Volatile.Read(ref _slotHolder) == holder)
        {
            Pages.RevokeSlot(holder, ShimResult.SlotRevoked);
        }
    }

    /// <summary>Loop: while the log has no room nobody gets the right to write; whoever has it may finish.</summary>
    public void SetLogFull(bool isFull)
    {
        if (isFull != _isLogFull)
        {
            _isLogFull = isFull;
            Pages.SetDrafting(isFull ? SQLitePCL.raw.SQLITE_FULL : ShimResult.Ok);
        }
    }

    /// <summary>Loop: a callback that threw, or a page store that poisoned itself, stops the node.</summary>
    public void ThrowIfBroken()
    {
        if (Pages.EventFailure is { } failure)
        {
            throw new RaftInvariantException($"A callback of database '{Name}' failed: {failure}");
        }
    }

    /// <inheritdoc/>
    public Task BeginReadAsync(ReadConsistency level, long sessionIndex, TimeSpan maxStaleness) =>
        _stopped is null ? _node.BeginReadAsync(level, sessionIndex, maxStaleness) : Task.FromException(_stopped);

    /// <inheritdoc/>
    public ulong NextTicket() => (ulong)Interlocked.Increment(ref _nextTicket);

    /// <inheritdoc/>
    public Task AcquireWriterAsync(ulong ticket)
    {
        if (_stopped is not null)
        {
            return Task.FromException(_stopped);
        }

        var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _slotWaiters[ticket] = waiter;
        int code;
        try
        {
            code = Pages.RequestSlot(ticket);
        }
        catch (ObjectDisposedException) when (_stopped is not null)
        {
            return Task.FromException(_stopped);
        }

        if (code == ShimResult.Busy)
        {
            if (_stopped is { } reason)
            {
                // Dropped after the look above: no event comes any more.
                waiter.TrySetException(reason);
            }

            return waiter.Task;
        }

        _slotWaiters.TryRemove(ticket, out _);
        if (code == ShimResult.Ok)
        {
            OnSlotTaken(ticket);
            return Task.CompletedTask;
        }

        return Task.FromException(SlotError(code));
    }

    /// <inheritdoc/>
    public void ReleaseWriter(ulong ticket)
    {
        _slotWaiters.TryRemove(ticket, out _);
        try
        {
            if (!Pages.CancelSlot(ticket))
            {
                Pages.ReleaseSlot(ticket);
            }
        }
        catch (ObjectDisposedException) when (_stopped is not null)
        {
            // A connection that outlived its database: the slot went with it.
        }

        Interlocked.CompareExchange(ref _slotHolder, 0, ticket);
    }

    /// <inheritdoc/>
    public Task<CommitId> WaitCommittedAsync(ulong lsn) => _ledger.WaitCommittedAsync(lsn);

    /// <inheritdoc/>
    public Task WaitCoveredAsync(ulong snapshotLsn) => _ledger.WaitCoveredAsync(snapshotLsn);

    /// <inheritdoc/>
    public Task<CommitId?> GetCommitIdAsync(ulong lsn)
    {
        _mustPropose = true;
        _node.OnDraftsQueued();
        return _ledger.GetCommitIdAsync(lsn);
    }

    /// <inheritdoc/>
    public Task<CommitOutcome> GetOutcomeAsync(CommitId commit, CancellationToken cancellationToken) => _node.GetOutcomeAsync(commit, cancellationToken);

    /// <inheritdoc/>
    public Task ExportAsync(string path, CancellationToken cancellationToken) => DatabaseExporter.ExportAsync(this, path, cancellationToken);

    /// <inheritdoc/>
    public void OnDraft() => _node.OnDraftsQueued();

    /// <inheritdoc/>
    public void OnSlot(ulong ticket, int resultCode)
    {
        if (resultCode == ShimResult.Ok)
        {
            OnSlotTaken(ticket);
        }

        if (_slotWaiters.TryRemove(ticket, out var waiter))
        {
            if (resultCode == ShimResult.Ok)
            {
                waiter.TrySetResult();
            }
            else
            {
                waiter.TrySetException(SlotError(resultCode));
            }
        }
        else if (resultCode == ShimResult.Ok)
        {
            // Whoever asked gave up between the grant and this call.
            Pages.ReleaseSlot(ticket);
        }
    }

    /// <inheritdoc/>
    public int ReadBarrier()
    {
        var read = BeginReadAsync(ReadConsistency.Linearizable, 0, TimeSpan.Zero);
        _node.Wait(read);

        // Every failure of a barrier means the same to a plain connection: this node cannot vouch for its state now.
        return read.IsCompletedSuccessfully ? ShimResult.Ok : ShimResult.NotLeader;
    }

    /// <inheritdoc/>
    public void OnRot(uint pageNumber) => _node.OnRot(Name, pageNumber);

    /// <summary>The database goes (dropped, or the node stops): whoever waits gets an answer, handles answer "not leader" for good.</summary>
    public void Stop(Exception reason)
    {
        _stopped = reason;
        _ledger.Stop(reason);
        foreach (var ticket in _slotWaiters.Keys)
        {
            if (_slotWaiters.TryRemove(ticket, out var waiter))
            {
                waiter.TrySetException(reason);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        EndCuts();
        DropStage();
        Pages.Dispose();
        MetaFile.Dispose();
    }

    private void RequireBase(long index, long previousIndex)
    {
        if (previousIndex != _lastIndex)
        {
            throw new RaftInvariantException(
                $"Entry {index} of database '{Name}' was made on top of entry {previousIndex}, but the last one applied is {_lastIndex}.");
        }
    }

    /// <summary>A transaction, or several, took effect with the entry at an index; the first of its entries may lie before it.</summary>
    private void OnTookEffect(long index, long firstIndex, long bytes, ulong lsn)
    {
        Volatile.Write(ref _lastIndex, index);
        ProposedIndex = Math.Max(ProposedIndex, index);
        _marks.Enqueue((firstIndex, index, bytes));
        PendingBytes += bytes;
        _ledger.OnCommitted(lsn);
    }

    private void OnSlotTaken(ulong ticket)
    {
        Volatile.Write(ref _slotHeldSinceNs, _node.NowNs);
        Volatile.Write(ref _slotHolder, ticket);
    }

    private DqliteException SlotError(int code) =>
        code == ShimResult.NotLeader ? DqliteErrors.NotLeader(LeaderAddress)
        : code == SQLitePCL.raw.SQLITE_FULL ? DqliteErrors.DiskFull()
        : DqliteErrors.Transient(code, ShimResult.Describe(code), LeaderAddress);
}
