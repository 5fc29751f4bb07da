using Dqlite.Raft.Tests.Harness;

namespace Dqlite.Raft.Tests;

public sealed class ClusterTests
{
    [Test]
    public void A_cluster_of_n_voters_elects_a_leader_and_commits([Range(1, 7)] int voters, [Values(0L, 3_000_000L)] long maxDiskNs)
    {
        var simulation = new Simulation(new SimulationOptions { Voters = voters, Seed = (ulong)voters, MaxDiskNs = maxDiskNs });
        var leader = simulation.Elect();
        for (var i = 0; i < 100; i++)
        {
            Assert.That(simulation.Propose(leader, $"entry {i}").Refusal, Is.EqualTo(RefusalReason.None));
        }

        var last = leader.Core.LastIndex;
        Assert.That(simulation.RunUntil(() => simulation.Nodes.All(node => node.Applied == last), 1_000_000_000), Is.True);
        simulation.Checker.CheckLogMatching();
        Assert.That(simulation.Nodes.Select(node => node.StateHash).Distinct().Count(), Is.EqualTo(1));
    }
}
