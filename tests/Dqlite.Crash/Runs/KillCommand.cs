using Dqlite.Crash.Nodes;
using Dqlite.Crash.Processes;

namespace Dqlite.Crash.Runs;

/// <summary>Kills the leader's process under load, again and again in one long-lived cluster; at the end nothing that was acknowledged may be missing.</summary>
internal static class KillCommand
{
    private const int LongestWaitMs = 250;

    public static async Task RunAsync(CrashRun run)
    {
        using var cluster = new NodeCluster(run, run.NewDirectory("nodes"), run.Options.Number("nodes", 3, 3, 9), RowWriters.Name);
        var gaps = new Durations();
        var rounds = run.Rounds(20);
        cluster.StartAll();
        for (var round = 1; round <= rounds; round++)
        {
            var leader = await cluster.WaitForWritesAsync();
            await Task.Delay(run.Chance.Next(LongestWaitMs), run.Stop); // so that the kill comes at any phase of checkpoints and compaction
            var gap = await cluster.MeasureGapAsync([leader], cluster[leader].Kill);
            await cluster.EndedAsync(leader);
            gaps.Add(gap);
            run.Score.Pass($"round {round}: killed leader {leader}, first acknowledged write elsewhere after {gap.TotalMilliseconds:0} ms; {cluster.Ledger}");
            cluster.Start(leader);
        }

        await cluster.WaitForWritesAsync();
        await cluster.KillAsync([.. cluster.Numbers]);
        Console.WriteLine($"first acknowledged write elsewhere: {gaps}");
        await ClusterCheck.RunAsync(run, cluster);
    }
}
