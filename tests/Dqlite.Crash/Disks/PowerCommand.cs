using Dqlite.Crash.Nodes;
using Dqlite.Crash.Processes;
using Dqlite.Crash.Runs;

namespace Dqlite.Crash.Disks;

/// <summary>
/// Cuts the power of the file system that all nodes of a cluster lie on, under load: what was acknowledged must have been flushed. Other than
/// after a kill, what the kernel held in its memory is gone.
/// </summary>
internal static class PowerCommand
{
    private const long DiskBytes = 256L << 20;
    private const int LongestWaitMs = 500;

    public static async Task RunAsync(CrashRun run)
    {
        await using var disk = await LoopDisk.TryCreateAsync(run, DiskBytes);
        if (disk is null)
        {
            return;
        }

        using var cluster = new NodeCluster(run, disk.Root, run.Options.Number("nodes", 3, 1, 9), RowWriters.Name);
        var rounds = run.Rounds(5);
        for (var round = 1; round <= rounds; round++)
        {
            cluster.StartAll();
            await cluster.WaitForWritesAsync();
            await Task.Delay(run.Chance.Next(LongestWaitMs), run.Stop);
            await CutAsync(cluster, disk);
            run.Score.Pass($"round {round}: power cut; {cluster.Ledger}");
        }

        await ClusterCheck.RunAsync(run, cluster);
    }

    /// <summary>The nodes may see their disk fail and stop by themselves before they are killed; what they acknowledge after the cut is a lie, and will be found missing.</summary>
    private static async Task CutAsync(NodeCluster cluster, LoopDisk disk)
    {
        cluster.AllowToEnd();
        disk.CutPower();
        await cluster.KillAsync([.. cluster.Numbers]);
        await disk.UnmountAsync();
        await disk.MountAsync();
    }
}
