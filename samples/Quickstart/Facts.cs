using System.Globalization;
using System.Security.Cryptography;
using Dqlite.Net;

namespace Quickstart;

/// <summary>What one node holds at the end.</summary>
internal sealed record NodeFacts(long Node, long Rows, long Index, string Sha256, string Integrity)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"node {Node}: rows {Rows}, index {Index}, sha256 {Sha256}, integrity {Integrity}");
}

/// <summary>Asks each node, locally, what it has.</summary>
internal static class Facts
{
    public const string Database = "quickstart";
    private static readonly TimeSpan AgreementTimeout = TimeSpan.FromSeconds(60);

    /// <summary>Waits until every node has applied what the leader has, and reads it there.</summary>
    public static async Task<IReadOnlyList<NodeFacts>> CollectAsync(IReadOnlyList<DqliteNode> nodes)
    {
        await AgreeAsync(nodes);
        var facts = new List<NodeFacts>();
        foreach (var node in nodes)
        {
            facts.Add(await CollectAsync(node));
        }

        return facts;
    }

    /// <summary>Whether all nodes hold the same bytes.</summary>
    public static string? Disagreement(IReadOnlyList<NodeFacts> facts)
    {
        if (facts.Any(fact => fact.Integrity != "ok"))
        {
            return "a node fails its integrity check";
        }

        if (facts.Select(fact => fact.Index).Distinct().Count() > 1)
        {
            return "the nodes are at different indexes";
        }

        return facts.Select(fact => fact.Sha256).Distinct().Count() > 1 ? "the nodes hold different bytes" : null;
    }

    /// <summary>The tags that a database holds, and how many stand more than once.</summary>
    public static async Task<(HashSet<string> Tags, long Duplicated)> TagsAsync(DqliteDataSource source)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT tag FROM rows NOT INDEXED";
        var tags = new HashSet<string>(StringComparer.Ordinal);
        var duplicated = 0L;
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            duplicated += tags.Add(reader.GetString(0)) ? 0 : 1;
        }

        return (tags, duplicated);
    }

    private static async Task AgreeAsync(IReadOnlyList<DqliteNode> nodes)
    {
        using var timeout = new CancellationTokenSource(AgreementTimeout);
        var indexes = new long[nodes.Count];
        var problem = "";
        try
        {
            while (true)
            {
                try
                {
                    for (var i = 0; i < nodes.Count; i++)
                    {
                        // A linearizable look: this node has applied everything that was committed before it.
                        var databases = await nodes[i].ListDatabasesAsync(timeout.Token);
                        indexes[i] = databases.FirstOrDefault(database => database.Name == Database)?.AppliedIndex ?? 0;
                    }

                    if (indexes.Distinct().Count() == 1)
                    {
                        return;
                    }
                }
                catch (DqliteException exception) when (exception.IsTransient && !timeout.IsCancellationRequested && nodes.All(node => node.Failure is null))
                {
                    problem = "; " + exception.Message;
                }

                await Task.Delay(10, timeout.Token);
            }
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"the nodes do not agree after {AgreementTimeout.TotalSeconds:0} seconds, they are at index {string.Join(", ", indexes)}{problem}");
        }
    }

    private static async Task<NodeFacts> CollectAsync(DqliteNode node)
    {
        var source = await node.OpenDatabaseAsync(Database, new DqliteDatabaseOptions { CreateIfMissing = false });
        var index = (await node.ListDatabasesAsync()).First(database => database.Name == Database).AppliedIndex;
        await using var connection = await source.OpenConnectionAsync();
        var rows = await ScalarAsync(connection, "SELECT count(*) FROM rows");
        var integrity = await ScalarAsync(connection, "PRAGMA integrity_check");
        var copy = Path.Combine(Path.GetTempPath(), $"quickstart-{Guid.NewGuid():N}.db");
        try
        {
            await source.ExportAsync(copy);
            await using var file = File.OpenRead(copy);
            var hash = Convert.ToHexStringLower(await SHA256.HashDataAsync(file));
            return new NodeFacts(node.Id, Convert.ToInt64(rows, CultureInfo.InvariantCulture), index, hash, (string)integrity);
        }
        finally
        {
            File.Delete(copy);
        }
    }

    private static async Task<object> ScalarAsync(DqliteConnection connection, string sql)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        return (await command.ExecuteScalarAsync())!;
    }
}
