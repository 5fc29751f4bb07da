using System.Data.Common;
using System.Diagnostics;
using Microsoft.Data.Sqlite;

namespace Dqlite.Net.Benchmarks;

/// <summary>The same statements for both libraries: single-row inserts, each a transaction of its own.</summary>
internal static class Workload
{
    public const string CreateTable = "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, value TEXT NOT NULL)";

    /// <summary>Plain SQLite as a careful application runs it: WAL, and a flush for each commit.</summary>
    public static SqliteConnection OpenPlain(string directory)
    {
        var connection = new SqliteConnection($"Data Source={Path.Combine(directory, "plain.db")}");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; " + CreateTable;
        command.ExecuteNonQuery();
        return connection;
    }

    public static DbCommand PrepareInsert(DbConnection connection)
    {
        var command = connection.CreateCommand();
        command.CommandText = "INSERT INTO t(value) VALUES ($value)";
        var parameter = command.CreateParameter();
        parameter.ParameterName = "$value";
        parameter.Value = new string('x', 100);
        command.Parameters.Add(parameter);
        command.Prepare();
        return command;
    }

    /// <summary>Microseconds of each of many awaited commits.</summary>
    public static async Task<Sample> InsertAsync(DbConnection connection, int count)
    {
        await using var command = PrepareInsert(connection);
        var sample = new Sample(count);
        for (var i = 0; i < count; i++)
        {
            var began = Stopwatch.GetTimestamp();
            await command.ExecuteNonQueryAsync();
            sample.Add(Stopwatch.GetElapsedTime(began));
        }

        return sample;
    }

    /// <summary>The same, blocking.</summary>
    public static Sample Insert(DbConnection connection, int count)
    {
        using var command = PrepareInsert(connection);
        var sample = new Sample(count);
        for (var i = 0; i < count; i++)
        {
            var began = Stopwatch.GetTimestamp();
            command.ExecuteNonQuery();
            sample.Add(Stopwatch.GetElapsedTime(began));
        }

        return sample;
    }

    /// <summary>Commits per second of many writers that each wait for their own commit.</summary>
    public static async Task<double> CommitsPerSecondAsync(DqliteDataSource source, int writers, TimeSpan duration)
    {
        var began = Stopwatch.GetTimestamp();
        var counts = await Task.WhenAll(Enumerable.Range(0, writers).Select(_ => Task.Run(async () =>
        {
            await using var connection = await source.OpenConnectionAsync();
            await using var command = PrepareInsert(connection);
            var count = 0;
            while (Stopwatch.GetElapsedTime(began) < duration)
            {
                await command.ExecuteNonQueryAsync();
                count++;
            }

            return count;
        })));
        return counts.Sum() / Stopwatch.GetElapsedTime(began).TotalSeconds;
    }
}

/// <summary>Times of one measurement, in milliseconds.</summary>
internal sealed class Sample(int capacity)
{
    private readonly List<double> _values = new(capacity);

    public double P50 => Quantile(0.5);

    public double P99 => Quantile(0.99);

    public double Max => _values.Max();

    public double PerSecond => _values.Count / (_values.Sum() / 1000);

    public void Add(TimeSpan time) => _values.Add(time.TotalMilliseconds);

    public double Quantile(double quantile)
    {
        var sorted = _values.Order().ToArray();
        return sorted[(int)Math.Min(sorted.Length - 1, quantile * sorted.Length)];
    }
}
