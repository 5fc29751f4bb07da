using System.Diagnostics;
using System.Globalization;
using Dqlite.Net;

namespace Quickstart;

/// <summary>
/// The writers of one run, and the kill in the middle. A row's tag is run-writer-sequence: the run's number is one above the highest that
/// is stored, so that a second run on the same directory adds to the rows of the first.
/// </summary>
internal sealed class WriterRun(Cluster cluster, int rows, int writers, string kill)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TaskCompletionSource _half = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _killed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string[][] _tags = new string[writers][];
    private long _run;
    private long _began;
    private long _halfAt;
    private long _ended;
    private long _acknowledged;
    private long _acknowledgedAtHalf;
    private long _unknown;
    private long _killedAt = -1;
    private long _firstAfterKill = -1;
    private volatile int _victim = -1;

    public long Acknowledged => Interlocked.Read(ref _acknowledged);

    public long UnknownOutcomes => Interlocked.Read(ref _unknown);

    /// <summary>Rows that earlier runs left.</summary>
    public long RowsBefore { get; private set; }

    /// <summary>From the call that kills to the first acknowledgement of a node that was not killed.</summary>
    public TimeSpan? FirstWriteAfterKill => _firstAfterKill < 0 ? null : Stopwatch.GetElapsedTime(_killedAt, _firstAfterKill);

    /// <summary>Up to the kill; without one, in the first half.</summary>
    public double RateBefore => _acknowledgedAtHalf / Seconds(_began, _halfAt);

    /// <summary>From the kill (or the half) to the last row, the time without a leader included.</summary>
    public double RateAfter => (Acknowledged - _acknowledgedAtHalf) / Seconds(_halfAt, _ended);

    public async Task RunAsync()
    {
        await PrepareAsync();
        _began = Stopwatch.GetTimestamp();
        if (rows / 2 == 0)
        {
            _halfAt = _began;
            _half.TrySetResult();
        }

        using var progress = new ProgressBar(rows, () => Acknowledged);
        var work = Task.WhenAll(Enumerable.Range(0, writers).Select(writer => Task.Run(() => WriteAsync(writer))));
        await Task.WhenAll(work, DisturbAsync(work));
    }

    /// <summary>Looks up every acknowledged tag at the leader.</summary>
    public async Task<string?> FindLossAsync()
    {
        var (leader, _) = await cluster.LeaderAsync();
        var (stored, duplicated) = await Facts.TagsAsync(await leader.OpenDatabaseAsync(Facts.Database));
        var lost = _tags.SelectMany(own => own).Count(tag => !stored.Contains(tag));
        return lost > 0 ? $"{lost} acknowledged rows are lost" : duplicated > 0 ? $"{duplicated} rows stand twice" : null;
    }

    private async Task PrepareAsync()
    {
        await OnLeaderAsync(async connection =>
        {
            await using var command = connection.CreateCommand();
            command.CommandText = "CREATE TABLE IF NOT EXISTS rows(tag TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID";
            await command.ExecuteNonQueryAsync();
            command.CommandText = "SELECT count(*), coalesce(max(CAST(tag AS INTEGER)), 0) FROM rows";
            await using var reader = await command.ExecuteReaderAsync();
            await reader.ReadAsync();
            (RowsBefore, _run) = (reader.GetInt64(0), reader.GetInt64(1) + 1);
        }, onUnknownOutcome: () => { });
    }

    /// <summary>Kills a node when half of the rows stand, and starts it again once another one has taken a write.</summary>
    private async Task DisturbAsync(Task work)
    {
        await Task.WhenAny(_half.Task, work);
        try
        {
            if (kill == "none" || work.IsCompleted)
            {
                return;
            }

            var (_, leader) = await cluster.LeaderAsync();
            _victim = kill == "leader" ? leader : (leader + 1) % cluster.Running.Count;
            Volatile.Write(ref _killedAt, Stopwatch.GetTimestamp());
            var death = cluster.KillAsync(_victim);
            _killed.TrySetResult();
            await death;
        }
        finally
        {
            _killed.TrySetResult();
        }

        while (Volatile.Read(ref _firstAfterKill) < 0 && !work.IsCompleted)
        {
            await Task.Delay(1);
        }

        await cluster.StartNodeAsync(_victim);
    }

    private async Task WriteAsync(int writer)
    {
        var count = (rows / writers) + (writer < rows % writers ? 1 : 0);
        var tags = _tags[writer] = new string[count];
        for (var i = 0; i < count; i++)
        {
            if (writer == 0 && i == count - 1)
            {
                // However few rows are asked for, one is written after the kill.
                await _killed.Task;
            }

            var tag = string.Create(CultureInfo.InvariantCulture, $"{_run}-{writer + 1}-{i + 1}");
            var servedBy = await InsertAsync(tag);
            tags[i] = tag;
            OnAcknowledged(servedBy);
        }
    }

    private void OnAcknowledged(int servedBy)
    {
        var now = Stopwatch.GetTimestamp();
        var count = Interlocked.Increment(ref _acknowledged);
        if (count == rows / 2)
        {
            (_acknowledgedAtHalf, _halfAt) = (count, now);
            _half.TrySetResult();
        }

        if (count == rows)
        {
            _ended = now;
        }

        var killedAt = Volatile.Read(ref _killedAt);
        if (killedAt >= 0 && now > killedAt && servedBy != _victim)
        {
            Interlocked.CompareExchange(ref _firstAfterKill, now, -1);
        }
    }

    /// <summary>Inserts a tag exactly once, whatever happens to the leader; returns the position of the node that acknowledged it.</summary>
    private Task<int> InsertAsync(string tag)
    {
        var mayExist = false;
        return OnLeaderAsync(async connection =>
        {
            if (mayExist && await ExistsAsync(connection, tag))
            {
                return;
            }

            await using var command = connection.CreateCommand();
            command.CommandText = "INSERT INTO rows(tag, value) VALUES ($tag, $value)";
            command.Parameters.AddWithValue("$tag", tag);
            command.Parameters.AddWithValue("$value", "the value of row " + tag);
            await command.ExecuteNonQueryAsync();
        }, () => mayExist = true);
    }

    /// <summary>Runs something on the leader, and again on whoever leads then while it had no effect or an unknown one.</summary>
    private async Task<int> OnLeaderAsync(Func<DqliteConnection, Task> action, Action onUnknownOutcome)
    {
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            var (node, position) = await cluster.LeaderAsync();
            try
            {
                var source = await node.OpenDatabaseAsync(Facts.Database);
                await using var connection = await source.OpenConnectionAsync();
                await action(connection);
                return position;
            }
            catch (DqliteUnknownOutcomeException)
            {
                Interlocked.Increment(ref _unknown);
                onUnknownOutcome();
            }
            catch (DqliteException exception) when (exception.IsTransient && Stopwatch.GetElapsedTime(began) < Patience)
            {
                // Provably without effect.
                await Task.Delay(1);
            }
            catch (ObjectDisposedException)
            {
                // The node was killed before the connection was open.
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

    private static double Seconds(long from, long to) => Math.Max(0.001, Stopwatch.GetElapsedTime(from, to).TotalSeconds);
}
