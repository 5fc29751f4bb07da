using Dqlite.Simulation.Workload;
using Dqlite.Sqlite;
using SQLitePCL;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.FullTier;

/// <summary>Runs the statements of one connection, which it keeps prepared. One call at a time.</summary>
/// <param name="db">The connection; its owner closes it after this.</param>
/// <param name="vfs">The shim's side of it.</param>
/// <param name="beforeStatement">Called before each statement runs; may throw.</param>
internal sealed class SqlRunner(sqlite3 db, VfsHandle vfs, Action beforeStatement) : IDisposable
{
    private const int PreparePersistent = 1;
    private const int MaxSchemaRetries = 10;

    private readonly sqlite3_stmt?[] _statements = new sqlite3_stmt?[SqlTexts.Count];

    /// <summary>Whether a transaction is open; autocommit statements have none.</summary>
    public bool InTransaction => sqlite3_get_autocommit(db) == 0;

    /// <summary>Rows that the last statement changed.</summary>
    public int Changes => sqlite3_changes(db);

    /// <summary>Runs a statement to its end.</summary>
    /// <exception cref="SimDatabaseException">It failed.</exception>
    public void Run(Sql sql, params ReadOnlySpan<long> arguments) => Check(TryRun(sql, arguments));

    /// <summary>Runs a statement to its end.</summary>
    /// <returns>SQLITE_OK, or the extended result code that it failed with.</returns>
    /// <exception cref="SimDatabaseException">It could not be begun.</exception>
    public int TryRun(Sql sql, params ReadOnlySpan<long> arguments) => StepToEnd(Start(sql, arguments));

    /// <summary>Runs a statement whose last parameter is a blob.</summary>
    /// <exception cref="SimDatabaseException">It failed.</exception>
    public void Run(Sql sql, ReadOnlySpan<long> arguments, ReadOnlySpan<byte> blob)
    {
        var statement = Start(sql, arguments);
        sqlite3_bind_blob(statement, arguments.Length + 1, blob);
        var rc = StepToEnd(statement);
        sqlite3_clear_bindings(statement);
        Check(rc);
    }

    /// <summary>Begins a statement that gives rows.</summary>
    /// <exception cref="SimDatabaseException">It could not be begun.</exception>
    public SqlRows Query(Sql sql, params ReadOnlySpan<long> arguments) => new(this, Start(sql, arguments));

    /// <summary>The first column of the only row, or null.</summary>
    /// <exception cref="SimDatabaseException">It failed.</exception>
    public long? QueryValue(Sql sql, params ReadOnlySpan<long> arguments)
    {
        using var rows = Query(sql, arguments);
        return rows.Next() ? rows.Int64(0) : null;
    }

    /// <summary>The first column of all rows.</summary>
    /// <exception cref="SimDatabaseException">It failed.</exception>
    public long[] QueryColumn(Sql sql, params ReadOnlySpan<long> arguments)
    {
        var values = new List<long>();
        using var rows = Query(sql, arguments);
        while (rows.Next())
        {
            values.Add(rows.Int64(0));
        }

        return [.. values];
    }

    /// <summary>Runs a statement that is not kept.</summary>
    /// <exception cref="SimDatabaseException">It failed.</exception>
    public void Run(string text)
    {
        using var rows = Query(text);
        while (rows.Next())
        {
        }
    }

    /// <summary>Begins a statement that is not kept.</summary>
    /// <exception cref="SimDatabaseException">It could not be begun.</exception>
    public SqlRows Query(string text)
    {
        beforeStatement();
        return new SqlRows(this, Prepare(text), isOwner: true);
    }

    /// <summary>Prepares a statement.</summary>
    /// <exception cref="SimDatabaseException">It failed.</exception>
    public sqlite3_stmt Prepare(string text)
    {
        Check(sqlite3_prepare_v3(db, text, PreparePersistent, out var statement));
        return statement;
    }

    /// <summary>Runs a statement that is bound, and resets it.</summary>
    /// <returns>SQLITE_OK, or the extended result code that it failed with.</returns>
    public int RunArmed(sqlite3_stmt statement)
    {
        beforeStatement();
        return StepToEnd(statement);
    }

    /// <summary>Ends an open transaction without effect, if SQLite has not done that already. Never throws.</summary>
    public void Rollback()
    {
        // Cursors that are still open would be told SQLITE_ABORT by their next step; nobody takes one.
        if (InTransaction)
        {
            sqlite3_exec(db, "ROLLBACK");
        }
    }

    /// <summary>Finalizes all statements.</summary>
    public void Dispose()
    {
        foreach (var statement in _statements)
        {
            statement?.Dispose();
        }
    }

    /// <summary>Throws what a result code stands for.</summary>
    internal void Check(int rc)
    {
        if (rc is not (SQLITE_OK or SQLITE_ROW or SQLITE_DONE))
        {
            throw SqlErrors.From(rc, db, vfs);
        }
    }

    /// <summary>Steps; SQLITE_SCHEMA is repeated as the library does (Session.StepToEnd).</summary>
    internal static int Step(sqlite3_stmt statement)
    {
        var rc = sqlite3_step(statement);
        for (var i = 0; rc == SQLITE_SCHEMA && i < MaxSchemaRetries; i++)
        {
            sqlite3_reset(statement);
            rc = sqlite3_step(statement);
        }

        return rc;
    }

    private static int StepToEnd(sqlite3_stmt statement)
    {
        var rc = Step(statement);
        while (rc == SQLITE_ROW)
        {
            rc = sqlite3_step(statement);
        }

        // The code of the connection stays what it is: reset repeats it.
        sqlite3_reset(statement);
        return rc == SQLITE_DONE ? SQLITE_OK : rc;
    }

    private sqlite3_stmt Start(Sql sql, ReadOnlySpan<long> arguments)
    {
        beforeStatement();
        var statement = _statements[(int)sql] ??= Prepare(SqlTexts.Of(sql));
        for (var i = 0; i < arguments.Length; i++)
        {
            sqlite3_bind_int64(statement, i + 1, arguments[i]);
        }

        return statement;
    }
}
