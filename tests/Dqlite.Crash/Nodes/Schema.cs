using System.Globalization;
using Dqlite.Net;
using Quickstart;

namespace Dqlite.Crash.Nodes;

/// <summary>The tables that the writers use. No tag is declared unique: a row that was written twice stands there twice.</summary>
internal static class Schema
{
    /// <summary>How long somebody waits who can do nothing now: the pace of attempts on a node that does not lead.</summary>
    public static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(20);

    private const int TableCount = 3;

    private const string Tables = """
        CREATE TABLE IF NOT EXISTS rows(tag TEXT NOT NULL, value TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS registers(key INTEGER PRIMARY KEY, value INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS bulk(id INTEGER PRIMARY KEY, tag TEXT NOT NULL, data BLOB NOT NULL);
        """;

    /// <summary>Opens the database on a node and waits until its tables exist; the leader makes them.</summary>
    public static async Task<DqliteDataSource> PrepareAsync(DqliteNode node, CancellationToken stop)
    {
        while (true)
        {
            try
            {
                if (await TryPrepareAsync(node, stop) is { } source)
                {
                    return source;
                }
            }
            catch (DqliteException exception) when (exception is DqliteUnknownOutcomeException || (exception.IsTransient && node.Failure is null))
            {
                // Somebody else leads now, or nobody; or a table may be there or not. The next look tells.
            }

            await Task.Delay(Pace, stop);
        }
    }

    /// <summary>One attempt: null when the tables do not exist yet.</summary>
    public static async Task<DqliteDataSource?> TryPrepareAsync(DqliteNode node, CancellationToken stop)
    {
        var source = await node.OpenDatabaseAsync(Facts.Database, null, stop);
        await using var connection = await source.OpenConnectionAsync(stop);
        await using var command = new DqliteCommand("SELECT count(*) FROM sqlite_schema WHERE name IN ('rows', 'registers', 'bulk')", connection);
        if (Convert.ToInt64(await command.ExecuteScalarAsync(stop), CultureInfo.InvariantCulture) == TableCount)
        {
            return source;
        }

        if (node.IsLeader)
        {
            command.CommandText = Tables;
            await command.ExecuteNonQueryAsync(stop);
            return source;
        }

        return null;
    }
}
