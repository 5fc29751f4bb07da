using System.Diagnostics;
using System.Globalization;
using Dqlite.Net;

namespace Quickstart;

/// <summary>The main job: write from several writers, lose a node in the middle, lose no row.</summary>
internal static class ClusterCommand
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        var rows = arguments.Number("rows", 20_000, 1, 100_000_000);
        var writers = arguments.Number("writers", 8, 1, 1024);
        var nodes = arguments.Number("nodes", 3, 1, 9);
        var kill = arguments.Find("kill") ?? (nodes > 2 ? "leader" : "none");
        if (kill is not ("none" or "leader" or "follower"))
        {
            throw new ArgumentException($"--kill must be none, leader or follower, not '{kill}'.");
        }

        if (kill != "none" && nodes < 3)
        {
            throw new ArgumentException($"--kill {kill} needs at least 3 nodes: with {nodes} no majority is left.");
        }

        var directory = arguments.Find("data") ?? Path.Combine(Path.GetTempPath(), $"quickstart-{Guid.NewGuid():N}");
        try
        {
            await using var cluster = await Cluster.StartAsync(directory, nodes, arguments.Has("log") ? new ConsoleLog() : null);
            var imported = arguments.Find("import") is { } file ? await ImportCheck.ImportAsync(cluster, file) : null;
            var run = new WriterRun(cluster, rows, writers, kill);
            await run.RunAsync();
            var facts = await Facts.CollectAsync(cluster.Running);
            var problem = run.Acknowledged != rows ? $"{run.Acknowledged} of {rows} rows were acknowledged"
                : facts.Any(fact => fact.Rows != rows) ? "a node does not have every row"
                : Facts.Disagreement(facts) ?? await run.FindLossAsync() ?? (imported is null ? null : await imported.FindDifferenceAsync(cluster));
            Report(run, facts, problem);
            return problem is null ? 0 : 1;
        }
        finally
        {
            if (!arguments.Has("data") && Directory.Exists(directory))
            {
                Directory.Delete(directory, recursive: true);
            }
        }
    }

    private static void Report(WriterRun run, IReadOnlyList<NodeFacts> facts, string? problem)
    {
        Console.WriteLine($"acknowledged: {run.Acknowledged}");
        Console.WriteLine($"unknown outcomes: {run.UnknownOutcomes}");
        foreach (var fact in facts)
        {
            Console.WriteLine(fact);
        }

        Console.WriteLine(run.FirstWriteAfterKill is { } gap ? string.Create(CultureInfo.InvariantCulture, $"first write after the kill: {gap.TotalMilliseconds:0} ms") : "first write after the kill: none was made");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"commits per second: {run.RateBefore:0} before, {run.RateAfter:0} after"));
        Console.WriteLine(problem is null ? "result: ok" : $"result: FAILED, {problem}");
    }
}

/// <summary>The writers of one run.</summary>
internal sealed class WriterRun(Cluster cluster, int rows, int writers, string kill)
{
    private readonly Stopwatch _clock = new();
    private readonly TaskCompletionSource _half = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string[][] _acknowledgedTags = new string[writers][];
    private long _acknowledged;
    private long _unknown;
    private long _killedAt = -1;
    private long _firstAfterKill = -1;
    private long _atKill;

    public long Acknowledged => Interlocked.Read(ref _acknowledged);

    public long UnknownOutcomes => Interlocked.Read(ref _unknown);

    public TimeSpan? FirstWriteAfterKill => _firstAfterKill < 0 ? null : Stopwatch.GetElapsedTime(_killedAt, _firstAfterKill);

    public double RateBefore { get; private set; }

    public double RateAfter { get; private set; }

    public async Task RunAsync()
    {
        await ExecuteAsync("CREATE TABLE IF NOT EXISTS rows(tag TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID");
        _clock.Start();
        using var progress = new ProgressBar(rows, () => Acknowledged);
        var work = Enumerable.Range(0, writers).Select(writer => Task.Run(() => WriteAsync(writer))).ToArray();
        var disturbance = kill == "none" ? Task.CompletedTask : DisturbAsync();
        await Task.WhenAll(work);
        var elapsed = _clock.Elapsed;
        _half.TrySetResult();
        await disturbance;
        var total = Acknowledged;
        if (_killedAt < 0)
        {
            RateBefore = RateAfter = total / elapsed.TotalSeconds;
        }
        else
        {
            RateAfter = (total - _atKill) / Math.Max(0.001, (elapsed - _killTime).TotalSeconds);
        }
    }

