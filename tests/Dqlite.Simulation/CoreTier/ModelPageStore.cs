using Dqlite.Net.Storage;
using Dqlite.Sqlite;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.CoreTier;

/// <summary>
/// The page version store of one database as a model in managed code: what <see cref="PageDatabase"/> promises, with the shim's result codes and
/// file formats, without SQLite. One thread. A path that is opened twice goes unnoticed, and there is no lock page: databases of the model are
/// far smaller than 1 GiB.
/// </summary>
internal sealed partial class ModelPageStore : IPageStore
{
    private const ulong FirstLsn = 1;

    private readonly IFileSystem _files;
    private readonly PageDatabaseOptions _options;
    private readonly StoreEvents _events;
    private readonly List<PageView> _views = [];
    private readonly List<StoreHandle> _handles = [];
    private readonly byte[] _filePage;
    private PageGeneration _generation;
    private DatabasePoint _committed;
    private DatabasePoint _drafted;
    private ulong _lastLsn = FirstLsn;
    private ulong _checkpointLsn = FirstLsn;
    private long _term;
    private bool _isDisposed;
    private int _draftingCode;
    private ulong _pagesReadFromFile;
    private ulong _pagesReadFromStore;
    private ulong _commits;
    private ulong _fences;

    private ModelPageStore(IFileSystem files, PageDatabaseOptions options, IPageDatabaseEvents events)
    {
        _files = files;
        _options = options;
        _events = new StoreEvents(events);
        Slot = new WriterSlot(_events, () => _term != 0 && _draftingCode == 0 && _undecidedBytes <= options.MaxUndecidedBytes);
        _filePage = new byte[options.PageSize];
        _generation = PageGeneration.Open(files, options, FirstLsn, 1);
        _committed = new DatabasePoint(FirstLsn, options.PageCount, options.Checksum, _generation.SchemaCookie);
        _drafted = _committed;
    }

    /// <summary>What is known of one state of the database.</summary>
    private readonly record struct DatabasePoint(ulong Lsn, uint PageCount, ulong Checksum, uint SchemaCookie);

    /// <inheritdoc/>
    public string Path => _options.Path;

    /// <inheritdoc/>
    public int PageSize => _options.PageSize;

    /// <inheritdoc/>
    public Exception? EventFailure => _events.Failure;

    /// <inheritdoc/>
    public PageDatabaseState State
    {
        get
        {
            ThrowIfDisposed();
            return new PageDatabaseState
            {
                CommittedLsn = _committed.Lsn,
                DraftLsn = _drafted.Lsn,
                Term = (ulong)_term,
                CheckpointLsn = _checkpointLsn,
                UndecidedBytes = (ulong)_undecidedBytes,
                VersionBytes = (ulong)_generation.Versions.Bytes,
                Checksum = _committed.Checksum,
                PageCount = _committed.PageCount,
                PageSize = (uint)PageSize,
                Handles = (uint)_handles.Count,
                Generation = _generation.Number,
                QueuedDrafts = (uint)(_drafts.Count - _polled),
                PagesReadFromFile = _pagesReadFromFile,
                PagesReadFromStore = _pagesReadFromStore,
                Drafts = _draftCount,
                Commits = _commits,
                Fences = _fences,
                DirtyPages = (ulong)_generation.Versions.DirtyPages,
                LastLsn = _lastLsn,
            };
        }
    }

    /// <summary>The right to write.</summary>
    internal WriterSlot Slot { get; }

    /// <summary>Whether drafting is open.</summary>
    internal bool IsLeading => _term != 0;

    /// <summary>0, or what whoever begins to read gets.</summary>
    internal int ServingCode { get; private set; } = ShimResult.NotLeader;

    /// <summary>Opens the files; see <see cref="PageDatabase.Open"/>.</summary>
    /// <exception cref="ShimException">The files are missing, or do not match.</exception>
    public static ModelPageStore Open(IFileSystem files, PageDatabaseOptions options, IPageDatabaseEvents events) => new(files, options, events);

    /// <inheritdoc/>
    public void SetServing(int resultCode)
    {
        ThrowIfDisposed();
        ServingCode = resultCode;
    }

    /// <inheritdoc/>
    public void SetDrafting(int resultCode)
    {
        ThrowIfDisposed();
        _draftingCode = resultCode;
        Slot.Pump();
        _events.Raise();
    }

    /// <summary>Only plain connections look at the lease, and the model has none.</summary>
    public void SetLease(long deadlineNs) => ThrowIfDisposed();

    /// <inheritdoc/>
    public void Reopen(uint pageCount, ulong checksum)
    {
        ThrowIfDisposed();
        Require(_term == 0 && _committed.Lsn == _drafted.Lsn, SQLITE_MISUSE, "reopen");
        var options = _options with { PageCount = pageCount, Checksum = checksum };
        var generation = PageGeneration.Open(_files, options, _lastLsn + 1, _generation.Number + 1);
        _generation.Release();
        _generation = generation;
        _checkpoint = null;
        _checkpointLsn = ++_lastLsn;
        _committed = new DatabasePoint(_lastLsn, pageCount, checksum, generation.SchemaCookie);
        _drafted = _committed;
    }

    /// <inheritdoc/>
    public int RequestSlot(ulong ticket)
    {
        ThrowIfDisposed();
        if (ticket == 0)
        {
            return SQLITE_MISUSE;
        }

        if (_term == 0 || _draftingCode != 0)
        {
            return _term == 0 ? ShimResult.NotLeader : _draftingCode;
        }

        return Slot.Request(ticket) ? ShimResult.Ok : ShimResult.Busy;
    }

    /// <inheritdoc/>
    public bool CancelSlot(ulong ticket)
    {
        ThrowIfDisposed();
        return Slot.Cancel(ticket);
    }

    /// <inheritdoc/>
    public void ReleaseSlot(ulong ticket) => RevokeSlot(ticket, ShimResult.SlotRevoked);

    /// <inheritdoc/>
    public bool RevokeSlot(ulong ticket, int resultCode)
    {
        ThrowIfDisposed();
        if (!Slot.IsHeldBy(ticket))
        {
            return false;
        }

        Slot.TakeFromHolder(resultCode);
        _events.Raise();
        return true;
    }

    /// <summary>A connection's transaction has ended: the slot goes on, if it still had it, and what happened is told.</summary>
    internal void FreeSlotOf(StoreHandle handle)
    {
        if (Slot.IsHeldBy(handle))
        {
            Slot.Free();
        }

        _events.Raise();
    }

    /// <summary>Unregisters: connections answer "not leader" for good, waiters get an answer, events end. Snapshots stay readable.</summary>
    public void Dispose()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        Slot.Close(ShimResult.NotLeader);
        DropDrafts();
        _term = 0;
        foreach (var handle in _handles)
        {
            handle.OnClosed(_committed.Lsn);
        }

        _events.Raise();
        _events.Silence();
        _generation.Release();
    }

    private void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_isDisposed, this);

    private void ThrowIfEventFailed()
    {
        if (_events.Failure is { } failure)
        {
            throw new InvalidOperationException($"An event handler of database '{Path}' failed: {failure.Message}", failure);
        }
    }

    private void Require(bool condition, int code, string operation) => StoreErrors.Require(condition, code, operation, Path);
}
