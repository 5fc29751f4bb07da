using System.Diagnostics;
using System.Globalization;

namespace Dqlite.Net.Benchmarks;

/// <summary>A table of random bytes that makes a database as large as one wants, with rows of half a page.</summary>
internal static class BigTable
{
    public const int RowBytes = 2000;
    private const int RowsPerTransaction = 500;

    /// <summary>Rows of a table that holds so many bytes.</summary>
    public static long RowsOf(long bytes) => bytes / RowBytes;

    /// <summary>Creates the table, with transactions of 1 MB.</summary>
    public static async Task FillAsync(DqliteDataSource source, long bytes, Action<double>? progress = null)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = "CREATE TABLE big(id INTEGER PRIMARY KEY, value BLOB NOT NULL)";
        await command.ExecuteNonQueryAsync();
        command.CommandText = string.Create(CultureInfo.InvariantCulture,
            $"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {RowsPerTransaction}) INSERT INTO big(value) SELECT randomblob({RowBytes}) FROM n");
        for (long done = 0; done < bytes; done += RowsPerTransaction * RowBytes)
        {
            await command.ExecuteNonQueryAsync();
            progress?.Invoke((double)done / bytes);
        }
    }

    /// <summary>Updates random rows of it from several writers, for a while.</summary>
    public static async Task UpdateAsync(DqliteDataSource source, long bytes, int writers, TimeSpan duration)
    {
        var began = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, writers).Select(writer => Task.Run(async () =>
        {
            var random = new Random(writer);
            await using var connection = await source.OpenConnectionAsync();
            await using var command = connection.CreateCommand();
            command.CommandText = $"UPDATE big SET value = randomblob({RowBytes}) WHERE id = $id";
            var id = command.Parameters.AddWithValue("$id", 1L);
            while (Stopwatch.GetElapsedTime(began) < duration)
            {
                id.Value = 1 + random.NextInt64(RowsOf(bytes));
                await command.ExecuteNonQueryAsync();
            }
        })));
    }
}
