using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>The errors of the replication layer, in one place.</summary>
internal static class DqliteErrors
{
    /// <summary>Provably without effect; repeat it.</summary>
    public static DqliteException Transient(int code, string message, string? leader) => new(message, code, true, leader);

    /// <summary>A write, or a linearizable read, came to a node that does not lead.</summary>
    public static DqliteException NotLeader(string? leader) => Transient(
        ShimResult.NotLeader,
        leader is null ? "This node is not the leader, and no leader is known at the moment; try again." : $"This node is not the leader; the leader is at {leader}.",
        leader);

    /// <summary>No majority answered.</summary>
    public static DqliteException NoQuorum(string? leader) => Transient(
        ShimResult.NotLeader, "No leader confirmed the read in time: a majority of the members cannot be reached from here; try again.", leader);

    /// <summary>The disk of the leader is full: no draft is taken, so nothing is lost.</summary>
    public static DqliteException DiskFull() =>
        new("The log of this node cannot grow: the disk is full. Nothing was written; free disk space and try again.", SQLitePCL.raw.SQLITE_FULL, false, null);

    /// <summary>The node has stopped.</summary>
    public static DqliteException Stopped(Exception? cause) => cause is null
        ? new DqliteException("The node has stopped.", ShimResult.NotLeader, true, null)
        : new DqliteException($"The node has stopped: {cause.Message}", ShimResult.NotLeader, true, null, cause);
}
