using Dqlite.Load.Operations;
using Dqlite.Net;
using Dqlite.Net.Benchmarks;

namespace Dqlite.Load.Clusters;

/// <summary>All nodes and all clients in this process.</summary>
internal sealed class InProcessCluster(LocalCluster cluster) : ICluster
{
    private readonly UsageMeter _usage = new();

    public async Task<ClusterPoint> MeasureAsync(string database, Api api, LoadSpec spec)
    {
        var (leader, _) = await cluster.LeaderAsync();
        var term = leader.Leader?.Term;
        await using var created = await ClusterDatabase.CreateAsync(leader, database, spec);
        var nodes = cluster.Nodes.Where(node => spec.UsesNode(isLeader: node == leader));
        await using var session = await LoadSession.StartAsync(await ClusterConnections.CreateAsync(nodes, database, api, spec), spec);
        var before = _usage.Read();
        var measured = await session.MeasureAsync();
        var spent = _usage.Read() - before;
        return leader.Leader is { IsLocal: true } now && now.Term == term ? new ClusterPoint(measured.Summarize(), spent) : throw new MemberException(ICluster.LeaderMoved);
    }

    public async ValueTask DisposeAsync()
    {
        await cluster.DisposeAsync();
        _usage.Dispose();
    }
}
