using System.Globalization;
using Dqlite.Net;

namespace Quickstart;

/// <summary>The main job: write from several writers, lose a node in the middle, lose no row.</summary>
internal static class ClusterCommand
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        var rows = arguments.Number("rows", 20_000, 1, 100_000_000);
        var writers = Math.Min(rows, arguments.Number("writers", 8, 1, 1024));
        var nodes = arguments.Number("nodes", 3, 1, 9);
        var kill = arguments.Find("kill") ?? (nodes > 2 ? "leader" : "none");
        if (kill is not ("none" or "leader" or "follower"))
        {
            throw new ArgumentException($"--kill must be none, leader or follower, not '{kill}'.");
        }

        if (kill != "none" && nodes < 3)
        {
            throw new ArgumentException($"--kill {kill} needs at least 3 nodes: with {nodes} no majority is left.");
        }

        if (arguments.Find("import") is { } import && !File.Exists(import))
        {
            throw new ArgumentException($"--import: '{import}' does not exist.");
        }

        var directory = arguments.Find("data") ?? Path.Combine(Path.GetTempPath(), $"quickstart-{Guid.NewGuid():N}");
        try
        {
            await using var cluster = await Cluster.StartAsync(directory, nodes, arguments.Has("log") ? new ConsoleLog() : null);
            var imported = arguments.Find("import") is { } file ? await ImportCheck.ImportAsync(cluster, file) : null;
            var run = new WriterRun(cluster, rows, writers, kill);
            await run.RunAsync();
            var facts = await Facts.CollectAsync(cluster.Running);
            var problem = run.Acknowledged != rows ? $"{run.Acknowledged} of {rows} rows were acknowledged"
                : facts.Any(fact => fact.Rows != run.RowsBefore + rows) ? $"a node does not have exactly {run.RowsBefore + rows} rows"
                : Facts.Disagreement(facts) ?? await run.FindLossAsync() ?? (imported is null ? null : await imported.FindDifferenceAsync(cluster));
            Report(run, facts, problem);
            return problem is null ? 0 : 1;
        }
        finally
        {
            if (!arguments.Has("data") && Directory.Exists(directory))
            {
                Directory.Delete(directory, recursive: true);
            }
        }
    }

    private static void Report(WriterRun run, IReadOnlyList<NodeFacts> facts, string? problem)
    {
        Console.WriteLine($"acknowledged: {run.Acknowledged}");
        Console.WriteLine($"unknown outcomes: {run.UnknownOutcomes}");
        foreach (var fact in facts)
        {
            Console.WriteLine(fact);
        }

        Console.WriteLine(run.FirstWriteAfterKill is { } gap ? string.Create(CultureInfo.InvariantCulture, $"first write after the kill: {gap.TotalMilliseconds:0} ms") : "first write after the kill: none");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"commits per second: {run.RateBefore:0} before, {run.RateAfter:0} after"));
        Console.WriteLine(problem is null ? "result: ok" : $"result: FAILED, {problem}");
    }
}
