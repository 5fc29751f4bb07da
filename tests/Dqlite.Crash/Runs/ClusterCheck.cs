using Dqlite.Crash.Ledgers;
using Dqlite.Crash.Processes;
using Dqlite.Net;
using Quickstart;

namespace Dqlite.Crash.Runs;

/// <summary>The end of a run: the directories of the processes are opened here, and held against what was said and against each other.</summary>
internal static class ClusterCheck
{
    /// <summary>Scores the nodes, and the rows if any were written. No process of the cluster may run any more.</summary>
    public static async Task RunAsync(CrashRun run, NodeCluster cluster)
    {
        var nodes = new List<DqliteNode>();
        try
        {
            foreach (var number in cluster.Numbers)
            {
                nodes.Add(await DqliteNode.StartAsync(new DqliteNodeOptions { DataDirectory = cluster.DataOf(number) }, run.Stop));
            }

            var facts = await Facts.CollectAsync(nodes);
            if (!cluster.Ledger.IsEmpty)
            {
                run.Score.Case($"rows: {cluster.Ledger}", await CompareAsync(nodes, cluster.Ledger));
            }

            var first = facts[0];
            run.Score.Case(
                $"{facts.Count} nodes at index {first.Index} with sha256 {first.Sha256}, integrity {first.Integrity}",
                Facts.Disagreement(facts) is { } disagreement ? [disagreement, .. facts.Select(fact => fact.ToString())] : []);
        }
        finally
        {
            foreach (var node in nodes)
            {
                await node.DisposeAsync();
            }
        }
    }

    private static async Task<IReadOnlyCollection<string>> CompareAsync(IEnumerable<DqliteNode> nodes, Ledger ledger)
    {
        var problems = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var node in nodes)
        {
            var (tags, duplicated) = await Facts.TagsAsync(await node.OpenDatabaseAsync(Facts.Database));
            problems.UnionWith(ledger.Compare(tags, duplicated).Select(problem => $"node {node.Id}: {problem}"));
        }

        return problems;
    }
}
