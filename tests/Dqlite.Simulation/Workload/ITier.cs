using Dqlite.Net.Engine;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Workload;

/// <summary>
/// What the databases of a simulated cluster are made of: pages that a model keeps (the core tier), or SQLite over the shim (the full tier).
/// Everything else - core, loop, log, checkpoint, install, codecs - is the same production code in both.
/// </summary>
internal interface ITier : IDisposable
{
    /// <summary>As on the command line.</summary>
    string Name { get; }

    /// <summary>Page size of the databases that are created, in bytes.</summary>
    int PageSize { get; }

    /// <summary>The page stores of one node, on its disk.</summary>
    IPageStoreFactory StoresOf(World.Machine machine, World.SimDisk disk);

    /// <summary>Opens a connection to a database of a node that runs.</summary>
    /// <exception cref="SimDatabaseException">It cannot be opened now.</exception>
    ISimConnection Connect(ReplicatedDatabase database);

    /// <summary>Opens an unmodified connection, whose commits block inside SQLite; null where there is none.</summary>
    ISimPlainConnection? ConnectPlain(ReplicatedDatabase database);

    /// <summary>The statements that make the tables of a new database; one write transaction.</summary>
    IReadOnlyList<Op> Setup(WorkloadShape shape);

    /// <summary>The whole content in a form in which equal databases are equal: every page.</summary>
    byte[] Image(ReplicatedDatabase database);

    /// <summary>Looks for damage inside one database (integrity_check, and what the application knows of its own data): null, or what is wrong.</summary>
    string? Check(ReplicatedDatabase database);
}

/// <summary>How much of everything a database holds.</summary>
internal sealed record WorkloadShape(int Registers, int Lists, int Accounts, long InitialBalance, int Blobs);

/// <summary>What a transaction does, step by step.</summary>
internal enum OpKind
{
    /// <summary>Makes the tables and the accounts (Setup only).</summary>
    CreateTables,

    /// <summary>Value of register Key, or null.</summary>
    ReadRegister,

    /// <summary>Register Key becomes Value.</summary>
    WriteRegister,

    /// <summary>Register Key becomes Value if it is Other (0: absent).</summary>
    CasRegister,

    /// <summary>Appends Value to list Key.</summary>
    Append,

    /// <summary>All values of list Key in order.</summary>
    ReadList,

    /// <summary>Moves Value from account Key to account Other, unless the balance is too low.</summary>
    Transfer,

    /// <summary>All balances.</summary>
    ReadAccounts,

    /// <summary>Writes blob Key with Other bytes that follow from Value.</summary>
    WriteBlob,

    /// <summary>Value that blob Key was written with, after checking every byte of it; null when absent.</summary>
    ReadBlob,

    /// <summary>Changes the schema in a way that follows from Value: tables and indexes come and go; the data of the other steps stays. The core tier changes a page that stands for it.</summary>
    ChangeSchema,

    /// <summary>SAVEPOINT; what follows is undone by RollbackTo.</summary>
    Savepoint,

    /// <summary>ROLLBACK TO the savepoint.</summary>
    RollbackTo,
}

/// <summary>One step of a transaction.</summary>
internal readonly record struct Op(OpKind Kind, int Key = 0, long Value = 0, long Other = 0);

/// <summary>What a step gave.</summary>
/// <param name="Applied">False for a compare-and-set whose comparison failed and a transfer without the money.</param>
/// <param name="Value">Of a register or blob.</param>
/// <param name="Values">Of a list, or the balances.</param>
internal readonly record struct OpResult(bool Applied, long? Value = null, long[]? Values = null);

/// <summary>
/// A library-style connection: it never blocks. The caller gets the writer slot from the engine before <see cref="BeginWrite"/>, waits for
/// the commit afterwards, and lets nothing out before that (design: "Output gate").
/// </summary>
internal interface ISimConnection : IDisposable
{
    /// <summary>Begins a read-only transaction at what is committed now.</summary>
    /// <exception cref="SimDatabaseException">Refused.</exception>
    void BeginRead();

    /// <summary>Begins a write transaction at the draft head, with the slot that the ticket holds.</summary>
    /// <exception cref="SimDatabaseException">Refused, for example since the slot was lost.</exception>
    void BeginWrite(ulong ticket);

    /// <summary>Does one step. After an exception the transaction is over.</summary>
    /// <exception cref="SimDatabaseException">Refused, or revoked.</exception>
    OpResult Execute(in Op op);

    /// <summary>Snapshot of the running or last transaction.</summary>
    ulong SnapshotLsn { get; }

    /// <summary>Ends the transaction.</summary>
    /// <returns>The draft's LSN, or 0 when nothing was written.</returns>
    /// <exception cref="SimDatabaseException">Refused without effect, or (IsUnknown) after the commit point.</exception>
    ulong Commit();

    /// <summary>Ends the transaction without effect. Never throws.</summary>
    void Rollback();

    /// <summary>Whether it answers errors for good and has to be replaced.</summary>
    bool IsDead { get; }
}

/// <summary>A connection that knows nothing of the library (Vfs=dqlite): a call returns when the shim lets it.</summary>
internal interface ISimPlainConnection : IDisposable
{
    /// <summary>Runs a transaction to its end; other things happen in the simulated world while it waits inside SQLite.</summary>
    /// <returns>One result per step.</returns>
    /// <exception cref="SimDatabaseException">IsUnknown tells whether it may have taken effect.</exception>
    OpResult[] Run(IReadOnlyList<Op> ops, bool write);
}

/// <summary>An error that SQLite, or the model in its place, answers.</summary>
internal sealed class SimDatabaseException(int code, string text, bool isUnknown = false) : Exception($"{text} ({code})")
{
    /// <summary>SQLite's extended result code.</summary>
    public int Code => code;

    /// <summary>Whether the transaction may have taken effect.</summary>
    public bool IsUnknown => isUnknown;
}
