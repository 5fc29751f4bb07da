using System.Runtime.InteropServices;

namespace Dqlite.Sqlite.Native;

/// <summary>The functions of native/dqlite_shim.h, which states outcomes, owners and threads. No SuppressGCTransition: the shim's
/// clock, waits and system calls go through a table that tests fill with managed functions, and a managed callback out of such a
/// call would end the process.</summary>
internal static unsafe partial class NativeMethods
{
    private const string Library = "dqlite_shim";

    [LibraryImport(Library, EntryPoint = "dq_abi_get")]
    internal static partial void AbiGet(out NativeAbi abi);

    [LibraryImport(Library, EntryPoint = "dq_init")]
    internal static partial int Init(in NativeSqliteApi api);

    [LibraryImport(Library, EntryPoint = "dq_os_set")]
    internal static partial int OsSet(NativeOs* os);

    [LibraryImport(Library, EntryPoint = "dq_os_get")]
    internal static partial NativeOs* OsGet();

    [LibraryImport(Library, EntryPoint = "dq_file_open", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int FileOpen(string path, int flags, int mode);

    [LibraryImport(Library, EntryPoint = "dq_file_close")]
    internal static partial int FileClose(int fd);

    [LibraryImport(Library, EntryPoint = "dq_file_read")]
    internal static partial long FileRead(int fd, void* buffer, long size, long offset);

    [LibraryImport(Library, EntryPoint = "dq_file_write")]
    internal static partial long FileWrite(int fd, void* buffer, long size, long offset);

    [LibraryImport(Library, EntryPoint = "dq_file_writev")]
    internal static partial long FileWriteVectored(int fd, void** buffers, long* sizes, int count, long offset);

    [LibraryImport(Library, EntryPoint = "dq_file_truncate")]
    internal static partial int FileTruncate(int fd, long size);

    [LibraryImport(Library, EntryPoint = "dq_file_allocate")]
    internal static partial int FileAllocate(int fd, long offset, long size);

    [LibraryImport(Library, EntryPoint = "dq_file_datasync")]
    internal static partial int FileDataSync(int fd);

    [LibraryImport(Library, EntryPoint = "dq_file_sync")]
    internal static partial int FileSync(int fd);

    [LibraryImport(Library, EntryPoint = "dq_file_stat")]
    internal static partial int FileStat(int fd, out FileState state);

    [LibraryImport(Library, EntryPoint = "dq_file_rename", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int FileRename(string from, string to);

    [LibraryImport(Library, EntryPoint = "dq_file_unlink", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int FileUnlink(string path);

    [LibraryImport(Library, EntryPoint = "dq_file_lock")]
    internal static partial int FileLock(int fd);

    [LibraryImport(Library, EntryPoint = "dq_dir_sync", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int DirectorySync(string directory);

    [LibraryImport(Library, EntryPoint = "dq_now_ns")]
    internal static partial long NowNs();

    [LibraryImport(Library, EntryPoint = "dq_page_checksum")]
    internal static partial ulong PageChecksum(uint pageNumber, void* page, uint pageSize);

    [LibraryImport(Library, EntryPoint = "dq_canonical_page1")]
    internal static partial int CanonicalPage1(void* page, uint pageSize, uint autoVacuum);

    [LibraryImport(Library, EntryPoint = "dq_builder_open", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int BuilderOpen(string databasePath, string sumsPath, uint pageSize, out nint builder);

    [LibraryImport(Library, EntryPoint = "dq_builder_page")]
    internal static partial int BuilderPage(BuilderHandle builder, uint pageNumber, void* page);

    [LibraryImport(Library, EntryPoint = "dq_builder_finish")]
    internal static partial int BuilderFinish(BuilderHandle builder, uint pageCount, out ulong checksum);

    [LibraryImport(Library, EntryPoint = "dq_builder_close")]
    internal static partial void BuilderClose(nint builder);

    [LibraryImport(Library, EntryPoint = "dq_db_create_files", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int DatabaseCreateFiles(string path, string sumsPath, uint pageSize, uint autoVacuum, out ulong checksum);

    [LibraryImport(Library, EntryPoint = "dq_db_open")]
    internal static partial int DatabaseOpen(in NativeDatabaseConfig config, out nint database);

    [LibraryImport(Library, EntryPoint = "dq_db_close")]
    internal static partial void DatabaseClose(nint database);

    [LibraryImport(Library, EntryPoint = "dq_db_get_state")]
    internal static partial int DatabaseGetState(DatabaseHandle database, out PageDatabaseState state);

    [LibraryImport(Library, EntryPoint = "dq_db_set_serving")]
    internal static partial int DatabaseSetServing(DatabaseHandle database, int resultCode);

    [LibraryImport(Library, EntryPoint = "dq_db_set_drafting")]
    internal static partial int DatabaseSetDrafting(DatabaseHandle database, int resultCode);

    [LibraryImport(Library, EntryPoint = "dq_db_set_lease")]
    internal static partial void DatabaseSetLease(DatabaseHandle database, long deadlineNs);

    [LibraryImport(Library, EntryPoint = "dq_db_lead")]
    internal static partial int DatabaseLead(DatabaseHandle database, ulong term);

    [LibraryImport(Library, EntryPoint = "dq_db_fence")]
    internal static partial int DatabaseFence(DatabaseHandle database, ulong proposedLsn);

    [LibraryImport(Library, EntryPoint = "dq_db_resolve")]
    internal static partial int DatabaseResolve(DatabaseHandle database, ulong lsnFirst, ulong lsnLast, int committed);

    [LibraryImport(Library, EntryPoint = "dq_db_poll")]
    internal static partial int DatabasePoll(DatabaseHandle database, ulong maxBytes, out nint batch);

    [LibraryImport(Library, EntryPoint = "dq_batch_read")]
    internal static partial int BatchRead(BatchHandle batch, uint first, uint count, void* images);

    [LibraryImport(Library, EntryPoint = "dq_batch_free")]
    internal static partial void BatchFree(nint batch);

    [LibraryImport(Library, EntryPoint = "dq_batch_base")]
    internal static partial int BatchBase(BatchHandle batch, uint i, void* page);

    [LibraryImport(Library, EntryPoint = "dq_db_page")]
    internal static partial int DatabasePage(DatabaseHandle database, uint pageNumber, void* page);

    [LibraryImport(Library, EntryPoint = "dq_db_commit")]
    internal static partial int DatabaseCommit(DatabaseHandle database, ulong lsn);

    [LibraryImport(Library, EntryPoint = "dq_db_apply")]
    internal static partial int DatabaseApply(DatabaseHandle database, uint pages, uint* pageNumbers, void* images, uint pageCount, ulong checksum, out ulong lsn);

    [LibraryImport(Library, EntryPoint = "dq_stage_open")]
    internal static partial int StageOpen(DatabaseHandle database, out nint stage);

    [LibraryImport(Library, EntryPoint = "dq_stage_add")]
    internal static partial int StageAdd(StageHandle stage, uint pages, uint* pageNumbers, void* images);

    [LibraryImport(Library, EntryPoint = "dq_stage_add_batch")]
    internal static partial int StageAddBatch(StageHandle stage, BatchHandle batch, uint first, uint count);

    [LibraryImport(Library, EntryPoint = "dq_stage_apply")]
    internal static partial int StageApply(StageHandle stage, uint pageCount, ulong checksum, out ulong lsn);

    [LibraryImport(Library, EntryPoint = "dq_stage_free")]
    internal static partial void StageFree(nint stage);

    [LibraryImport(Library, EntryPoint = "dq_db_checkpoint")]
    internal static partial int DatabaseCheckpoint(DatabaseHandle database, ulong lsn, uint filedFrom, out uint pageCount, out ulong checksum);

    [LibraryImport(Library, EntryPoint = "dq_db_checkpoint_pages")]
    internal static partial int DatabaseCheckpointPages(DatabaseHandle database, ulong lsn, uint* pages, uint capacity, out uint count);

    [LibraryImport(Library, EntryPoint = "dq_db_checkpoint_done")]
    internal static partial int DatabaseCheckpointDone(DatabaseHandle database, ulong lsn);

    [LibraryImport(Library, EntryPoint = "dq_db_reopen")]
    internal static partial int DatabaseReopen(DatabaseHandle database, uint pageCount, ulong checksum);

    [LibraryImport(Library, EntryPoint = "dq_snapshot_open")]
    internal static partial int SnapshotOpen(DatabaseHandle database, out nint snapshot, out ulong lsn, out uint pageCount, out ulong checksum);

    [LibraryImport(Library, EntryPoint = "dq_snapshot_page")]
    internal static partial int SnapshotPage(SnapshotHandle snapshot, uint pageNumber, void* page);

    [LibraryImport(Library, EntryPoint = "dq_snapshot_close")]
    internal static partial void SnapshotClose(nint snapshot);

    [LibraryImport(Library, EntryPoint = "dq_slot_request")]
    internal static partial int SlotRequest(DatabaseHandle database, ulong ticket);

    [LibraryImport(Library, EntryPoint = "dq_slot_cancel")]
    internal static partial int SlotCancel(DatabaseHandle database, ulong ticket);

    [LibraryImport(Library, EntryPoint = "dq_slot_release")]
    internal static partial void SlotRelease(DatabaseHandle database, ulong ticket);

    [LibraryImport(Library, EntryPoint = "dq_slot_revoke")]
    internal static partial int SlotRevoke(DatabaseHandle database, ulong ticket, int resultCode);

    [LibraryImport(Library, EntryPoint = "dq_handle_own")]
    internal static partial void HandleOwn(nint handle);

    [LibraryImport(Library, EntryPoint = "dq_handle_arm")]
    internal static partial int HandleArm(nint handle, ulong ticket);

    [LibraryImport(Library, EntryPoint = "dq_handle_get_state")]
    internal static partial void HandleGetState(nint handle, out VfsHandleState state);
}
