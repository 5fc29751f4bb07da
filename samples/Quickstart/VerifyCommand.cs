using Dqlite.Net;

namespace Quickstart;

/// <summary>Starts the nodes of earlier processes here, and compares what they hold with the ledgers of what was acknowledged.</summary>
internal static class VerifyCommand
{
    private static readonly TimeSpan LeaderTimeout = TimeSpan.FromSeconds(60);

    public static async Task<int> RunAsync(Arguments arguments)
    {
        var directories = arguments.Get("data").Split(',');
        if (directories.FirstOrDefault(directory => !File.Exists(Path.Combine(directory, "log.base"))) is { } blank)
        {
            throw new ArgumentException($"--data: '{blank}' is not the directory of a node that belongs to a cluster.");
        }

        var (acknowledged, acknowledgedTwice) = await ReadLedgersAsync(arguments.Get("ledger").Split(','));
        var nodes = new List<DqliteNode>();
        try
        {
            foreach (var directory in directories)
            {
                nodes.Add(await DqliteNode.StartAsync(new DqliteNodeOptions { DataDirectory = directory, LoggerFactory = arguments.Has("log") ? new ConsoleLog() : null }));
            }

            await WaitForLeaderAsync(nodes[0]);
            var facts = await Facts.CollectAsync(nodes);
            var (tags, storedTwice) = await Facts.TagsAsync(await nodes[0].OpenDatabaseAsync(Facts.Database));
            return Report(facts, acknowledged.Count, acknowledged.Count(tag => !tags.Contains(tag)), storedTwice + acknowledgedTwice);
        }
        finally
        {
            foreach (var node in nodes)
            {
                await node.DisposeAsync();
            }
        }
    }

    private static int Report(IReadOnlyList<NodeFacts> facts, int acknowledged, int lost, long duplicated)
    {
        var problem = lost > 0 ? $"{lost} acknowledged rows are lost" : duplicated > 0 ? $"{duplicated} rows stand twice" : Facts.Disagreement(facts);
        Console.WriteLine($"acknowledged: {acknowledged}");
        foreach (var fact in facts)
        {
            Console.WriteLine(fact);
        }

        Console.WriteLine($"lost: {lost}");
        Console.WriteLine($"duplicated: {duplicated}");
        Console.WriteLine(problem is null ? "result: ok" : $"result: FAILED, {problem}");
        return problem is null ? 0 : 1;
    }

    /// <summary>The acknowledged tags, and how many stand in the ledgers twice: a tag is never used for two rows.</summary>
    private static async Task<(HashSet<string> Tags, int Twice)> ReadLedgersAsync(string[] ledgers)
    {
        var tags = new HashSet<string>(StringComparer.Ordinal);
        var twice = 0;
        foreach (var ledger in ledgers)
        {
            if (!File.Exists(ledger))
            {
                Console.Error.WriteLine($"There is no ledger '{ledger}': its node is taken to have acknowledged nothing.");
                continue;
            }

            var text = await File.ReadAllTextAsync(ledger);

            // A last line without its end was cut off by a kill.
            foreach (var tag in text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                twice += tags.Add(tag) ? 0 : 1;
            }
        }

        return (tags, twice);
    }

    private static async Task WaitForLeaderAsync(DqliteNode node)
    {
        using var timeout = new CancellationTokenSource(LeaderTimeout);
        try
        {
            await node.WaitForLeaderAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"no node leads after {LeaderTimeout.TotalSeconds:0} seconds: are these the directories of a majority of one cluster?");
        }
    }
}
