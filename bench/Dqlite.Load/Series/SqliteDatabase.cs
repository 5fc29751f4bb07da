using System.Data.Common;
using Dqlite.Load.Operations;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Dqlite.Load.Series;

/// <summary>A plain file, as a careful application opens it: WAL, and SQLite's own wait for a busy writer, which is far shorter than the provider's.</summary>
internal sealed class SqliteDatabase(string directory, bool flushes) : IDatabaseUnderLoad
{
    private const int PageBytes = 4096;
    private const int FrameHeaderBytes = 24;
    private readonly List<SqliteConnection> _connections = [];

    public bool Blocks => true;

    /// <summary>Bytes of all frames that the connections wrote. SQLite reuses the file, so its length tells nothing.</summary>
    public long WalBytes => _connections.Sum(PagesWritten) * (PageBytes + FrameHeaderBytes);

    public async Task FillAsync(LoadSpec spec)
    {
        await using var connection = await ConnectAsync();
        await OperationFactory.FillAsync(connection, spec);
    }

    public async Task<DbConnection> OpenAsync()
    {
        var connection = await ConnectAsync();
        _connections.Add(connection);
        return connection;
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(directory, recursive: true);
        return ValueTask.CompletedTask;
    }

    private async Task<SqliteConnection> ConnectAsync()
    {
        var connection = new SqliteConnection($"Data Source={Path.Combine(directory, "plain.db")};Pooling=False;Default Timeout=60");
        await connection.OpenAsync();
        await connection.RunAsync($"PRAGMA busy_timeout=60000; PRAGMA journal_mode=WAL; PRAGMA synchronous={(flushes ? "FULL" : "OFF")}");
        return connection;
    }

    private static long PagesWritten(SqliteConnection connection)
    {
        var result = raw.sqlite3_db_status(connection.Handle, raw.SQLITE_DBSTATUS_CACHE_WRITE, out var pages, out _, 0);
        return result == raw.SQLITE_OK ? pages : throw new InvalidOperationException($"sqlite3_db_status answers {result}.");
    }
}
