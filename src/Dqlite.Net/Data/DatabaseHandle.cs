using Dqlite.Sqlite;
using SQLitePCL;
using static SQLitePCL.raw;

namespace Dqlite.Net.Data;

/// <summary>
/// One open sqlite3 with everything that lives as long as it: the shim's side, prepared scripts, the interruption of what runs. One
/// connection uses it at a time; the pool keeps it in between.
/// </summary>
internal sealed class DatabaseHandle : IDisposable
{
    private const int PreparePersistent = 1;
    private const int ConfigForeignKeys = 1002;
    private const int ProgressInstructions = 1000;

    private readonly StatementObserver _observer = new();
    private bool _defaultForeignKeys;
    private bool _foreignKeys;
    private bool _recursiveTriggers;

    private DatabaseHandle(sqlite3 db, VfsHandle vfs)
    {
        Db = db;
        Vfs = vfs;
    }

    public sqlite3 Db { get; }

    public VfsHandle Vfs { get; }

    public ScriptCache Scripts { get; } = new();

    public Interruption Interruption { get; } = new();

    public ParameterSink Parameters { get; } = new();

    /// <summary>Whether it has state that the next user must not see: it is closed instead of being reused.</summary>
    public bool IsTainted
    {
        get => _observer.TouchedConnection;
        set => _observer.TouchedConnection |= value;
    }

    public bool InTransaction => sqlite3_get_autocommit(Db) == 0;

    /// <summary>Why the last statement was denied by policy, or null.</summary>
    public string? DeniedBecause => _observer.DeniedBecause;

    /// <summary>Opens a handle of the library's own on a replicated database.</summary>
    /// <param name="path">Of the main database file.</param>
    /// <exception cref="DqliteException">It cannot be opened.</exception>
    public static DatabaseHandle Open(string path)
    {
        ShimRuntime.EnsureInitialized();
        // CREATE is for local files that are attached: the VFS never creates a replicated one.
        const int Flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
        var rc = sqlite3_open_v2(path, out var db, Flags, ShimRuntime.VfsName);
        try
        {
            if (rc != SQLITE_OK)
            {
                throw Errors.FromCode(rc, db, leaderAddress: null);
            }

            sqlite3_extended_result_codes(db, 1);
            var vfs = VfsHandle.From(db) ?? throw new InvalidOperationException($"'{path}' was not opened through the VFS '{ShimRuntime.VfsName}'.");
            vfs.Own();
            var handle = new DatabaseHandle(db, vfs);
            handle.Configure();
            return handle;
        }
        catch
        {
            sqlite3_close_v2(db);
            throw;
        }
    }

    /// <summary>Brings it to what a connection asks for.</summary>
    /// <param name="settings">Of the connection.</param>
    public void Apply(ConnectionSettings settings)
    {
        var foreignKeys = settings.ForeignKeys ?? _defaultForeignKeys;
        if (foreignKeys != _foreignKeys)
        {
            sqlite3_db_config(Db, ConfigForeignKeys, foreignKeys ? 1 : 0, out _);
            _foreignKeys = foreignKeys;
        }

        if (settings.RecursiveTriggers != _recursiveTriggers)
        {
            // A flag of the connection: it takes effect while it is prepared, and touches no file.
            sqlite3_exec(Db, settings.RecursiveTriggers ? "PRAGMA recursive_triggers=1" : "PRAGMA recursive_triggers=0");
            _recursiveTriggers = settings.RecursiveTriggers;
        }
    }

    /// <summary>Prepares the first statement of a text.</summary>
    /// <param name="utf8">The text.</param>
    /// <param name="sql">The same text.</param>
    /// <param name="statement">Null when there is nothing but white space and comments.</param>
    /// <param name="consumed">How many bytes it took.</param>
    /// <returns>SQLite's result code.</returns>
    public int Prepare(ReadOnlySpan<byte> utf8, ReadOnlySpan<char> sql, out Statement? statement, out int consumed)
    {
        var keyword = SqlText.KeywordOf(sql);
        statement = null;
        consumed = 0;
        if (keyword == SqlKeyword.Vacuum && SqlText.IsVacuumInto(sql))
        {
            throw new DqliteException("VACUUM INTO is not available: its target would open in the replicated VFS. Use DqliteDataSource.ExportAsync.", SQLITE_AUTH);
        }

        _observer.Begin();
        var rc = sqlite3_prepare_v3(Db, utf8, PreparePersistent, out var prepared, out var tail);
        if (rc != SQLITE_OK)
        {
            return rc;
        }

        consumed = utf8.Length - tail.Length;
        if (prepared.IsInvalid)
        {
            return SQLITE_OK;
        }

        var writes = _observer.WritesMain || keyword == SqlKeyword.Vacuum;
        if (keyword == SqlKeyword.Pragma)
        {
            IsTainted |= SqlText.ChangesConnection(sql);
            writes &= !SqlText.IsHarmlessPragma(sql);
        }

        statement = new Statement(prepared, keyword, writes && sqlite3_stmt_readonly(prepared) == 0);
        return SQLITE_OK;
    }

    /// <summary>Steps a statement.</summary>
    /// <param name="statement">One of this handle.</param>
    public int Step(Statement statement)
    {
        if (statement.Keyword != SqlKeyword.Vacuum)
        {
            return statement.Step();
        }

        _observer.VacuumRuns = true;
        try
        {
            return statement.Step();
        }
        finally
        {
            _observer.VacuumRuns = false;
        }
    }

    /// <summary>Whether a unique index is on this column alone.</summary>
    public bool IsUniqueColumn(string database, string table, string column)
    {
        const string Sql = """
            SELECT 1 FROM pragma_index_list(?1, ?3) AS i, pragma_index_info(i.name, ?3) AS c
            WHERE i."unique" = 1 AND c.name = ?2 AND NOT EXISTS (SELECT 1 FROM pragma_index_info(i.name, ?3) AS o WHERE o.name IS NOT c.name) LIMIT 1
            """;
        if (sqlite3_prepare_v2(Db, Sql, out var statement) != SQLITE_OK)
        {
            return false;
        }

        using (statement)
        {
            sqlite3_bind_text(statement, 1, table);
            sqlite3_bind_text(statement, 2, column);
            sqlite3_bind_text(statement, 3, database);
            return sqlite3_step(statement) == SQLITE_ROW;
        }
    }

    /// <summary>What was done to it so far stays with it: it is no state of a user.</summary>
    public void KeepAsBaseline() => _observer.TouchedConnection = false;

    /// <summary>Ends whatever a user left behind. False when the handle must be closed.</summary>
    public bool TryReset()
    {
        if (InTransaction)
        {
            sqlite3_exec(Db, "ROLLBACK");
        }

        return !IsTainted && !InTransaction && Vfs.State.DeadCode == 0;
    }

    public void Dispose()
    {
        Scripts.Dispose();
        Interruption.Dispose();
        sqlite3_close_v2(Db);
    }

    private void Configure()
    {
        // SQLite must never checkpoint by itself: the shim's files are written by our own checkpoint alone.
        sqlite3_wal_autocheckpoint(Db, 0);
        sqlite3_progress_handler(
            Db,
            ProgressInstructions,
            static state => ((Interruption)state).Reason == InterruptReason.None ? 0 : 1,
            Interruption);
        _observer.Install(Db);
        sqlite3_db_config(Db, ConfigForeignKeys, -1, out var foreignKeys);
        _foreignKeys = _defaultForeignKeys = foreignKeys != 0;
    }
}
