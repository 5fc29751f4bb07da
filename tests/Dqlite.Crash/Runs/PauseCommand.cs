using System.Globalization;
using Dqlite.Crash.Histories;
using Dqlite.Crash.Nodes;
using Dqlite.Crash.Processes;

namespace Dqlite.Crash.Runs;

/// <summary>
/// Stops the leader's process in its tracks and lets it go on later. It knows nothing of the time between, in which another one may lead: none
/// of its reads may show what is over. The history is left in the data directory as history.jsonl.
/// </summary>
internal static class PauseCommand
{
    private const int ShortestMs = 20;
    private const int ShortMs = 400;
    private const int LongestMs = 3000;
    private static readonly IHistoryChecker Checker = new ZoneChecker();

    public static async Task RunAsync(CrashRun run)
    {
        using var cluster = new NodeCluster(run, run.NewDirectory("nodes"), 3, RegisterClients.Name);
        var gaps = new Durations();
        var rounds = run.Rounds(10);
        cluster.StartAll();
        for (var round = 1; round <= rounds; round++)
        {
            var leader = await cluster.WaitForWritesAsync();
            var pause = TimeSpan.FromMilliseconds(run.Chance.Chance(0.5) ? run.Chance.Between(ShortestMs, ShortMs) : run.Chance.Between(ShortMs, LongestMs));
            var gap = await PauseAsync(run, cluster, leader, pause);
            if (gap is { } time)
            {
                gaps.Add(time);
            }

            run.Score.Pass(string.Create(
                CultureInfo.InvariantCulture,
                $"round {round}: stopped leader {leader} for {pause.TotalMilliseconds:0} ms, first acknowledged write elsewhere {(gap is { } after ? $"after {after.TotalMilliseconds:0} ms" : "not before it went on")}"));
        }

        await cluster.WaitForWritesAsync();
        run.Score.Case("all nodes stop politely", await cluster.StopAllAsync());
        Console.WriteLine($"first acknowledged write elsewhere: {gaps}");
        CheckHistory(run, cluster.History.InOrder());
        await ClusterCheck.RunAsync(run, cluster);
    }

    /// <returns>The time to the first write that another node acknowledged, if one did while the leader was stopped.</returns>
    private static async Task<TimeSpan?> PauseAsync(CrashRun run, NodeCluster cluster, int leader, TimeSpan pause)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(run.Stop);
        var elsewhere = cluster.MeasureGapAsync([leader], cluster[leader].Pause, over.Token);
        try
        {
            await Task.Delay(pause, run.Stop);
        }
        finally
        {
            cluster[leader].Continue();
        }

        await over.CancelAsync();
        try
        {
            return await elsewhere;
        }
        catch (OperationCanceledException) when (!run.Stop.IsCancellationRequested)
        {
            return null;
        }
    }

    private static void CheckHistory(CrashRun run, IReadOnlyList<HistoryEvent> events)
    {
        RegisterHistory.Write(Path.Combine(run.Data, "history.jsonl"), events);
        var reads = events.Count(happened => happened is { Type: EventType.Ok, Function: RegisterFunction.Read });
        var writes = events.Count(happened => happened.Type == EventType.Ok) - reads;
        var unknown = events.Count(happened => happened.Type == EventType.Info);
        run.Score.Case($"the history is linearizable: {reads} reads, {writes} writes, {unknown} unknown", Checker.FindViolations(events));
    }
}
