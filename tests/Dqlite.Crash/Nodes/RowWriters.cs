using System.Globalization;
using Dqlite.Crash.Ledgers;
using Dqlite.Net;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;
using Microsoft.Data.Sqlite;

namespace Dqlite.Crash.Nodes;

/// <summary>
/// The load of one node: writers over the library's connections, and one over an unmodified SqliteConnection. They write whether the node
/// leads or not: a refusal must have no effect.
/// </summary>
internal sealed class RowWriters(DqliteNode node, string prefix, SeededRandom chance)
{
    public const string Name = "rows";
    public const string FullWord = "full";
    private const int LibraryWriters = 5;
    private const int LongestValue = 6000;
    private long _sequence;

    public async Task RunAsync(CancellationToken stop)
    {
        var source = await Schema.PrepareAsync(node, stop);
        var plain = Task.Factory.StartNew(() => WritePlainly(source, chance.Stream("plain"), stop), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await Task.WhenAll(Enumerable.Range(0, LibraryWriters).Select(writer => WriteAsync(source, chance.Stream("writer", writer), stop)).Append(plain));
    }

    private async Task WriteAsync(DqliteDataSource source, SeededRandom values, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var tag = NextTag();
            ChildReport.Tag(TagState.Intended, tag);
            var result = await RowInsert.RunAsync(source, tag, DrawValue(values));
            ChildReport.Tag(result.State, tag);
            if (result.State == TagState.Failed)
            {
                SayIfFull(result.Error!.SqliteErrorCode);
                await Task.Delay(Schema.Pace, stop);
            }
        }
    }

    private void WritePlainly(DqliteDataSource source, SeededRandom values, CancellationToken stop)
    {
        using var connection = new SqliteConnection(source.PlainConnectionString);
        connection.Open();
        while (!stop.IsCancellationRequested)
        {
            var tag = NextTag();
            ChildReport.Tag(TagState.Intended, tag);
            var state = InsertPlainly(connection, tag, DrawValue(values));
            ChildReport.Tag(state, tag);
            if (state == TagState.Failed)
            {
                stop.WaitHandle.WaitOne(Schema.Pace);
            }
        }
    }

    private static TagState InsertPlainly(SqliteConnection connection, string tag, string value)
    {
        using var command = connection.CreateCommand();
        command.CommandText = RowInsert.Sql;
        command.Parameters.AddWithValue("$tag", tag);
        command.Parameters.AddWithValue("$value", value);
        try
        {
            command.ExecuteNonQuery();
            return TagState.Acknowledged;
        }
        catch (SqliteException exception)
        {
            SayIfFull(exception.SqliteErrorCode);
            return exception.SqliteExtendedErrorCode == ShimResult.OutcomeUnknown ? TagState.Unknown : TagState.Failed;
        }
    }

    private static void SayIfFull(int code)
    {
        if (code == ShimResult.Full)
        {
            ChildReport.Line(FullWord);
        }
    }

    private string NextTag() => string.Create(CultureInfo.InvariantCulture, $"{prefix}{Interlocked.Increment(ref _sequence)}");

    /// <summary>Mostly short; now and then several pages.</summary>
    private static string DrawValue(SeededRandom values) => new('x', values.Chance(0.05) ? values.Between(100, LongestValue) : values.Between(1, 100));
}
