using Dqlite.Crash.Nodes;
using Dqlite.Crash.Processes;
using Dqlite.Crash.Runs;
using Dqlite.Sqlite;

namespace Dqlite.Crash.Disks;

/// <summary>
/// Fills the disk of the first node under load until it refuses to write or stops by itself; then it goes on in one of three ways when there is
/// room again: as it is, after a kill, or after a kill and a restart on the full disk.
/// </summary>
internal static class FullDiskCommand
{
    private const long DiskBytesPerNode = 24L << 20;
    private const long MostRoomBytes = 3L << 20;

    private enum Ending
    {
        Room,
        Kill,
        RestartWhileFull,
    }

    public static async Task RunAsync(CrashRun run)
    {
        var nodes = run.Options.Number("nodes", 1, 1, 9);
        await using var disk = await LoopDisk.TryCreateAsync(run, nodes * DiskBytesPerNode);
        if (disk is null)
        {
            return;
        }

        var endings = Enum.GetValues<Ending>();
        var rounds = run.Rounds(endings.Length);
        for (var round = 1; round <= rounds; round++)
        {
            await FillAsync(run, disk, nodes, round, endings[(round - 1) % endings.Length]);
        }
    }

    /// <summary>A round with a cluster of its own.</summary>
    private static async Task FillAsync(CrashRun run, LoopDisk disk, int nodes, int round, Ending ending)
    {
        var directory = Directory.CreateDirectory(Path.Combine(disk.Root, "nodes")).FullName;
        using (var cluster = new NodeCluster(run, directory, nodes, RowWriters.Name))
        {
            cluster.StartAll();
            await cluster.WaitForWritesAsync();
            cluster.AllowToEnd();
            disk.FillUp(run.Chance.Next(MostRoomBytes));
            await cluster.UntilAsync("the disk is full", () => cluster.Numbers.Any(number => cluster[number].HasSeenFullDisk || cluster[number].StoppedBecause is not null));
            var stopped = await EndAsync(cluster, disk, ending);
            await cluster.WaitForWritesAsync();
            run.Score.Pass($"round {round}: the disk was full, {ending}; {(stopped.Count > 0 ? string.Join("; ", stopped) : "no node stopped by itself")}");
            await cluster.KillAsync([.. cluster.Numbers]);
            await ClusterCheck.RunAsync(run, cluster);
        }

        Directory.Delete(directory, recursive: true);
    }

    /// <returns>Which nodes stopped by themselves, and why.</returns>
    private static async Task<IReadOnlyList<string>> EndAsync(NodeCluster cluster, LoopDisk disk, Ending ending)
    {
        if (ending != Ending.Room)
        {
            await cluster.KillAsync([.. cluster.Numbers]);
        }

        if (ending == Ending.RestartWhileFull)
        {
            cluster.StartAll();
            cluster.AllowToEnd();
            await cluster.UntilAsync("all nodes start on the full disk or refuse to", () => cluster.Numbers.All(number => cluster[number].IsReady || cluster[number].StoppedBecause is not null));
        }

        disk.MakeRoom();
        if (ending == Ending.Kill)
        {
            cluster.StartAll();
        }

        return await cluster.RestartStoppedAsync();
    }
}
