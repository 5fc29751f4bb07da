using Dqlite.Simulation.Workload;
using SQLitePCL;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.FullTier;

/// <summary>
/// Writes into the table trap_N that its connection has seen last, whichever exists now. With a schema that belongs to the snapshot SQLite
/// refuses when the table is gone; with a stale one of the same cookie it writes the row into whatever has the b-tree now.
/// </summary>
internal sealed class TrapProbe(SqlRunner sql) : IDisposable
{
    /// <summary>Rows that a trap table gets at most.</summary>
    private const int Rows = 32;

    /// <summary>Writes until the next try; but this many are tries after each change that was seen, since the trap is short-lived: the next
    /// transaction that meets another cookie makes SQLite read the schema again.</summary>
    private const int Every = 16;

    private sqlite3_stmt? _insert;
    private string? _table;
    private long _count;
    private int _untilNext;
    private int _eager;

    /// <summary>Tries it from time to time.</summary>
    /// <exception cref="SimDatabaseException">A statement failed.</exception>
    /// <exception cref="DamageException">SQLite goes by a schema that is not the snapshot's.</exception>
    public void BeforeWrite()
    {
        if (_eager > 0)
        {
            _eager--;
        }
        else if (_untilNext-- > 0)
        {
            return;
        }

        _untilNext = Every;
        Write();
        Look();
    }

    /// <summary>After a change by the connection itself.</summary>
    /// <exception cref="SimDatabaseException">A statement failed.</exception>
    /// <exception cref="DamageException">SQLite goes by a schema that is not the snapshot's.</exception>
    public void AfterChange()
    {
        _eager = Every;
        Look();
    }

    /// <summary>Finalizes the statement.</summary>
    public void Dispose() => _insert?.Dispose();

    private void Look()
    {
        using var rows = sql.Query(Sql.FindTrap);
        var table = rows.Next() ? rows.Text(0) : null;
        rows.Dispose();
        if (table != _table)
        {
            _eager = Every;
            Follow(table);
        }
    }

    private void Write()
    {
        if (_insert is null)
        {
            return;
        }

        sqlite3_bind_int64(_insert, 1, _count % Rows);
        sqlite3_bind_int64(_insert, 2, _count);
        _count++;
        var rc = sql.RunArmed(_insert);
        if (rc == SQLITE_ERROR)
        {
            // "No such table": it was dropped since, or the transaction that made it was.
            Forget();
            return;
        }

        sql.Check(rc);
    }

    private void Follow(string? table)
    {
        Forget();
        if (table is null)
        {
            return;
        }

        try
        {
            _insert = sql.Prepare($"INSERT OR REPLACE INTO {table}(id, t, n) VALUES(?1, '{table}', ?2)");
            _table = table;
        }
        catch (SimDatabaseException e) when (e.Code == SQLITE_ERROR)
        {
            throw new DamageException($"sqlite_schema names the table {table}, which the connection's own schema does not know: {e.Message}");
        }
    }

    private void Forget()
    {
        _insert?.Dispose();
        _insert = null;
        _table = null;
    }
}
