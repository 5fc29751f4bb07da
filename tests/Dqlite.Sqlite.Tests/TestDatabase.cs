using static SQLitePCL.raw;

namespace Dqlite.Sqlite.Tests;

/// <summary>A page database in a directory of its own, with connections over SQLitePCLRaw and a record of its events.</summary>
internal sealed class TestDatabase : IDisposable, IPageDatabaseEvents
{
    internal const int PageSize = 4096;

    private readonly TemporaryDirectory _directory = new();
    private readonly List<SQLitePCL.sqlite3> _connections = [];

    internal TestDatabase(ulong? checksum = null)
    {
        var created = PageDatabase.CreateFiles(Path, SumsPath, PageSize, 0);
        Pages = PageDatabase.Open(new PageDatabaseOptions { Path = Path, SumsPath = SumsPath, PageSize = PageSize, PageCount = 1, Checksum = checksum ?? created }, this);
        Pages.SetServing(ShimResult.Ok);
    }

    internal string Path => _directory.File("test.db");

    internal string SumsPath => _directory.File("test.sums");

    internal string FileOf(string name) => _directory.File(name);

    internal PageDatabase Pages { get; }

    internal int DraftEvents { get; private set; }

    internal List<(ulong Ticket, int ResultCode)> SlotEvents { get; } = [];

    internal List<uint> RotEvents { get; } = [];

    internal Action? DuringOnDraft { get; set; }

    public void OnDraft()
    {
        DraftEvents++;
        DuringOnDraft?.Invoke();
    }

    public void OnSlot(ulong ticket, int resultCode) => SlotEvents.Add((ticket, resultCode));

    public int ReadBarrier() => ShimResult.Ok;

    public void OnRot(uint pageNumber) => RotEvents.Add(pageNumber);

    internal SQLitePCL.sqlite3 Connect(string? path = null, string? vfs = ShimRuntime.VfsName)
    {
        var rc = sqlite3_open_v2(path ?? Path, out var connection, SQLITE_OPEN_READWRITE, vfs);
        Assert.That(rc, Is.Zero, "open");
        _connections.Add(connection);
        return connection;
    }

    /// <summary>A connection of the library's kind.</summary>
    internal (SQLitePCL.sqlite3 Connection, VfsHandle Handle) ConnectOwn()
    {
        var connection = Connect();
        var handle = VfsHandle.From(connection)!;
        handle.Own();
        return (connection, handle);
    }

    internal static int Execute(SQLitePCL.sqlite3 connection, string sql)
    {
        var rc = sqlite3_exec(connection, sql);
        return rc == SQLITE_OK ? rc : sqlite3_extended_errcode(connection);
    }

    internal static long Scalar(SQLitePCL.sqlite3 connection, string sql)
    {
        Assert.That(sqlite3_prepare_v2(connection, sql, out var statement), Is.Zero, sqlite3_errmsg(connection).utf8_to_string());
        var rc = sqlite3_step(statement);
        var value = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -sqlite3_extended_errcode(connection);
        sqlite3_finalize(statement);
        return value;
    }

    /// <summary>One write of an own connection with the slot; the draft is not committed yet.</summary>
    internal void Write(SQLitePCL.sqlite3 connection, VfsHandle handle, ulong ticket, string sql)
    {
        Assert.That(Pages.RequestSlot(ticket), Is.EqualTo(ShimResult.Ok));
        handle.Arm(ticket);
        Assert.That(Execute(connection, sql), Is.Zero, sqlite3_errmsg(connection).utf8_to_string());
    }

    public void Dispose()
    {
        Pages.Dispose();
        _connections.ForEach(connection => sqlite3_close_v2(connection));
        _directory.Dispose();
    }
}
