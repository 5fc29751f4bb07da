using Dqlite.Load.Operations;
using Dqlite.Net.Benchmarks;

namespace Dqlite.Load.Clusters;

/// <summary>All nodes and all clients in this process.</summary>
internal sealed class InProcessCluster(LocalCluster cluster) : ICluster
{
    private readonly UsageMeter _usage = new();

    public async Task<ClusterPoint> MeasureAsync(string database, Api api, LoadSpec spec)
    {
        var (leader, _) = await cluster.LeaderAsync();
        await using var session = await LoadSession.StartAsync(await ClusterDatabase.CreateAsync(leader, database, api, spec.Clients), spec);
        var before = _usage.Read();
        var latency = await session.MeasureAsync();
        return new ClusterPoint(latency, _usage.Read() - before);
    }

    public async ValueTask DisposeAsync()
    {
        await cluster.DisposeAsync();
        _usage.Dispose();
    }
}
