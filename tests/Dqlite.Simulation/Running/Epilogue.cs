using Dqlite.Net;
using Dqlite.Net.Engine;
using Dqlite.Raft;
using Dqlite.Simulation.Cluster;
using Dqlite.Simulation.Workload;

namespace Dqlite.Simulation.Running;

/// <summary>
/// After everything was mended: a leader within ten election timeouts, all members at the same index, the same bytes everywhere, every outcome
/// known; then a last look at everything, and a few quiet probes of what must not disturb a cluster.
/// </summary>
internal sealed class Epilogue(SimCluster cluster, DatabaseHistories histories, DatabaseSetup setup, IReadOnlyList<SimClient> clients, Func<long> newValue, QuietProbes probes)
{
    private const int Timeouts = 10;

    private SimShape Shape => cluster.Shape;

    /// <summary>How long it may take beyond the run itself.</summary>
    public static long MaxNs(SimShape shape) => (60 * shape.ElectionTimeoutNs) + QuietProbes.MaxNs(shape);

    /// <summary>Runs until the verdict.</summary>
    public async Task RunAsync()
    {
        await UntilAsync(Shape.HealAtNs + (Timeouts * Shape.ElectionTimeoutNs));
        if (!CanElect())
        {
            cluster.Log.Say("no quorum of whole disks is left: nothing more is asked");
            return;
        }

        if (cluster.Leader?.Node?.CanWrite != true)
        {
            cluster.Invariants.Fail($"no leader within {Timeouts} election timeouts after everything was mended");
            return;
        }

        if (histories.Operations == 0)
        {
            cluster.Invariants.Fail("no client did anything");
            return;
        }

        await UntilAsync(Math.Max(Shape.QuietAtNs, cluster.Scheduler.NowNs) + SimShape.Second);
        await ConvergeAsync();
        if (cluster.Invariants.Failure is null)
        {
            await new SimClient(cluster, histories, setup, Shape.Clients, newValue).ReadEverythingAsync();
            CheckDatabases();
            CheckOutcomes();
            await probes.RunAsync();
        }
    }

    private async Task UntilAsync(long atNs) => await cluster.Waits.Delay(Math.Max(0, atNs - cluster.Scheduler.NowNs));

    /// <summary>Whether a majority of the voters is whole: by the membership of the most advanced node.</summary>
    private bool CanElect()
    {
        var configuration = cluster.Running.MaxBy(node => (node.Node!.Core.LastTerm.Value, node.Node.Core.LastIndex.Value))?.Node!.Core.Configuration;
        return configuration is not null && configuration.Voters.Count(id => cluster.Find(id) is { IsDamaged: false }) >= configuration.Majority;
    }

    private async Task ConvergeAsync()
    {
        var untilNs = cluster.Scheduler.NowNs + (Timeouts * Shape.ElectionTimeoutNs);
        while (Lagging() is { } lagging)
        {
            if (cluster.Scheduler.NowNs > untilNs)
            {
                cluster.Invariants.Fail($"node {lagging.Number} did not catch up within {Timeouts} election timeouts: applied {lagging.Node?.AppliedIndex}, the leader has {cluster.Leader?.Node?.Core.CommitIndex}");
                return;
            }

            await cluster.Waits.Delay(Shape.ElectionTimeoutNs / 4);
        }
    }

    private SimNode? Lagging()
    {
        if (cluster.Leader?.Node is not { } leader)
        {
            return cluster.Nodes[0];
        }

        return cluster.Nodes.FirstOrDefault(node => !node.IsDamaged && leader.Core.Configuration.Find(node.Machine.NodeId) is { } member
            && member.Incarnation == node.Incarnation && node.Node?.AppliedIndex != leader.Core.CommitIndex.Value);
    }

    private void CheckDatabases()
    {
        if (cluster.Leader?.Node?.AppliedIndex is not { } index)
        {
            cluster.Invariants.Fail("the leader is gone although nothing goes wrong any more");
            return;
        }

        var whole = cluster.Running.Where(node => !node.IsDamaged && node.Node!.AppliedIndex == index).ToArray();
        foreach (var node in whole)
        {
            var first = whole[0].Node!;
            foreach (var database in node.Node!.Databases.Published)
            {
                if (cluster.Tier.Check(database) is { } problem)
                {
                    cluster.Invariants.Fail($"database {database.Name} of node {node.Number} is damaged: {problem}");
                }

                var original = first.Databases.FindPublished(database.Name);
                if (original is null || !cluster.Tier.Image(original).AsSpan().SequenceEqual(cluster.Tier.Image(database)))
                {
                    cluster.Invariants.Fail($"database {database.Name} of node {node.Number} differs from that of node {whole[0].Number} at index {index}");
                }
            }
        }
    }

    /// <summary>Whatever was unknown is known now, to everybody, and the same.</summary>
    private void CheckOutcomes()
    {
        foreach (var (commit, _) in clients.SelectMany(client => client.Unknown))
        {
            var expected = cluster.Invariants.CommittedTerm(commit.Index) switch
            {
                null => CommitOutcome.Undecided,
                var term => term == commit.Term ? CommitOutcome.Committed : CommitOutcome.NotCommitted,
            };
            foreach (var node in cluster.Running.Where(node => node.Node!.AppliedIndex == cluster.Leader!.Node!.AppliedIndex))
            {
                var answer = node.Node!.OutcomeOf(new LogIndex(commit.Index), new Term(commit.Term));
                if (answer != expected && !(expected == CommitOutcome.Undecided && answer == CommitOutcome.NotCommitted))
                {
                    cluster.Invariants.Fail($"node {node.Number} says that {commit} is {answer}; it is {expected}");
                }
            }
        }
    }
}
