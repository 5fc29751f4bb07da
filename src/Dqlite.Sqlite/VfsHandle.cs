using System.Runtime.InteropServices;
using System.Text;
using Dqlite.Sqlite.Native;

namespace Dqlite.Sqlite;

/// <summary>What a connection's file handle did and holds (dq_handle_state; same layout).</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct VfsHandleState
{
    /// <summary>Snapshot of the running or last read transaction.</summary>
    public ulong SnapshotLsn { get; init; }

    /// <summary>Last draft that this handle made since <see cref="VfsHandle.Arm"/>, or 0.</summary>
    public ulong DraftLsn { get; init; }

    /// <summary>The term of that draft.</summary>
    public ulong DraftTerm { get; init; }

    internal uint InReadFlag { get; init; }

    internal uint InWriteFlag { get; init; }

    /// <summary>0, or the code that the handle answers for good.</summary>
    public int DeadCode { get; init; }

    /// <summary>0, or the code that the running transaction gets.</summary>
    public int RevokedCode { get; init; }

    /// <summary>Last code that the shim returned to SQLite since <see cref="VfsHandle.Arm"/>, or 0.</summary>
    public int LastError { get; init; }

    internal uint HoldsSlotFlag { get; init; }

    /// <summary>Whether a read transaction runs.</summary>
    public bool InRead => InReadFlag != 0;

    /// <summary>Whether a write transaction runs.</summary>
    public bool InWrite => InWriteFlag != 0;

    /// <summary>Whether it has the writer slot.</summary>
    public bool HoldsSlot => HoldsSlotFlag != 0;
}

/// <summary>The shim's side of one open connection. Used by the thread that uses the connection, and not after its close.</summary>
public sealed unsafe class VfsHandle
{
    private const int FileControlOpcode = 0x44510001;
    private const int NotFound = 12;

    private readonly SQLitePCL.sqlite3 _connection;
    private readonly nint _handle;

    private VfsHandle(SQLitePCL.sqlite3 connection, nint handle)
    {
        _connection = connection;
        _handle = handle;
    }

    /// <summary>What it did and holds. Allocates nothing.</summary>
    public VfsHandleState State
    {
        get
        {
            NativeMethods.HandleGetState(Handle, out var state);
            return state;
        }
    }

    private nint Handle
    {
        get
        {
            ObjectDisposedException.ThrowIf(_connection.IsClosed || _connection.IsInvalid, _connection);
            return _handle;
        }
    }

    /// <summary>The handle of a connection.</summary>
    /// <param name="connection">An open connection.</param>
    /// <param name="schema">Which of its databases.</param>
    /// <returns>Null when that database is not opened through the VFS.</returns>
    /// <exception cref="ShimException">The connection refused to tell.</exception>
    public static VfsHandle? From(SQLitePCL.sqlite3 connection, string schema = "main")
    {
        ArgumentNullException.ThrowIfNull(connection);
        ArgumentNullException.ThrowIfNull(schema);
        var fileControl = (delegate* unmanaged<nint, byte*, int, void*, int>)ShimRuntime.SqliteExport("sqlite3_file_control");
        nint handle = 0;
        int rc;
        fixed (byte* name = Encoding.UTF8.GetBytes(schema + '\0'))
        {
            rc = fileControl(connection.DangerousGetHandle(), name, FileControlOpcode, &handle);
        }

        GC.KeepAlive(connection);
        if (rc == NotFound)
        {
            return null;
        }

        ShimResult.Check(rc, "find the VFS handle", schema);
        return new VfsHandle(connection, handle);
    }

    /// <summary>Makes it one of the library's own: it never blocks inside SQLite.</summary>
    public void Own() => NativeMethods.HandleOwn(Handle);

    /// <summary>Before a statement: forgets the last draft and error. With a ticket that has the slot, the handle may write. Allocates nothing.</summary>
    /// <param name="ticket">The ticket; 0: none.</param>
    /// <exception cref="ShimException">The handle is dead, or the ticket does not have the slot.</exception>
    public void Arm(ulong ticket)
    {
        var rc = NativeMethods.HandleArm(Handle, ticket);
        if (rc != ShimResult.Ok)
        {
            throw new ShimException(rc, "arm", "connection");
        }
    }
}
