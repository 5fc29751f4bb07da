using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Dqlite.Load.Clusters;
using Dqlite.Load.Operations;
using Dqlite.Load.Soak;
using Dqlite.Net;
using Dqlite.Net.Benchmarks;
using Quickstart;

namespace Dqlite.Load.Commands;

/// <summary>A steady load for a long time: what grows, and how often leadership was lost although nothing failed.</summary>
internal sealed class SoakCommand
{
    public const int Nodes = 3;
    private readonly List<SoakSample> _samples = [];
    private readonly string _parent;
    private readonly string? _json;
    private readonly int _clients;
    private readonly TimeSpan _duration;
    private readonly TimeSpan _interval;
    private int _leaders;

    private SoakCommand(Arguments arguments)
    {
        _parent = LoadOptions.DirectoryOf(arguments);
        _json = LoadOptions.FileOf(arguments, "json");
        _clients = arguments.Number("clients", 16, 1, 1024);
        _duration = TimeSpan.FromMinutes(arguments.Number("minutes", 10, 1, 100_000));
        _interval = TimeSpan.FromSeconds(arguments.Number("every", 10, 1, 3600));
    }

    public static SoakCommand Parse(Arguments arguments) => new(arguments);

    /// <exception cref="MemberException">There was an election.</exception>
    public async Task RunAsync()
    {
        using var directory = new ScratchDirectory(_parent);
        using var json = _json is null ? null : new StreamWriter(_json) { AutoFlush = true };
        await using var cluster = await LocalCluster.StartAsync(directory.Sub("nodes"), Nodes);
        var (leader, _) = await cluster.LeaderAsync();
        leader.LeaderChanged += (_, found) => Interlocked.Add(ref _leaders, found is null ? 0 : 1);
        await using (var connection = await cluster.OpenAsync())
        {
            await connection.RunAsync("CREATE TABLE soak(id INTEGER PRIMARY KEY, value NOT NULL)");
        }

        var clients = Enumerable.Range(1, _clients).Select(number => new SoakClient(cluster.SourceAsync, number)).ToArray();
        using var stop = new CancellationTokenSource();
        var running = clients.Select(client => Task.Run(() => client.RunAsync(stop.Token))).ToArray();
        SoakReport.PrintHead();
        await WatchAsync(clients, directory, json, Task.WhenAny(running));
        await stop.CancelAsync();
        await Task.WhenAll(running);
        SoakReport.PrintGrowth(_samples);
        Console.WriteLine($"elections: {_leaders}");
        if (_leaders > 0)
        {
            throw new MemberException($"Leadership was lost {_leaders} times although nothing failed.");
        }
    }

    private static double MegabytesOf(string directory, Func<string, bool> isMeant) =>
        Directory.EnumerateFiles(directory, "*", SearchOption.AllDirectories).Where(isMeant).Sum(path => new FileInfo(path) is { Exists: true } file ? file.Length : 0) / 1e6;

    /// <param name="failed">Completes when a client failed for good.</param>
    private async Task WatchAsync(SoakClient[] clients, ScratchDirectory directory, StreamWriter? json, Task<Task> failed)
    {
        var began = Stopwatch.GetTimestamp();
        var last = began;
        while (Stopwatch.GetElapsedTime(began) < _duration)
        {
            await Task.WhenAny(Task.Delay(_interval), failed);
            if (failed.IsCompleted)
            {
                await await failed;
            }

            var now = Stopwatch.GetTimestamp();
            var sample = Look(clients, directory.Path, Stopwatch.GetElapsedTime(began, now), Stopwatch.GetElapsedTime(last, now));
            last = now;
            _samples.Add(sample);
            SoakReport.Print(sample);
            json?.WriteLine(JsonSerializer.Serialize(sample));
        }
    }

    private SoakSample Look(SoakClient[] clients, string directory, TimeSpan since, TimeSpan interval)
    {
        var all = new Latencies();
        Array.ForEach(clients, client => all.Add(client.Take()));
        var latency = all.Summarize(interval);
        using var process = Process.GetCurrentProcess();
        return new SoakSample
        {
            Seconds = Math.Round(since.TotalSeconds, 1),
            CommitsPerSecond = Math.Round(latency.Commits / latency.Seconds, 1),
            P99Us = latency.P99Us,
            ManagedMb = GC.GetGCMemoryInfo().TotalCommittedBytes / 1e6,
            ResidentMb = process.WorkingSet64 / 1e6,
            LogMb = MegabytesOf(directory, path => Path.GetExtension(path) is ".segment" or ".spare"),
            DatabaseMb = MegabytesOf(directory, path => path.EndsWith(".db", StringComparison.Ordinal)),
            Descriptors = Directory.Exists("/proc/self/fd") ? Directory.GetFileSystemEntries("/proc/self/fd").Length : 0,
            Threads = process.Threads.Count,
            Elections = _leaders,
        };
    }
}
