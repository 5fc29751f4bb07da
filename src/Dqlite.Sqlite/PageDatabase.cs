using System.Runtime.CompilerServices;
using System.Text;
using Dqlite.Sqlite.Native;

namespace Dqlite.Sqlite;

/// <summary>
/// The page version store of one database: drafts come out of it, committed pages go into it, and connections opened with
/// <c>Vfs=dqlite</c> on its path read and write through it. Any member may be called from any thread; <see cref="Checkpoint"/> by one
/// at a time. LSNs are local to the process and never reused. native/dqlite_shim.h states the outcomes.
/// </summary>
public sealed class PageDatabase : IPageStore
{
    private readonly DatabaseHandle _handle;
    private readonly PageDatabaseEventTable.Receiver _receiver;

    private PageDatabase(DatabaseHandle handle, PageDatabaseEventTable.Receiver receiver, PageDatabaseOptions options)
    {
        _handle = handle;
        _receiver = receiver;
        Path = options.Path;
        PageSize = options.PageSize;
    }

    /// <summary>Path of the database file.</summary>
    public string Path { get; }

    /// <summary>Page size in bytes.</summary>
    public int PageSize { get; }

    /// <summary>The first exception that an event handler threw, or null.</summary>
    public Exception? EventFailure => _receiver.Failure;

    /// <summary>The state at this moment.</summary>
    /// <exception cref="ShimException">The database is poisoned.</exception>
    public PageDatabaseState State
    {
        get
        {
            Check(NativeMethods.DatabaseGetState(_handle, out var state), "state");
            return state;
        }
    }

    /// <summary>Creates the files of an empty database and fsyncs them; the directory is the caller's to fsync.</summary>
    /// <param name="path">The database file.</param>
    /// <param name="sumsPath">The file of page checksums.</param>
    /// <param name="pageSize">Page size in bytes.</param>
    /// <param name="autoVacuum">0 none, 1 full, 2 incremental.</param>
    /// <returns>The checksum of the database, of one page.</returns>
    /// <exception cref="ShimException">It failed.</exception>
    public static ulong CreateFiles(string path, string sumsPath, int pageSize, uint autoVacuum)
    {
        PageChecksum.RequirePageSize(pageSize, nameof(pageSize));
        ShimRuntime.EnsureInitialized();
        ShimResult.Check(NativeMethods.DatabaseCreateFiles(path, sumsPath, (uint)pageSize, autoVacuum, out var checksum), "create database files", path);
        return checksum;
    }

