using System.Diagnostics;
using System.Globalization;
using Microsoft.Data.Sqlite;

namespace Dqlite.Net.Benchmarks;

/// <summary>
/// The figures of docs/PERFORMANCE.md. Everything that is compared is measured in turn in each round, so that what the machine does besides
/// meets all of it; the median of the rounds is printed, with the lowest and the highest.
/// </summary>
internal sealed class FiguresCommand(ScratchDirectory directory, int rounds, string? only)
{
    private const int Commits = 500;
    private const int ManyWriters = 64;
    private const int Failovers = 20;
    private static readonly TimeSpan LoadDuration = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan IdleDuration = TimeSpan.FromSeconds(10);

    public async Task RunAsync()
    {
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"machine: {Environment.ProcessorCount} cores, load {Load()}, {DriveOf(directory.Path)}"));
        if (Wants("latency"))
        {
            await LatencyAsync();
        }

        if (Wants("failover"))
        {
            var gaps = await Failover.MeasureAsync(directory.Sub("failover"), Failovers);
            Print("kill to the first write elsewhere, in-process", "ms", gaps.P50, gaps.Quantile(0), gaps.Max);
        }

        if (Wants("idle"))
        {
            Print("idle 3-node cluster", "% of one core", await IdleAsync());
        }

        if (Wants("memory"))
        {
            await MemberCommand.MeasureAsync(directory, Print);
        }
    }

    private static string Load() => OperatingSystem.IsLinux() ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "unknown";

    private static string DriveOf(string path)
    {
        var drive = DriveInfo.GetDrives().Where(drive => path.StartsWith(drive.Name, StringComparison.Ordinal)).MaxBy(drive => drive.Name.Length);
        return $"{path} on {drive?.DriveFormat ?? "an unknown file system"}";
    }

    private static void Print(string what, string unit, params double[] values)
    {
        var sorted = values.Order().ToArray();
        var median = sorted[sorted.Length / 2];
        var range = sorted.Length == 1 ? "" : string.Create(CultureInfo.InvariantCulture, $" ({sorted[0]:0.###} to {sorted[^1]:0.###})");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what}: {median:0.###} {unit}{range}"));
    }

    private bool Wants(string part) => only is null || only == part;

    private async Task LatencyAsync()
    {
        using var disk = new RecycledFile(Path.Combine(directory.Path, "bare"));
        using var floor = new Floor(directory.Sub("floor"));
        using var plain = Workload.OpenPlain(directory.Sub("plain"));
        await using var one = await LocalCluster.StartAsync(directory.Sub("one"), 1);
        await using var three = await LocalCluster.StartAsync(directory.Sub("three"), 3);
        await WarmUpAsync(floor, plain, one, three);
        var series = new Series();
        for (var round = 0; round < rounds; round++)
        {
            series.Add("bare fdatasync of 8 KiB, p50", "ms", disk.Measure(Commits).P50);
            var floorP50 = series.Add("floor, p50", "ms", floor.Measure(Commits).P50);
            await using (var connection = await three.OpenAsync())
            {
                var commits = await Workload.InsertAsync(connection, Commits);
                series.Add("3 nodes, 1 writer, p50", "ms", commits.P50);
                series.Add("3 nodes, 1 writer, p99", "ms", commits.P99);
                series.Add("3 nodes, 1 writer, p50 / floor", "times", commits.P50 / floorP50);
                series.Add("3 nodes, 1 blocking writer, p50", "ms", Workload.Insert(connection, Commits).P50);
            }

            await using (var connection = await one.OpenAsync())
            {
                series.Add("1 node, 1 writer, p50", "ms", (await Workload.InsertAsync(connection, Commits)).P50);
            }

            var plainCommits = Workload.Insert(plain, Commits);
            series.Add("plain SQLite, 1 writer, p50", "ms", plainCommits.P50);
            var plainRate = series.Add("plain SQLite, 1 writer", "commits/s", plainCommits.PerSecond);
            var rate = series.Add($"3 nodes, {ManyWriters} writers", "commits/s", await Workload.CommitsPerSecondAsync(await three.SourceAsync(), ManyWriters, LoadDuration));
            series.Add($"3 nodes, {ManyWriters} writers / plain SQLite", "times", rate / plainRate);
        }

        series.Print(Print);
        SqliteConnection.ClearAllPools();
    }

    private static async Task WarmUpAsync(Floor floor, SqliteConnection plain, LocalCluster one, LocalCluster three)
    {
        floor.Measure(Commits);
        Workload.Insert(plain, Commits);
        foreach (var cluster in new[] { one, three })
        {
            await using var connection = await cluster.OpenAsync();
            await Workload.InsertAsync(connection, 2 * Commits);
            Workload.Insert(connection, Commits);
            await Workload.CommitsPerSecondAsync(await cluster.SourceAsync(), ManyWriters, LoadDuration / 2);
        }
    }

    private async Task<double> IdleAsync()
    {
        await using var cluster = await LocalCluster.StartAsync(directory.Sub("idle"), 3);
        await cluster.WaitForAgreementAsync();
        await Task.Delay(TimeSpan.FromSeconds(2));
        using var process = Process.GetCurrentProcess();
        var cpu = process.TotalProcessorTime;
        var began = Stopwatch.GetTimestamp();
        await Task.Delay(IdleDuration);
        process.Refresh();
        return 100 * (process.TotalProcessorTime - cpu) / Stopwatch.GetElapsedTime(began);
    }

    /// <summary>What was measured, in the order of its first appearance.</summary>
    private sealed class Series
    {
        private readonly List<(string What, string Unit, List<double> Values)> _lines = [];

        public double Add(string what, string unit, double value)
        {
            var line = _lines.Find(known => known.What == what);
            if (line.Values is null)
            {
                _lines.Add(line = (what, unit, []));
            }

            line.Values.Add(value);
            return value;
        }

        public void Print(Action<string, string, double[]> print) => _lines.ForEach(line => print(line.What, line.Unit, [.. line.Values]));
    }
}
