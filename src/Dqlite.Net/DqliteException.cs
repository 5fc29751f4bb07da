using System.Data.Common;
using Dqlite.Sqlite;

namespace Dqlite.Net;

/// <summary>
/// An error of SQLite or of the cluster. <see cref="IsTransient"/> says whether the same work may succeed when it is run again: then it is
/// known to have had no effect. A commit whose fate is unknown is a <see cref="DqliteUnknownOutcomeException"/>, which is never transient.
/// </summary>
public class DqliteException : DbException
{
    /// <summary>Makes an error with an SQLite result code.</summary>
    /// <param name="message">What happened.</param>
    /// <param name="errorCode">The primary result code; an extended one is cut to its primary part.</param>
    public DqliteException(string? message, int errorCode)
        : this(message, errorCode, errorCode)
    {
    }

    /// <summary>Makes an error with an SQLite result code.</summary>
    /// <param name="message">What happened.</param>
    /// <param name="errorCode">The primary result code.</param>
    /// <param name="extendedErrorCode">The extended result code.</param>
    public DqliteException(string? message, int errorCode, int extendedErrorCode)
        : this(message, extendedErrorCode, IsTransientCode(extendedErrorCode), leaderAddress: null, innerException: null) =>
        SqliteErrorCode = errorCode & 0xff;

    internal DqliteException(string? message, int errorCode, int extendedErrorCode, bool isTransient, string? leaderAddress, Exception? innerException = null)
        : this(message, extendedErrorCode, isTransient, leaderAddress, innerException) => SqliteErrorCode = errorCode & 0xff;

    internal DqliteException(string? message, int extendedErrorCode, bool isTransient, string? leaderAddress, Exception? innerException = null)
        : base(message, innerException)
    {
        SqliteErrorCode = extendedErrorCode & 0xff;
        SqliteExtendedErrorCode = extendedErrorCode;
        IsTransient = isTransient;
        LeaderAddress = leaderAddress;
    }

    /// <summary>SQLite's primary result code.</summary>
    public int SqliteErrorCode { get; }

    /// <summary>SQLite's extended result code; also those that the cluster adds, such as 10250 (not leader).</summary>
    public int SqliteExtendedErrorCode { get; }

    /// <inheritdoc/>
    public override int ErrorCode => SqliteErrorCode;

    /// <summary>Whether the work is known to have had no effect and may succeed when it is run again.</summary>
    public override bool IsTransient { get; }

    /// <summary>Address of the leader, when this node does not lead and knows who does; else null.</summary>
    public string? LeaderAddress { get; }

    /// <summary>Codes after which the work had no effect and may be repeated.</summary>
    /// <param name="code">An extended result code.</param>
    internal static bool IsTransientCode(int code) => code switch
    {
        ShimResult.NotLeader or ShimResult.LeadershipLost or ShimResult.SnapshotGone or ShimResult.SlotRevoked => true,
        ShimResult.SlotTimeout or ShimResult.UpgradeConflict => true,
        _ => (code & 0xff) is SQLitePCL.raw.SQLITE_BUSY or SQLitePCL.raw.SQLITE_LOCKED or SQLitePCL.raw.SQLITE_SCHEMA,
    };
}
