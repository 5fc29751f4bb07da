namespace Dqlite.Simulation.FullTier;

/// <summary>A statement that every connection keeps prepared; <see cref="SqlTexts"/> has its text.</summary>
internal enum Sql
{
    Begin,
    BeginImmediate,
    Commit,
    TakeSnapshot,
    Savepoint,
    RollbackToSavepoint,
    ReadRegister,
    WriteRegister,
    AddRegister,
    ReplaceRegister,
    Append,
    ReadList,
    WalkLists,
    BeginTransfer,
    Credit,
    Debit,
    UndoTransfer,
    EndTransfer,
    AddAccount,
    ReadAccounts,
    WriteBlob,
    ReadBlob,
    FindTrap,
}

/// <summary>
/// The tables. Every row says in column t which table it belongs to, always the second one: a row that a stale schema has put into the
/// b-tree of another table gives itself away.
/// </summary>
internal static class SqlTexts
{
    /// <summary>How many statements there are.</summary>
    public const int Count = (int)Sql.FindTrap + 1;

    /// <summary>What makes the tables. An append has a tag beside it, written by a trigger, that refers to its value.</summary>
    public static readonly string[] Tables =
    [
        "CREATE TABLE registers(k INTEGER PRIMARY KEY, t TEXT NOT NULL, v INTEGER NOT NULL)",
        "CREATE TABLE lists(k INTEGER NOT NULL, t TEXT NOT NULL, seq INTEGER NOT NULL, v INTEGER NOT NULL, PRIMARY KEY(k, seq)) WITHOUT ROWID",
        "CREATE UNIQUE INDEX lists_v ON lists(v)",
        "CREATE TABLE tags(v INTEGER PRIMARY KEY REFERENCES lists(v), t TEXT NOT NULL, k INTEGER NOT NULL)",
        "CREATE TRIGGER lists_tag AFTER INSERT ON lists BEGIN INSERT INTO tags(v, t, k) VALUES(new.v, 'tags', new.k); END",
        "CREATE TABLE accounts(id INTEGER PRIMARY KEY, t TEXT NOT NULL, balance INTEGER NOT NULL CHECK(balance >= 0))",
        "CREATE TABLE blobs(k INTEGER PRIMARY KEY, t TEXT NOT NULL, value INTEGER NOT NULL, size INTEGER NOT NULL, bytes BLOB NOT NULL)",
        "CREATE TABLE counters(id INTEGER PRIMARY KEY, t TEXT NOT NULL, n INTEGER NOT NULL)",
        "INSERT INTO counters(id, t, n) VALUES(1, 'counters', 0)",
    ];

    /// <summary>The text of a statement.</summary>
    public static string Of(Sql sql) => sql switch
    {
        Sql.Begin => "BEGIN",
        Sql.BeginImmediate => "BEGIN IMMEDIATE",
        Sql.Commit => "COMMIT",
        Sql.TakeSnapshot => "SELECT 1 FROM sqlite_schema LIMIT 1",
        Sql.Savepoint => "SAVEPOINT step",
        Sql.RollbackToSavepoint => "ROLLBACK TO step",
        Sql.ReadRegister => "SELECT v FROM registers WHERE k = ?1",
        Sql.WriteRegister => "INSERT INTO registers(k, t, v) VALUES(?1, 'registers', ?2) ON CONFLICT(k) DO UPDATE SET v = excluded.v",
        Sql.AddRegister => "INSERT INTO registers(k, t, v) VALUES(?1, 'registers', ?2) ON CONFLICT(k) DO NOTHING",
        Sql.ReplaceRegister => "UPDATE registers SET v = ?2 WHERE k = ?1 AND v = ?3",
        Sql.Append => "INSERT INTO lists(k, t, seq, v) VALUES(?1, 'lists', 1 + coalesce((SELECT max(seq) FROM lists WHERE k = ?1), 0), ?2)",
        Sql.ReadList => "SELECT v FROM lists WHERE k = ?1 ORDER BY seq",
        Sql.WalkLists => "SELECT k, seq, v FROM lists ORDER BY k, seq",
        Sql.BeginTransfer => "SAVEPOINT transfer",
        Sql.Credit => "UPDATE accounts SET balance = balance + ?2 WHERE id = ?1",
        Sql.Debit => "UPDATE accounts SET balance = balance - ?2 WHERE id = ?1",
        Sql.UndoTransfer => "ROLLBACK TO transfer",
        Sql.EndTransfer => "RELEASE transfer",
        Sql.AddAccount => "INSERT INTO accounts(id, t, balance) VALUES(?1, 'accounts', ?2)",
        Sql.ReadAccounts => "SELECT balance FROM accounts ORDER BY id",
        Sql.WriteBlob => "INSERT OR REPLACE INTO blobs(k, t, value, size, bytes) VALUES(?1, 'blobs', ?2, ?3, ?4)",
        Sql.ReadBlob => "SELECT value, size, bytes FROM blobs WHERE k = ?1",
        Sql.FindTrap => "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'trap_*'",
    };
}
