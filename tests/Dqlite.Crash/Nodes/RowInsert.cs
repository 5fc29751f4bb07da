using Dqlite.Crash.Ledgers;
using Dqlite.Net;

namespace Dqlite.Crash.Nodes;

/// <summary>How an insert ended.</summary>
/// <param name="State">What the writer knows of its row now.</param>
/// <param name="Error">The error, unless it was acknowledged.</param>
internal readonly record struct InsertResult(TagState State, DqliteException? Error);

/// <summary>Inserts one row and tells what the library said about it; any exception that is not the library's own goes on.</summary>
internal static class RowInsert
{
    public const string Sql = "INSERT INTO rows(tag, value) VALUES ($tag, $value)";

    /// <summary>In a statement of its own.</summary>
    public static Task<InsertResult> RunAsync(DqliteDataSource source, string tag, string value) => TryAsync(async () =>
    {
        await using var connection = await source.OpenConnectionAsync();
        await InsertAsync(connection, null, tag, value);
    });

    /// <summary>In one transaction with a large blob, which names the row that was written with it.</summary>
    public static Task<InsertResult> RunWithBlobAsync(DqliteDataSource source, string tag, int blobBytes) => TryAsync(async () =>
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var command = new DqliteCommand("INSERT OR REPLACE INTO bulk VALUES (1, $tag, randomblob($bytes))", connection) { Transaction = transaction };
        command.Parameters.AddWithValue("$tag", tag);
        command.Parameters.AddWithValue("$bytes", blobBytes);
        await command.ExecuteNonQueryAsync();
        await InsertAsync(connection, transaction, tag, "with a blob");
        await transaction.CommitAsync();
    });

    private static async Task InsertAsync(DqliteConnection connection, DqliteTransaction? transaction, string tag, string value)
    {
        await using var command = new DqliteCommand(Sql, connection) { Transaction = transaction };
        command.Parameters.AddWithValue("$tag", tag);
        command.Parameters.AddWithValue("$value", value);
        await command.ExecuteNonQueryAsync();
    }

    private static async Task<InsertResult> TryAsync(Func<Task> insert)
    {
        try
        {
            await insert();
            return new InsertResult(TagState.Acknowledged, null);
        }
        catch (DqliteUnknownOutcomeException exception)
        {
            return new InsertResult(TagState.Unknown, exception);
        }
        catch (DqliteException exception)
        {
            return new InsertResult(TagState.Failed, exception);
        }
    }
}
