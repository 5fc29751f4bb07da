using System.Globalization;

namespace Dqlite.Sqlite;

/// <summary>The result codes of the shim: SQLite's own and those that the VFS adds to the class of IOERR, on which SQLite rolls the
/// transaction back by itself. Source: native/dqlite_shim.h.</summary>
public static class ShimResult
{
    /// <summary>Success.</summary>
    public const int Ok = 0;

    /// <summary>SQLITE_BUSY; from a slot request: queued, the answer comes as an event.</summary>
    public const int Busy = 5;

    /// <summary>SQLITE_FULL: no room for new drafts.</summary>
    public const int Full = 13;

    /// <summary>This node does not lead, or has stopped. No effect.</summary>
    public const int NotLeader = 10250;

    /// <summary>A draft that this handle had seen was dropped.</summary>
    public const int LeadershipLost = 10506;

    /// <summary>An old reader was revoked to bound memory.</summary>
    public const int SnapshotGone = 10762;

    /// <summary>A blocking commit timed out after its commit point.</summary>
    public const int OutcomeUnknown = 11018;

    /// <summary>The transaction is larger than the configured bound. No effect.</summary>
    public const int TooLarge = 11274;

    /// <summary>An open write transaction held the slot for too long. No effect.</summary>
    public const int SlotRevoked = 11530;

    /// <summary>One transaction writes two replicated databases. No effect.</summary>
    public const int SpansDatabases = 11786;

    /// <summary>An internal failure made the database object unusable.</summary>
    public const int Poisoned = 12042;

    /// <summary>SQLITE_IOERR_CORRUPTFS: a page of the file does not match its checksum. SQLite's virtual machine reports it to the
    /// application as SQLITE_CORRUPT (11); <see cref="VfsHandleState.LastError"/> keeps this code.</summary>
    public const int PageRot = 8458;

    /// <summary>A file cannot be read (SQLITE_IOERR_READ).</summary>
    public const int ReadError = 266;

    /// <summary>SQLITE_BUSY_TIMEOUT: the writer slot did not become free in time. No effect.</summary>
    public const int SlotTimeout = 773;

    /// <summary>SQLITE_BUSY_SNAPSHOT: a reader wanted to write after others had written.</summary>
    public const int UpgradeConflict = 517;

    /// <summary>What happened, and what to do about it.</summary>
    /// <param name="code">An SQLite (extended) result code.</param>
    public static string Describe(int code) => code switch
    {
        Ok => "Success.",
        Busy => "The writer slot is taken. Wait for it before the statement runs.",
        Full => "There is no room for more writes on this node. Free disk space; reads go on.",
        NotLeader => "This node does not lead the cluster, or has stopped. The transaction had no effect; run it again on the leader.",
        LeadershipLost => "Leadership was lost, and with it a change that this connection had already seen. The transaction had no effect; close the connection and run it again on a new one.",
        SnapshotGone => "This read transaction was open for so long that its snapshot was given up to bound memory. Run it again, and keep it shorter or raise the bound of the version store.",
        OutcomeUnknown => "The commit was not confirmed in time. Whether it takes effect is unknown; ask for its outcome before it is run again.",
        TooLarge => "The transaction writes more than the configured maximum. It had no effect; split it or raise the maximum.",
        SlotRevoked => "The write transaction was open for too long while others waited, and lost the right to write. It had no effect; run it again and keep it shorter.",
        SpansDatabases => "One transaction writes to two replicated databases, which is not supported. It had no effect; use one transaction per database.",
        Poisoned => "An internal failure made this database object unusable. Nothing more is read or written through it; restart the node and report the failure.",
        PageRot => "A page of the database file does not match its checksum: the disk returned other bytes than were written. Check the disk; this node must fetch the page again from a healthy one.",
        SlotTimeout => "The writer slot did not become free in time. The transaction had no effect; run it again.",
        UpgradeConflict => "The transaction began as a reader and others have written since. It had no effect; run it again, starting with BEGIN IMMEDIATE.",
        7 => "Out of memory.",
        11 => "The database file or its checksums do not match what was recorded.",
        12 => "The SQLite connection is not one of the dqlite VFS.",
        14 => "The file cannot be opened. Check that it exists and may be read and written.",
        21 => "The call is not allowed in this state: the path is already open, or a precondition does not hold.",
        26 => "The file is not an SQLite database with the expected page size.",
        _ => (code & 0xff) switch
        {
            10 => "Reading or writing the database file failed. Check the disk and the system log.",
            _ => string.Create(CultureInfo.InvariantCulture, $"SQLite result code {code}."),
        },
    };

    internal static void Check(int code, string operation, string path)
    {
        if (code != Ok)
        {
            throw new ShimException(code, operation, path);
        }
    }
}

/// <summary>A call of the shim failed with an SQLite result code.</summary>
/// <param name="code">The (extended) result code.</param>
/// <param name="operation">What was attempted.</param>
/// <param name="path">On which file.</param>
public sealed class ShimException(int code, string operation, string path)
    : Exception(string.Create(CultureInfo.InvariantCulture, $"'{operation}' on '{path}' failed with code {code}. {ShimResult.Describe(code)}"))
{
    /// <summary>The (extended) result code; see <see cref="ShimResult"/>.</summary>
    public int ResultCode { get; } = code;

    /// <summary>What was attempted.</summary>
    public string Operation { get; } = operation;

    /// <summary>The file it was attempted on.</summary>
    public string Path { get; } = path;
}
