using Dqlite.Net;

namespace Quickstart;

/// <summary>Starts the nodes of earlier processes here, and compares what they hold with the ledgers of what was acknowledged.</summary>
internal static class VerifyCommand
{
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(60);

    public static async Task<int> RunAsync(Arguments arguments)
    {
        var ledgers = arguments.Get("ledger").Split(',');
        var acknowledged = new HashSet<string>(StringComparer.Ordinal);
        foreach (var ledger in ledgers.Where(File.Exists))
        {
            var text = await File.ReadAllTextAsync(ledger);

            // A line that a kill cut off was being written after its acknowledgement; it counts as far as it is whole.
            acknowledged.UnionWith(text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries));
        }

        var nodes = new List<DqliteNode>();
        try
        {
            foreach (var directory in arguments.Get("data").Split(','))
            {
                nodes.Add(await DqliteNode.StartAsync(new DqliteNodeOptions { DataDirectory = directory }));
            }

            using var timeout = new CancellationTokenSource(StartTimeout);
            await nodes[0].WaitForLeaderAsync(timeout.Token);
            var facts = await Facts.CollectAsync(nodes);
            var (tags, duplicated) = await Facts.TagsAsync(await nodes[0].OpenDatabaseAsync(Facts.Database));
            var lost = acknowledged.Count(tag => !tags.Contains(tag));
            var problem = lost > 0 ? $"{lost} acknowledged rows are lost" : duplicated > 0 ? $"{duplicated} rows stand twice" : Facts.Disagreement(facts);
            Console.WriteLine($"acknowledged: {acknowledged.Count}");
            foreach (var fact in facts)
            {
                Console.WriteLine(fact);
            }

            Console.WriteLine($"lost: {lost}");
            Console.WriteLine($"duplicated: {duplicated}");
            Console.WriteLine(problem is null ? "result: ok" : $"result: FAILED, {problem}");
            return problem is null ? 0 : 1;
        }
        finally
        {
            foreach (var node in nodes)
            {
                await node.DisposeAsync();
            }
        }
    }
}
