using Dqlite.Simulation.Workload;

namespace Dqlite.Simulation.FullTier;

/// <summary>Looks for damage in what the tables hold: what SQLite can know, and what the application knows.</summary>
internal static class DatabaseInspection
{
    /// <summary>Queries that give a row for what is wrong: its text.</summary>
    private static readonly string[] Queries =
    [
        "SELECT 'register ' || k || ' holds ' || typeof(v) FROM registers WHERE typeof(v) <> 'integer'",
        "SELECT 'list ' || k || ' has ' || count(*) || ' values in places ' || min(seq) || ' to ' || max(seq) FROM lists GROUP BY k HAVING min(seq) <> 1 OR max(seq) <> count(*)",
        "SELECT 'the value ' || v || ' of list ' || k || ' has no tag' FROM lists WHERE NOT EXISTS (SELECT 1 FROM tags WHERE tags.v = lists.v AND tags.k = lists.k)",
        "SELECT 'there are ' || (SELECT count(*) FROM tags) || ' tags and ' || count(*) || ' values in lists' AS text FROM lists HAVING count(*) <> (SELECT count(*) FROM tags)",
        "SELECT 'account ' || id || ' has ' || balance FROM accounts WHERE typeof(balance) <> 'integer' OR balance < 0",
        "SELECT 'there are ' || count(*) || ' rows in counters' FROM counters HAVING count(*) <> 1 OR min(n) < 0",
        "SELECT 'there are ' || count(*) || ' tables trap_N, extra_X, indexes, views and triggers that come and go' FROM sqlite_schema WHERE name GLOB 'trap_*' OR name GLOB 'extra_[ab]' OR name IN ('lists_up', 'lists_down', 'totals_a', 'totals_b', 'count_a', 'count_b') HAVING count(*) <> 5",
    ];

    /// <summary>Inspects a database at one snapshot.</summary>
    /// <param name="sql">In a transaction.</param>
    /// <returns>Null, or what is wrong.</returns>
    public static string? Run(SqlRunner sql)
    {
        try
        {
            if (First(sql, "PRAGMA integrity_check(1)") is var verdict && verdict != "ok")
            {
                return $"integrity_check: {verdict}";
            }

            if (First(sql, "SELECT 'row ' || rowid || ' of table ' || \"table\" || ' refers to nothing' FROM pragma_foreign_key_check") is { } reference)
            {
                return reference;
            }

            // Before the first write transaction there is nothing to look at.
            return First(sql, "SELECT name FROM sqlite_schema WHERE name = 'registers'") is null ? null : RunQueries(sql) ?? CheckTables(sql) ?? CheckBlobs(sql);
        }
        catch (Exception e) when (e is SimDatabaseException or DamageException)
        {
            return e.Message;
        }
    }

    private static string? RunQueries(SqlRunner sql)
    {
        foreach (var query in Queries)
        {
            if (First(sql, query) is { } wrong)
            {
                return wrong;
            }
        }

        return null;
    }

    /// <summary>Every row of every table says that it belongs there.</summary>
    private static string? CheckTables(SqlRunner sql)
    {
        var tables = new List<string>();
        using (var rows = sql.Query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"))
        {
            while (rows.Next())
            {
                tables.Add(rows.Text(0));
            }
        }

        foreach (var table in tables)
        {
            if (First(sql, $"SELECT t FROM {table} WHERE t IS NOT '{table}'") is { } owner)
            {
                return $"table {table} has a row of table '{owner}'";
            }
        }

        return null;
    }

    private static string? CheckBlobs(SqlRunner sql)
    {
        using var rows = sql.Query("SELECT k, value, size, bytes FROM blobs ORDER BY k");
        while (rows.Next())
        {
            var bytes = rows.Blob(3);
            if (bytes.Length != rows.Int64(2) || !BlobContent.IsOf(rows.Int64(1), bytes))
            {
                return $"blob {rows.Int64(0)} has {bytes.Length} bytes that do not follow from its value {rows.Int64(1)}";
            }
        }

        return null;
    }

    private static string? First(SqlRunner sql, string query)
    {
        using var rows = sql.Query(query);
        return rows.Next() ? rows.Text(0) : null;
    }
}
