using Dqlite.Simulation.Workload;

namespace Dqlite.Simulation.FullTier;

/// <summary>
/// The tables, indexes, views and triggers that come and go. Every change is made of exactly two statements of DDL, so that any two changes
/// on top of the same state end at the same schema cookie with different schemas: the trap that a connection falls into which has seen a
/// change that was dropped (docs/ARCHITECTURE.md, 9). At each time there is
/// <code>
///   one table trap_N       N differs with every change of it, and so do its columns
///   one table extra_a or extra_b, which gets more columns until it is replaced by the other
///   one index lists_up or lists_down
///   one view  totals_a or totals_b
///   one trigger count_a or count_b, which counts writes
/// </code>
/// </summary>
internal static class SchemaChange
{
    /// <summary>What the first of each is made by.</summary>
    public static readonly string[] First =
    [
        CreateTrap(0),
        CreateExtra('a'),
        FillExtra('a'),
        Create('i', isFirst: true),
        Create('v', isFirst: true),
        Create('t', isFirst: true),
    ];

    /// <summary>Changes the schema in a way that follows from a value.</summary>
    /// <exception cref="SimDatabaseException">A statement failed.</exception>
    public static void Run(SqlRunner sql, long value)
    {
        switch (value & 7)
        {
            case 4:
                ReplaceExtra(sql);
                break;
            case 5:
                GrowExtra(sql, value);
                break;
            case 6:
                Swap(sql, 'i');
                break;
            case 7:
                Swap(sql, (value & 8) == 0 ? 'v' : 't');
                break;
            default:
                ReplaceTrap(sql, value);
                break;
        }
    }

    private static void ReplaceTrap(SqlRunner sql, long value)
    {
        using (var rows = sql.Query(Sql.FindTrap))
        {
            if (!rows.Next())
            {
                throw new DamageException("There is no table trap_N.");
            }

            var old = rows.Text(0);
            rows.Dispose();
            sql.Run($"DROP TABLE {old}");
        }

        sql.Run(CreateTrap(value));
    }

    private static void ReplaceExtra(SqlRunner sql)
    {
        var (old, next) = Exists(sql, "extra_a") ? ('a', 'b') : ('b', 'a');
        sql.Run($"DROP TABLE extra_{old}");
        sql.Run(CreateExtra(next));
        sql.Run(FillExtra(next));
    }

    private static void GrowExtra(SqlRunner sql, long value)
    {
        const int MaxColumns = 12;
        var table = Exists(sql, "extra_a") ? "extra_a" : "extra_b";
        int columns;
        using (var rows = sql.Query($"SELECT count(*) FROM pragma_table_info('{table}')"))
        {
            columns = rows.Next() ? (int)rows.Int64(0) : 0;
        }

        if (columns >= MaxColumns)
        {
            ReplaceExtra(sql);
            return;
        }

        sql.Run($"ALTER TABLE {table} ADD COLUMN c{columns} INTEGER NOT NULL DEFAULT {value}");
        sql.Run($"ALTER TABLE {table} ADD COLUMN c{columns + 1} TEXT");
    }

    private static void Swap(SqlRunner sql, char kind)
    {
        var (what, first, second) = Names(kind);
        var hasFirst = Exists(sql, first);
        sql.Run($"DROP {what} {(hasFirst ? first : second)}");
        sql.Run(Create(kind, isFirst: !hasFirst));
    }

    private static bool Exists(SqlRunner sql, string name)
    {
        using var rows = sql.Query($"SELECT 1 FROM sqlite_schema WHERE name = '{name}'");
        return rows.Next();
    }

    private static (string What, string First, string Second) Names(char kind) => kind switch
    {
        'i' => ("INDEX", "lists_up", "lists_down"),
        'v' => ("VIEW", "totals_a", "totals_b"),
        _ => ("TRIGGER", "count_a", "count_b"),
    };

    private static string Create(char kind, bool isFirst) => (kind, isFirst) switch
    {
        ('i', true) => "CREATE INDEX lists_up ON lists(k, v)",
        ('i', false) => "CREATE INDEX lists_down ON lists(seq, v DESC)",
        ('v', true) => "CREATE VIEW totals_a AS SELECT count(*) AS n, sum(balance) AS total FROM accounts",
        ('v', false) => "CREATE VIEW totals_b AS SELECT sum(balance) AS total, count(*) AS n, max(balance) AS most FROM accounts",
        (_, true) => "CREATE TRIGGER count_a AFTER INSERT ON registers BEGIN UPDATE counters SET n = n + 1 WHERE id = 1; END",
        _ => "CREATE TRIGGER count_b AFTER UPDATE ON accounts BEGIN UPDATE counters SET n = n + 1 WHERE id = 1; END",
    };

    private static string CreateTrap(long value)
    {
        var more = (value & 3) switch
        {
            0 => "",
            1 => ", a TEXT DEFAULT 'a'",
            2 => ", a INTEGER UNIQUE",
            _ => ", a REAL DEFAULT 0.5, b TEXT",
        };
        return $"CREATE TABLE trap_{(ulong)value}(id INTEGER PRIMARY KEY, t TEXT NOT NULL, n INTEGER NOT NULL{more})";
    }

    private static string CreateExtra(char name) => $"CREATE TABLE extra_{name}(id INTEGER PRIMARY KEY, t TEXT NOT NULL)";

    private static string FillExtra(char name) =>
        $"INSERT INTO extra_{name}(t) WITH RECURSIVE up(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM up WHERE i < 20) SELECT 'extra_{name}' FROM up";
}
