using Dqlite.Sqlite;
using SQLitePCL;
using static SQLitePCL.raw;

namespace Dqlite.Net.Data;

/// <summary>Result codes and interruptions as exceptions.</summary>
internal static class Errors
{
    /// <summary>The error that a call on a connection ended with.</summary>
    /// <param name="rc">The (extended) result code.</param>
    /// <param name="db">The connection, for the text.</param>
    /// <param name="leaderAddress">The leader, if known.</param>
    public static DqliteException FromCode(int rc, sqlite3 db, string? leaderAddress)
    {
        var code = sqlite3_extended_errcode(db) is var extended && (extended & 0xff) == (rc & 0xff) ? extended : rc;
        if (code == ShimResult.OutcomeUnknown)
        {
            return new DqliteUnknownOutcomeException(null, null);
        }

        var text = IsOfShim(code) ? ShimResult.Describe(code) : sqlite3_errmsg(db).utf8_to_string();
        return new DqliteException($"SQLite Error {code & 0xff}: '{text}'.", code, DqliteException.IsTransientCode(code), Leader(code, leaderAddress));
    }

    /// <summary>The error for a code alone.</summary>
    /// <param name="code">The (extended) result code.</param>
    /// <param name="leaderAddress">The leader, if known.</param>
    public static DqliteException FromCode(int code, string? leaderAddress) =>
        new($"SQLite Error {code & 0xff}: '{ShimResult.Describe(code)}'.", code, DqliteException.IsTransientCode(code), Leader(code, leaderAddress));

    /// <summary>An operation ended before its commit point: it had no effect.</summary>
    /// <param name="interruption">Which.</param>
    /// <param name="code">The code that a timeout gets.</param>
    /// <param name="waitedFor">What it was waiting for.</param>
    /// <param name="leaderAddress">The leader, if known.</param>
    public static Exception Interrupted(Interruption interruption, int code, string waitedFor, string? leaderAddress)
    {
        if (interruption.Reason == InterruptReason.Cancelled)
        {
            return new OperationCanceledException($"The command was cancelled while it waited for {waitedFor}. It had no effect.", interruption.UserToken);
        }

        return new DqliteException(
            $"The command timed out while it waited for {waitedFor}. It had no effect.",
            code,
            isTransient: true,
            leaderAddress);
    }

    /// <summary>Whether an error comes from the state of the machine or the cluster, and not from what the statement read.</summary>
    /// <param name="code">The (extended) result code.</param>
    public static bool IsIndependentOfData(int code) => (code & 0xff) is SQLITE_IOERR or SQLITE_BUSY or SQLITE_LOCKED or SQLITE_INTERRUPT or SQLITE_NOMEM
        or SQLITE_CANTOPEN or SQLITE_PROTOCOL or SQLITE_SCHEMA or SQLITE_AUTH or SQLITE_MISUSE;

    private static bool IsOfShim(int code) => code is ShimResult.NotLeader or ShimResult.LeadershipLost or ShimResult.SnapshotGone or ShimResult.TooLarge
        or ShimResult.SlotRevoked or ShimResult.SpansDatabases or ShimResult.Poisoned or ShimResult.PageRot or ShimResult.SlotTimeout or ShimResult.UpgradeConflict;

    private static string? Leader(int code, string? leaderAddress) => code is ShimResult.NotLeader or ShimResult.LeadershipLost ? leaderAddress : null;
}
