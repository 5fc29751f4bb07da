using Dqlite.Simulation.Workload;
using SQLitePCL;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.FullTier;

/// <summary>A cursor; it may stay open while other statements of its connection run.</summary>
internal sealed class SqlRows(SqlRunner runner, sqlite3_stmt statement, bool isOwner = false) : IDisposable
{
    private bool _isStarted;

    /// <summary>Goes to the next row.</summary>
    /// <exception cref="SimDatabaseException">It failed.</exception>
    public bool Next()
    {
        var rc = _isStarted ? sqlite3_step(statement) : SqlRunner.Step(statement);
        _isStarted = true;
        runner.Check(rc);
        return rc == SQLITE_ROW;
    }

    /// <summary>A column of the row, as a number.</summary>
    public long Int64(int column) => sqlite3_column_int64(statement, column);

    /// <summary>A column of the row, as text.</summary>
    public string Text(int column) => sqlite3_column_text(statement, column).utf8_to_string();

    /// <summary>A column of the row, as bytes; until the next step.</summary>
    public ReadOnlySpan<byte> Blob(int column) => sqlite3_column_blob(statement, column);

    /// <summary>Gives the snapshot of an autocommit statement up.</summary>
    public void Dispose()
    {
        if (isOwner)
        {
            statement.Dispose();
        }
        else
        {
            sqlite3_reset(statement);
        }
    }
}
