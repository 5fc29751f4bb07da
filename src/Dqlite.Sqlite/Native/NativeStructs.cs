using System.Runtime.InteropServices;

namespace Dqlite.Sqlite.Native;

// Mirrors of the structs of native/dqlite_shim.h, field by field. ShimRuntime compares their sizes with the library's.

/// <summary>dq_os: the table of system calls and waits. Function pointers are kept as addresses.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeOs
{
    public uint StructSize;
    public uint Reserved;
    public void* Context;
    public delegate* unmanaged<void*, byte*, int, int, int> Open;
    public delegate* unmanaged<void*, int, int> Close;
    public delegate* unmanaged<void*, int, void*, long, long, long> Pread;
    public delegate* unmanaged<void*, int, void*, long, long, long> Pwrite;
    public delegate* unmanaged<void*, int, long, int> Ftruncate;
    public delegate* unmanaged<void*, int, long, long, int> Fallocate;
    public delegate* unmanaged<void*, int, int> Fdatasync;
    public delegate* unmanaged<void*, int, int> Fsync;
    public delegate* unmanaged<void*, int, FileState*, int> Fstat;
    public delegate* unmanaged<void*, byte*, byte*, int> Rename;
    public delegate* unmanaged<void*, byte*, int> Unlink;
    public delegate* unmanaged<void*, int, int> Lock;
    public delegate* unmanaged<void*, long> NowNs;
    public delegate* unmanaged<void*, void*, void*, long, int> Wait;
    public delegate* unmanaged<void*, void*, void> WakeAll;
    public delegate* unmanaged<void*, void> Yield;
}

/// <summary>dq_sqlite_api: addresses of SQLite's own functions.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NativeSqliteApi
{
    public uint StructSize;
    public uint Reserved;
    public nint LibversionNumber;
    public nint VfsFind;
    public nint VfsRegister;
    public nint Mprintf;
    public nint Log;
    public nint UriParameter;
    public nint UriBoolean;
    public nint NextStmt;
    public nint StmtBusy;
    public nint StmtReadonly;
    public nint ColumnCount;
    public nint GetAutocommit;
    public nint Sql;
    public nint FilenameDatabase;
}

/// <summary>dq_abi.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NativeAbi
{
    public uint AbiVersion;
    public uint SizeOfOs;
    public uint SizeOfApi;
    public uint SizeOfConfig;
    public uint SizeOfBatch;
    public uint SizeOfHandleState;
    public uint SizeOfDatabaseState;
    public uint SizeOfStat;
}

/// <summary>dq_db_config.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeDatabaseConfig
{
    public uint StructSize;
    public uint PageSize;
    public byte* Path;
    public byte* SumsPath;
    public uint PageCount;
    public uint Reserved;
    public ulong Checksum;
    public ulong MaxTransactionBytes;
    public ulong MaxUndecidedBytes;
    public ulong MaxVersionBytes;
    public ulong SpillBytes;
    public long SlotTimeoutNs;
    public long CommitTimeoutNs;
    public long SlotHoldNs;
    public void* Context;
    public delegate* unmanaged<void*, void> OnDraft;
    public delegate* unmanaged<void*, ulong, int, void> OnSlot;
    public delegate* unmanaged<void*, int> ReadBarrier;
    public delegate* unmanaged<void*, uint, void> OnRot;
}

/// <summary>dq_batch.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeBatch
{
    public ulong LsnFirst;
    public ulong LsnLast;
    public ulong Term;
    public ulong Checksum;
    public uint PageCount;
    public uint Pages;
    public uint Drafts;
    public uint PageSize;
    public uint BasePageCount;
    public uint Reserved;
    public uint* PageNumbers;
    public byte** Images;
}
