using System.Globalization;
using Dqlite.Load.Clusters;
using Dqlite.Load.Operations;

namespace Dqlite.Load.Series;

/// <summary>Us: through the library's own connections ("dqlite") or through unmodified ones ("plain").</summary>
internal sealed class ClusterSeries(ICluster cluster, int nodes, Api api, LoadSpec spec) : ISeries
{
    private int _databases;

    public SeriesKey Key { get; } = new(Names.Of(api), nodes, spec.Clients);

    public async Task<Point> MeasureAsync(int round)
    {
        // A point that failed may have left its database.
        var database = string.Create(CultureInfo.InvariantCulture, $"{Key.Name}-{Key.Clients}-{++_databases}");
        var measured = await cluster.MeasureAsync(database, api, spec);
        var point = Point.Of(Key, Names.Of(spec.Operation), round, measured.Latency, measured.Spent);
        return spec.IsLinearizableOnLeader ? point : point with { Level = Names.Of(spec.Level), On = Names.Of(spec.On) };
    }
}
