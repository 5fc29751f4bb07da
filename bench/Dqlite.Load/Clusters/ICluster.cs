using Dqlite.Load.Operations;

namespace Dqlite.Load.Clusters;

/// <summary>What a point on a cluster came to.</summary>
/// <param name="Latency">What the clients saw.</param>
/// <param name="Spent">What clients and nodes spent meanwhile, all of them together.</param>
internal sealed record ClusterPoint(LatencySummary Latency, Usage Spent);

/// <summary>A running cluster.</summary>
internal interface ICluster : IAsyncDisposable
{
    const string LeaderMoved = "The leader changed while the clients were measured.";

    /// <summary>Puts the nodes under load that <see cref="LoadSpec.On"/> means, on a database of its own.</summary>
    /// <exception cref="System.Data.Common.DbException">The leader lost leadership meanwhile.</exception>
    /// <exception cref="MemberException">So it did, or a node is a process of its own, and something failed there.</exception>
    Task<ClusterPoint> MeasureAsync(string database, Api api, LoadSpec spec);
}