    /// <summary>Opens the files and registers the path. It does not lead, and serves after <see cref="SetServing"/>.</summary>
    /// <param name="options">How.</param>
    /// <param name="events">Gets the events until <see cref="Dispose"/>.</param>
    /// <exception cref="ShimException">The files are missing, do not match, or are open already.</exception>
    public static PageDatabase Open(PageDatabaseOptions options, IPageDatabaseEvents events)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(events);
        PageChecksum.RequirePageSize(options.PageSize, nameof(options));
        ShimRuntime.EnsureInitialized();
        var handle = new DatabaseHandle();
        var receiver = PageDatabaseEventTable.Add(events);
        try
        {
            ShimResult.Check(OpenNative(options, receiver.Id, out var database), "open database", options.Path);
            handle.Adopt(database);
            return new PageDatabase(handle, receiver, options);
        }
        catch
        {
            PageDatabaseEventTable.Remove(receiver);
            throw;
        }
    }

    private static unsafe int OpenNative(PageDatabaseOptions options, nint receiverId, out nint database)
    {
        fixed (byte* path = Encoding.UTF8.GetBytes(options.Path + '\0'))
        fixed (byte* sumsPath = Encoding.UTF8.GetBytes(options.SumsPath + '\0'))
        {
            var config = new NativeDatabaseConfig
            {
                StructSize = (uint)Unsafe.SizeOf<NativeDatabaseConfig>(),
                PageSize = (uint)options.PageSize,
                Path = path,
                SumsPath = sumsPath,
                PageCount = options.PageCount,
                Checksum = options.Checksum,
                MaxTransactionBytes = checked((ulong)options.MaxTransactionBytes),
                MaxUndecidedBytes = checked((ulong)options.MaxUndecidedBytes),
                MaxVersionBytes = checked((ulong)options.MaxVersionBytes),
                SpillBytes = checked((ulong)options.SpillBytes),
                SlotTimeoutNs = Nanoseconds(options.SlotTimeout),
                CommitTimeoutNs = Nanoseconds(options.CommitTimeout),
                SlotHoldNs = Nanoseconds(options.SlotHold),
                Context = (void*)receiverId,
                OnDraft = &PageDatabaseEventTable.OnDraft,
                OnSlot = &PageDatabaseEventTable.OnSlot,
                ReadBarrier = &PageDatabaseEventTable.ReadBarrier,
                OnRot = &PageDatabaseEventTable.OnRot,
            };
            return NativeMethods.DatabaseOpen(in config, out database);
        }
    }

    /// <summary>Sets what every read lock answers.</summary>
    /// <param name="resultCode"><see cref="ShimResult.Ok"/>: reads are served.</param>
    public void SetServing(int resultCode) => Check(NativeMethods.DatabaseSetServing(_handle, resultCode), "set serving");

    /// <summary>Sets what whoever asks for the writer slot gets.</summary>
    /// <param name="resultCode"><see cref="ShimResult.Ok"/>: the slot. 13 (SQLITE_FULL): the log has no room.</param>
    public void SetDrafting(int resultCode) => Check(NativeMethods.DatabaseSetDrafting(_handle, resultCode), "set drafting");

    /// <summary>Until this moment plain connections at level Linearizable read without asking.</summary>
    /// <param name="deadlineNs">Of <see cref="MonotonicClock.NowNs"/>; 0: always ask.</param>
    public void SetLease(long deadlineNs) => NativeMethods.DatabaseSetLease(_handle, deadlineNs);

    /// <summary>Opens drafting. Every draft must be committed or gone.</summary>
    /// <param name="term">The term that the drafts carry.</param>
    public void Lead(long term) => Check(NativeMethods.DatabaseLead(_handle, checked((ulong)term)), "lead");

    /// <summary>Closes drafting and drops every draft that is not committed.</summary>
    /// <param name="proposedLsn">Commits of drafts up to here wait for <see cref="Resolve"/>; later ones fail at once.</param>
    public void Fence(ulong proposedLsn) => Check(NativeMethods.DatabaseFence(_handle, proposedLsn), "fence");

    /// <summary>The log decided drafts of an earlier term.</summary>
    /// <param name="first">First LSN.</param>
    /// <param name="last">Last LSN.</param>
    /// <param name="committed">Their pages have been applied under newer LSNs already.</param>
    public void Resolve(ulong first, ulong last, bool committed) =>
        Check(NativeMethods.DatabaseResolve(_handle, first, last, committed ? 1 : 0), "resolve");

    /// <summary>Takes whole drafts, oldest first, coalesced.</summary>
    /// <param name="maxBytes">About how much; at least one draft.</param>
    /// <returns>Null when none is queued. The caller disposes it.</returns>
    public IDraftBatch? Poll(long maxBytes)
    {
        ThrowIfEventFailed();
        Check(NativeMethods.DatabasePoll(_handle, checked((ulong)maxBytes), out var batch), "poll");
        return batch == 0 ? null : DraftBatch.Adopt(batch, Path);
    }

    /// <summary>Raft committed everything up to a draft of this node.</summary>
    /// <param name="lsn">The draft.</param>
    public void Commit(ulong lsn)
    {
        ThrowIfEventFailed();
        Check(NativeMethods.DatabaseCommit(_handle, lsn), "commit");
    }

    /// <summary>Raft committed an entry of another node (or one replayed): its pages become the next LSN.</summary>
    /// <param name="pageNumbers">Which pages.</param>
    /// <param name="images">Their images, one after the other in that order.</param>
    /// <param name="pageCount">Of the database after it.</param>
    /// <param name="checksum">Of the database after it; 0: not compared.</param>
    /// <returns>The new LSN.</returns>
    /// <exception cref="ShimException">The result has another checksum (code 11); nothing moved.</exception>
    public unsafe ulong Apply(ReadOnlySpan<uint> pageNumbers, ReadOnlySpan<byte> images, uint pageCount, ulong checksum)
    {
        if (images.Length != (long)pageNumbers.Length * PageSize)
        {
            throw new ArgumentException($"{pageNumbers.Length} pages of {PageSize} bytes do not make {images.Length} bytes.", nameof(images));
        }

        ThrowIfEventFailed();
        fixed (uint* numbers = pageNumbers)
        fixed (byte* bytes = images)
        {
            Check(NativeMethods.DatabaseApply(_handle, (uint)pageNumbers.Length, numbers, bytes, pageCount, checksum, out var lsn), "apply");
            return lsn;
        }
    }

    /// <summary>Reads a page of the committed state.</summary>
    /// <param name="pageNumber">From 1 to its page count; not the lock page.</param>
    /// <param name="destination">Exactly one page.</param>
    /// <exception cref="ShimException">There is no such page (code 12), or it does not have its checksum.</exception>
    public unsafe void ReadPage(uint pageNumber, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, PageSize, nameof(destination));
        fixed (byte* page = destination)
        {
            var code = NativeMethods.DatabasePage(_handle, pageNumber, page);
            if (code != ShimResult.Ok)
            {
                Check(code, $"read page {pageNumber}");
            }
        }
    }

    /// <summary>Begins to collect the pages of an entry that comes in parts.</summary>
    public IPageStage OpenStage()
    {
        Check(NativeMethods.StageOpen(_handle, out var stage), "open stage");
        return PageStage.Adopt(stage, this);
    }

    /// <summary>Writes the state at an LSN to the file and fsyncs it. One at a time, on a thread of its own.</summary>
    /// <param name="lsn">The committed one, or that of an open snapshot (other states may be gone: code 5). The caller has made copies of
    /// what is overwritten, and this target, durable before.</param>
    /// <param name="filedFrom">Pages from this one on lie in the file already; 0: none.</param>
    /// <returns>What the file then holds; to be made durable before <see cref="CheckpointDone"/>.</returns>
    /// <exception cref="ShimException">It failed; the file must be restored from the copies.</exception>
    public (uint PageCount, ulong Checksum) Checkpoint(ulong lsn, uint filedFrom = 0)
    {
        Check(NativeMethods.DatabaseCheckpoint(_handle, lsn, filedFrom, out var pageCount, out var checksum), "checkpoint");
        return (pageCount, checksum);
    }

    /// <summary>The pages that a checkpoint to this state would write now.</summary>
    /// <param name="lsn">As for <see cref="Checkpoint"/>.</param>
    /// <returns>Ascending; some may lie above the state's page count.</returns>
    public unsafe uint[] CheckpointPages(ulong lsn)
    {
        var pages = new uint[State.DirtyPages];
        while (true)
        {
            fixed (uint* first = pages)
            {
                Check(NativeMethods.DatabaseCheckpointPages(_handle, lsn, first, (uint)pages.Length, out var count), "list the pages of a checkpoint");
                if (count <= pages.Length)
                {
                    return pages[..(int)count];
                }

                pages = new uint[count];
            }
        }
    }

    /// <summary>"Done" is durable: the versions that nobody needs are dropped.</summary>
    /// <param name="lsn">As given to <see cref="Checkpoint"/>.</param>
    public void CheckpointDone(ulong lsn) => Check(NativeMethods.DatabaseCheckpointDone(_handle, lsn), "finish checkpoint");

    /// <summary>The files were replaced: starts a new generation. Open readers keep the old one.</summary>
    /// <param name="pageCount">Of the new files.</param>
    /// <param name="checksum">Of the new files.</param>
    public void Reopen(uint pageCount, ulong checksum) => Check(NativeMethods.DatabaseReopen(_handle, pageCount, checksum), "reopen");

    /// <summary>A consistent view of what is committed, pinned until disposed.</summary>
    public IPageSnapshot OpenSnapshot()
    {
        Check(NativeMethods.SnapshotOpen(_handle, out var snapshot, out var lsn, out var pageCount, out var checksum), "open snapshot");
        return PageSnapshot.Adopt(snapshot, this, lsn, pageCount, checksum);
    }

    /// <summary>Asks for the writer slot. Allocates nothing.</summary>
    /// <param name="ticket">A nonzero number, unique per database.</param>
    /// <returns><see cref="ShimResult.Ok"/> granted; <see cref="ShimResult.Busy"/> queued, <see cref="IPageDatabaseEvents.OnSlot"/> follows;
    /// <see cref="ShimResult.NotLeader"/> drafting is closed; else another code.</returns>
    public int RequestSlot(ulong ticket) => NativeMethods.SlotRequest(_handle, ticket);

    /// <summary>Withdraws a queued request.</summary>
    /// <param name="ticket">The ticket.</param>
    /// <returns>False when it was granted before; the caller then releases it.</returns>
    public bool CancelSlot(ulong ticket) => NativeMethods.SlotCancel(_handle, ticket) != 0;

    /// <summary>Gives the slot back; does nothing when the ticket does not have it.</summary>
    /// <param name="ticket">The ticket.</param>
    public void ReleaseSlot(ulong ticket) => NativeMethods.SlotRelease(_handle, ticket);

    /// <summary>Takes the slot from its holder, whose transaction can no longer commit.</summary>
    /// <param name="ticket">The holder's ticket.</param>
    /// <param name="resultCode">What its next call gets.</param>
    /// <returns>Whether the ticket had the slot.</returns>
    public bool RevokeSlot(ulong ticket, int resultCode) => NativeMethods.SlotRevoke(_handle, ticket, resultCode) != 0;

    /// <summary>Unregisters the path. Open connections answer <see cref="ShimResult.NotLeader"/> for good; events end,
    /// except a read barrier that is running. Never from an event handler.</summary>
    public void Dispose()
    {
        _handle.Dispose();
        PageDatabaseEventTable.Remove(_receiver);
    }

    internal void Check(int code, string operation) => ShimResult.Check(code, operation, Path);

    private static long Nanoseconds(TimeSpan span) => checked(span.Ticks * 100);

    internal void ThrowIfEventFailed()
    {
        if (_receiver.Failure is { } failure)
        {
            throw new InvalidOperationException($"An event handler of database '{Path}' failed: {failure.Message}", failure);
        }
    }
}
