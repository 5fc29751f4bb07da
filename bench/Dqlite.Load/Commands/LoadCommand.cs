using System.Data.Common;
using System.Globalization;
using System.Text.Json;
using Dqlite.Load.Clusters;
using Dqlite.Load.Operations;
using Dqlite.Load.Output;
using Dqlite.Load.Series;
using Dqlite.Net;
using Dqlite.Net.Benchmarks;

namespace Dqlite.Load.Commands;

/// <summary>
/// Measures us and the baselines, each of them once in every round, in an order that changes from round to round: whatever the machine does
/// besides meets all of them.
/// </summary>
internal sealed class LoadCommand(LoadOptions options)
{
    private const int Tries = 3;
    private readonly List<Point> _points = [];
    private readonly List<ISeries> _series = [];

    public async Task RunAsync()
    {
        using var json = options.Json is null ? null : new StreamWriter(options.Json) { AutoFlush = true };
        using var directory = new ScratchDirectory(options.Directory);
        var cluster = await StartClusterAsync(directory);
        try
        {
            AddClusterSeries(cluster);
            AddSqliteSeries(directory);
            var progress = new Progress((_series.Count + (HasFloor ? 1 : 0)) * options.Rounds);
            if (HasFloor)
            {
                _series.Add(new FloorSeries(directory, Names.Of(options.Workload), options.Seconds, progress));
            }

            for (var round = 1; round <= options.Rounds; round++)
            {
                await MeasureAsync(round, json, progress);
            }
        }
        finally
        {
            _series.OfType<IDisposable>().ToList().ForEach(series => series.Dispose());
            await cluster.DisposeAsync();
        }

        var summary = new Summary(_points);
        Table.Print(summary);
        if (options.Svg is not null)
        {
            await File.WriteAllTextAsync(options.Svg, Chart.Draw(summary, $"{options.Title}: latency against throughput"));
        }
    }

    /// <summary>A program that only writes is no measure for one that reads.</summary>
    private bool HasFloor => options.Workload is not (OperationKind.Select or OperationKind.Mixed);

    private async Task<ICluster> StartClusterAsync(ScratchDirectory directory) => options.Processes
        ? ProcessCluster.Start(directory.Sub("nodes"), options.Nodes)
        : new InProcessCluster(await LocalCluster.StartAsync(directory.Sub("nodes"), options.Nodes));

    private void AddClusterSeries(ICluster cluster) =>
        _series.AddRange(options.Apis.SelectMany(api => options.Clients.Select(clients => new ClusterSeries(cluster, options.Nodes, api, options.SpecFor(clients)))));

    /// <summary>One writer is always there: the ratios are to it.</summary>
    private void AddSqliteSeries(ScratchDirectory directory)
    {
        _series.AddRange(options.Clients.Prepend(1).Distinct().Select(clients => new SqliteSeries(directory, flushes: true, options.SpecFor(clients))));
        _series.AddRange(options.Clients.Select(clients => new SqliteSeries(directory, flushes: false, options.SpecFor(clients))));
    }

    private async Task MeasureAsync(int round, StreamWriter? json, Progress progress)
    {
        var order = _series.ToArray();
        new Random(round).Shuffle(order);
        foreach (var series in order)
        {
            var what = string.Create(CultureInfo.InvariantCulture, $"round {round}/{options.Rounds} {series.Key.Name}, {series.Key.Clients} clients");
            progress.Begin(what);
            var point = await MeasureAsync(series, round, progress);
            _points.Add(point);
            json?.WriteLine(JsonSerializer.Serialize(point));
            progress.End(string.Create(CultureInfo.InvariantCulture, $"{what}: {point.CommitsPerSecond:0} commits/s, p50 {point.P50Us:0} us, p99 {point.P99Us:0} us"));
        }
    }

    /// <summary>A change of the leader spoils a point: it is measured again.</summary>
    private static async Task<Point> MeasureAsync(ISeries series, int round, Progress progress)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await series.MeasureAsync(round);
            }
            catch (Exception exception) when (attempt < Tries && exception is DbException or DqliteUnknownOutcomeException or MemberException)
            {
                progress.Note($"{series.Key.Name} failed, once more: {exception.Message.ReplaceLineEndings(" ")}");
            }
        }
    }
}
