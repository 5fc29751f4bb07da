using Dqlite.Load.Operations;

namespace Dqlite.Load.Clusters;

/// <summary>What a point on a cluster came to.</summary>
/// <param name="Latency">What the clients saw.</param>
/// <param name="Spent">What clients and nodes spent meanwhile, all of them together.</param>
internal sealed record ClusterPoint(LatencySummary Latency, Usage Spent);

/// <summary>A running cluster; its clients work on the leader, since that is where writes go.</summary>
internal interface ICluster : IAsyncDisposable
{
    /// <summary>Puts the leader under load, on a database of its own.</summary>
    /// <exception cref="System.Data.Common.DbException">It lost leadership meanwhile.</exception>
    /// <exception cref="MemberException">It is a process of its own, and something failed there.</exception>
    Task<ClusterPoint> MeasureAsync(string database, Api api, LoadSpec spec);
}
