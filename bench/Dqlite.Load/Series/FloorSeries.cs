using System.Diagnostics;
using System.Globalization;
using Dqlite.Load.Output;
using Dqlite.Net.Benchmarks;

namespace Dqlite.Load.Series;

/// <summary>
/// What no replication can beat: a bare program that has 8 KiB on two of three disks. Short runs of it alternate with as many bare flushes, so
/// that the machine's noise meets both. Where the disk itself was far quicker, something else held the floor up; where it was slower than the
/// floor, which contains such a flush, something else held the flushes up (on a busy machine a lone thread waits for the scheduler's next tick).
/// Both are measured again.
/// </summary>
internal sealed class FloorSeries : ISeries, IDisposable
{
    private const int Tries = 4;

    /// <summary>Enough for a median, and four tries do not double the time of a round.</summary>
    private const double MaxSeconds = 3;
    private const int CommitsPerTurn = 50;
    private const double MaxTimesBare = 2.5;
    private const int Followers = 2;
    private readonly Progress _progress;
    private readonly RecycledFile _bare;
    private readonly Floor _floor;
    private readonly TimeSpan _duration;
    private readonly string _workload;

    public FloorSeries(ScratchDirectory directory, string workload, double seconds, Progress progress)
    {
        _progress = progress;
        _bare = new RecycledFile(Path.Combine(directory.Sub("bare"), "file"));
        _floor = new Floor(directory.Sub("floor"));
        _duration = TimeSpan.FromSeconds(Math.Min(seconds, MaxSeconds));
        _workload = workload;
    }

    public SeriesKey Key { get; } = new(SeriesKey.Floor, Followers + 1, 1);

    public Task<Point> MeasureAsync(int round) => Task.Run(() => Measure(round));

    public void Dispose()
    {
        _floor.Dispose();
        _bare.Dispose();
    }

    private static void Take(Action commit, Latencies latencies)
    {
        for (var i = 0; i < CommitsPerTurn; i++)
        {
            var before = Stopwatch.GetTimestamp();
            commit();
            latencies.Add(Stopwatch.GetTimestamp() - before);
        }
    }

    private static string? Problem(Point point) => (point.P50Us / point.BareP50Us) switch
    {
        > MaxTimesBare => "the floor was held up",
        < 1 => "the bare flushes were held up",
        _ => null,
    };

    private Point Measure(int round)
    {
        for (var attempt = 1; ; attempt++)
        {
            var point = MeasureOnce(round);
            var problem = Problem(point);
            var consequence = problem is null ? "" : attempt < Tries ? $": {problem}, once more" : $": {problem}, this round counts for no ratio to the floor";
            _progress.Note(string.Create(CultureInfo.InvariantCulture, $"floor p50 {point.P50Us:0} us, bare fdatasync p50 {point.BareP50Us:0} us{consequence}"));
            if (problem is null || attempt == Tries)
            {
                return point with { IsDisturbed = problem is not null };
            }
        }
    }

    private Point MeasureOnce(int round)
    {
        var (floor, bare) = (new Latencies(), new Latencies());
        var (cpu, allocated, elapsed) = (TimeSpan.Zero, 0L, TimeSpan.Zero);
        for (var began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began) < _duration;)
        {
            Take(_bare.Append, bare);
            var (cpuBefore, allocatedBefore, before) = (Environment.CpuUsage.TotalTime, GC.GetTotalAllocatedBytes(), Stopwatch.GetTimestamp());
            Take(_floor.Commit, floor);
            elapsed += Stopwatch.GetElapsedTime(before);
            cpu += Environment.CpuUsage.TotalTime - cpuBefore;
            allocated += GC.GetTotalAllocatedBytes() - allocatedBefore;
        }

        var commits = floor.Count;
        var spent = new Usage(cpu.TotalMicroseconds, (double)commits * (Followers + 1) * RecycledFile.BlockBytes, (double)commits * Followers * (RecycledFile.BlockBytes + sizeof(long)), allocated);
        return Point.Of(Key, _workload, round, floor.Summarize(elapsed), spent) with { BareP50Us = Math.Round(bare.Summarize(elapsed).P50Us, 3) };
    }
}
