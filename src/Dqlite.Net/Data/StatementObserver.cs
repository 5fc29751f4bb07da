using SQLitePCL;
using static SQLitePCL.raw;

namespace Dqlite.Net.Data;

/// <summary>
/// SQLite's authorizer. It sees what a statement will touch while it is prepared: whether it writes to the replicated database or only to
/// temporary and attached ones, and it denies what would lead out of replication.
/// </summary>
internal sealed class StatementObserver
{
    private const int CreateTempIndex = 3;
    private const int CreateTempView = 6;
    private const int DropTempIndex = 12;
    private const int DropTempView = 15;
    private const int PragmaAction = 19;
    private const int ReadAction = 20;
    private const int SelectAction = 21;
    private const int TransactionAction = 22;
    private const int AttachAction = 24;
    private const int DetachAction = 25;
    private const int AlterTable = 26;
    private const int FunctionAction = 31;
    private const int SavepointAction = 32;
    private const int RecursiveAction = 33;

    /// <summary>Whether the statement that was prepared last may write to the replicated database.</summary>
    public bool WritesMain { get; private set; }

    /// <summary>Whether a statement made or changed something that belongs to the connection alone.</summary>
    public bool TouchedConnection { get; set; }

    /// <summary>Why the last statement was denied, or null.</summary>
    public string? DeniedBecause { get; private set; }

    /// <summary>VACUUM attaches a temporary database by itself.</summary>
    public bool VacuumRuns { get; set; }

    public void Install(sqlite3 connection) => sqlite3_set_authorizer(
        connection,
        static (state, action, first, _, database, _) => ((StatementObserver)state).Judge(action, first, database),
        this);

    /// <summary>Before a statement is prepared.</summary>
    public void Begin()
    {
        WritesMain = false;
        DeniedBecause = null;
    }

    private int Judge(int action, utf8z first, utf8z database)
    {
        switch (action)
        {
            case ReadAction or SelectAction or FunctionAction or SavepointAction or RecursiveAction:
                return SQLITE_OK;
            case AttachAction:
                return VacuumRuns ? SQLITE_OK : JudgeAttach(first.utf8_to_string());
            case DetachAction:
                return SQLITE_OK;
            case (>= CreateTempIndex and <= CreateTempView) or (>= DropTempIndex and <= DropTempView):
                TouchedConnection = true;
                return SQLITE_OK;
            case PragmaAction or TransactionAction or AlterTable:
                WritesMain = true;
                return SQLITE_OK;
            default:
                Written(database.utf8_to_string());
                return SQLITE_OK;
        }
    }

    private void Written(string? database)
    {
        if (database is null or "main")
        {
            WritesMain = true;
        }
        else if (!VacuumRuns)
        {
            TouchedConnection = true;
        }
    }

    private int JudgeAttach(string? file)
    {
        TouchedConnection = true;
        DeniedBecause = file switch
        {
            null => "ATTACH takes the file name as a literal here, so that it can be judged before it runs.",
            "" => "ATTACH of a database without a name is denied: sqlite3_deserialize would replace the replicated database through it.",
            _ when file.Equals(":memory:", StringComparison.Ordinal) || IsLocalUri(file) => null,
            _ => "ATTACH opens files in the replicated VFS. Attach a local file as 'file:PATH?vfs=unix' (what is written there is not replicated), and open another replicated database with a connection of its own.",
        };
        return DeniedBecause is null ? SQLITE_OK : SQLITE_DENY;
    }

    private static bool IsLocalUri(string file) =>
        file.StartsWith("file:", StringComparison.OrdinalIgnoreCase)
        && (file.StartsWith("file::memory:", StringComparison.OrdinalIgnoreCase)
            || file.Contains("mode=memory", StringComparison.Ordinal)
            || (file.Contains("vfs=", StringComparison.Ordinal) && !file.Contains("vfs=dqlite", StringComparison.OrdinalIgnoreCase)));
}
