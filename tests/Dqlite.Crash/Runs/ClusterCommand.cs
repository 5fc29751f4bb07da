using Dqlite.Crash.Nodes;
using Dqlite.Crash.Processes;

namespace Dqlite.Crash.Runs;

/// <summary>Kills all processes of a cluster at once, under load, and starts them again.</summary>
internal static class ClusterCommand
{
    private const int LongestWaitMs = 500;

    public static async Task RunAsync(CrashRun run)
    {
        using var cluster = new NodeCluster(run, run.NewDirectory("nodes"), run.Options.Number("nodes", 3, 1, 9), RowWriters.Name);
        var gaps = new Durations();
        var rounds = run.Rounds(5);
        cluster.StartAll();
        for (var round = 1; round <= rounds; round++)
        {
            await cluster.WaitForWritesAsync();
            await Task.Delay(run.Chance.Next(LongestWaitMs), run.Stop);
            await cluster.KillAsync([.. cluster.Numbers]);
            cluster.StartAll();
            var gap = await cluster.MeasureGapAsync([], () => { });
            gaps.Add(gap);
            run.Score.Pass($"round {round}: killed all, first acknowledged write {gap.TotalMilliseconds:0} ms after the restart; {cluster.Ledger}");
        }

        await cluster.KillAsync([.. cluster.Numbers]);
        Console.WriteLine($"first acknowledged write after the restart: {gaps}");
        await ClusterCheck.RunAsync(run, cluster);
    }
}