    /// <summary>Looks up every acknowledged tag at the leader.</summary>
    public async Task<string?> FindLossAsync()
    {
        var (tags, duplicated) = await Facts.TagsAsync(await cluster.LeaderAsync());
        var lost = _acknowledgedTags.SelectMany(own => own).Count(tag => !tags.Contains(tag));
        return lost > 0 ? $"{lost} acknowledged rows are lost" : duplicated > 0 ? $"{duplicated} rows stand twice" : null;
    }

    private TimeSpan _killTime;

    private async Task DisturbAsync()
    {
        await _half.Task;
        var (_, leader) = await cluster.LeaderNodeAsync();
        var victim = kill == "leader" ? leader : (leader + 1) % cluster.Running.Count;
        _killTime = _clock.Elapsed;
        _atKill = Acknowledged;
        RateBefore = _atKill / _killTime.TotalSeconds;
        Volatile.Write(ref _killedAt, Stopwatch.GetTimestamp());
        await cluster.KillAsync(victim);
        while (Volatile.Read(ref _firstAfterKill) < 0 && Acknowledged < rows)
        {
            await Task.Delay(1);
        }

        await cluster.StartNodeAsync(victim);
    }

    private async Task WriteAsync(int writer)
    {
        var count = (rows / writers) + (writer < rows % writers ? 1 : 0);
        var tags = _acknowledgedTags[writer] = new string[count];
        for (var i = 0; i < count; i++)
        {
            var tag = string.Create(CultureInfo.InvariantCulture, $"{writer + 1}-{i + 1}");
            var began = Stopwatch.GetTimestamp();
            await InsertAsync(tag);
            tags[i] = tag;
            OnAcknowledged(began);
        }
    }

    private void OnAcknowledged(long began)
    {
        if (Interlocked.Increment(ref _acknowledged) >= rows / 2)
        {
            _half.TrySetResult();
        }

        var killed = Volatile.Read(ref _killedAt);
        if (killed >= 0 && _firstAfterKill < 0 && (kill == "follower" || began > killed || Stopwatch.GetTimestamp() > killed))
        {
            Interlocked.CompareExchange(ref _firstAfterKill, Stopwatch.GetTimestamp(), -1);
        }
    }

    /// <summary>Inserts a tag exactly once, whatever happens to the leader.</summary>
    private async Task InsertAsync(string tag)
    {
        var mayExist = false;
        while (true)
        {
            try
            {
                await using var connection = await (await cluster.LeaderAsync()).OpenConnectionAsync();
                if (mayExist && await ExistsAsync(connection, tag))
                {
                    return;
                }

                await using var command = connection.CreateCommand();
                command.CommandText = "INSERT INTO rows(tag, value) VALUES ($tag, $value)";
                command.Parameters.AddWithValue("$tag", tag);
                command.Parameters.AddWithValue("$value", "the value of row " + tag);
                await command.ExecuteNonQueryAsync();
                return;
            }
            catch (DqliteUnknownOutcomeException)
            {
                Interlocked.Increment(ref _unknown);
                mayExist = true;
            }
            catch (DqliteException exception) when (exception.IsTransient)
            {
                // Provably without effect: again, on whoever leads now.
                await Task.Delay(1);
            }
        }
    }

    private static async Task<bool> ExistsAsync(DqliteConnection connection, string tag)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT count(*) FROM rows WHERE tag = $tag";
        command.Parameters.AddWithValue("$tag", tag);
        return Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture) > 0;
    }

    private async Task ExecuteAsync(string sql)
    {
        while (true)
        {
            try
            {
                await using var connection = await (await cluster.LeaderAsync()).OpenConnectionAsync();
                await using var command = connection.CreateCommand();
                command.CommandText = sql;
                await command.ExecuteNonQueryAsync();
                return;
            }
            catch (DqliteException exception) when (exception.IsTransient)
            {
                await Task.Delay(1);
            }
        }
    }
}
