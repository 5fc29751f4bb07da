using Dqlite.Net.Engine;
using Dqlite.Simulation.Workload;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.FullTier;

/// <summary>
/// Databases that are SQLite over the shim, as in production, with the shim's files on simulated disks. Its table of system calls is one for
/// the process, so there is one of these at a time; everything happens on one thread. The harness gives the time and the waits of native code
/// through <see cref="ShimDisk.Clock"/> and <see cref="ShimDisk.Wait"/>.
/// </summary>
internal sealed class FullTier : ITier
{
    /// <summary>SQLite's page cache, per connection, in turn: with the smallest almost every transaction spills, with the largest only big ones.</summary>
    private static readonly int[] CachePages = [8, 64, 20];

    private readonly ShimDisk _shim;
    private readonly Interleaving _interleaving;
    private readonly List<IDisposable> _open = [];
    private int _opened;

    /// <summary>Puts the simulated disks behind the shim.</summary>
    /// <param name="pageSize">A power of two from 512 to 65536.</param>
    public FullTier(int pageSize)
    {
        PageSize = pageSize;
        _shim = ShimDisk.Install();
        _interleaving = new Interleaving();
    }

    /// <inheritdoc/>
    public string Name => "full";

    /// <inheritdoc/>
    public int PageSize { get; }

    /// <summary>Called in the middle of calls of the shim; <see cref="Interleaving"/> says what may happen there.</summary>
    public Action<string>? Interleave
    {
        get => _interleaving.Action;
        set => _interleaving.Action = value;
    }

    /// <inheritdoc/>
    public IPageStoreFactory StoresOf(Machine machine, SimDisk disk)
    {
        _shim.Attach(disk);
        return ShimPageStores.Instance;
    }

    /// <inheritdoc/>
    public ISimConnection Connect(ReplicatedDatabase database)
    {
        ThrowIfStopped(database);
        return Opened(SqlConnectionOwn.Open(this, database, NextCachePages()));
    }

    /// <inheritdoc/>
    public ISimPlainConnection ConnectPlain(ReplicatedDatabase database)
    {
        ThrowIfStopped(database);
        try
        {
            return Opened(SqlConnectionPlain.Open(this, database, NextCachePages()));
        }
        finally
        {
            ThrowIfDefect();
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<Op> Setup(WorkloadShape shape) => [new Op(OpKind.CreateTables, shape.Accounts, shape.InitialBalance)];

    /// <inheritdoc/>
    public byte[] Image(ReplicatedDatabase database)
    {
        using var snapshot = database.Pages.OpenSnapshot();
        return DatabaseImage.Read(snapshot);
    }

    /// <inheritdoc/>
    public string? Check(ReplicatedDatabase database)
    {
        using var connection = SqlConnectionOwn.Open(this, database, CachePages[^1]);
        return DatabaseImage.Check(database.Pages) ?? connection.Inspect();
    }

    /// <summary>Throws what happened inside native code and could not be thrown there.</summary>
    /// <exception cref="InvalidOperationException">The simulator, or what runs inside its waits, is wrong.</exception>
    public void ThrowIfDefect() => _shim.ThrowIfDefect();

    /// <summary>Closes connections that are still open, and gives the shim its system calls back; every database must have been closed.</summary>
    public void Dispose()
    {
        foreach (var connection in _open.ToArray())
        {
            connection.Dispose();
        }

        _interleaving.Dispose();
        _shim.Dispose();
    }

    /// <summary>What every connection is given. Nothing of it spills to files of the real machine.</summary>
    internal static void Configure(SqlRunner sql, int cachePages)
    {
        sql.Run("PRAGMA temp_store = MEMORY");
        sql.Run($"PRAGMA cache_size = {cachePages}");
    }

    /// <summary>A connection was closed.</summary>
    internal void OnClosed(IDisposable connection) => _open.Remove(connection);

    /// <summary>A connection is opened by path, and that may be the path of a later database by now. The library asks the engine before every
    /// statement, which refuses; the harness asks before it connects.</summary>
    private static void ThrowIfStopped(ReplicatedDatabase database)
    {
        if (database.IsStopped)
        {
            throw SqlErrors.From(ShimResult.NotLeader);
        }
    }

    private int NextCachePages() => CachePages[_opened++ % CachePages.Length];

    private T Opened<T>(T connection)
        where T : IDisposable
    {
        _open.Add(connection);
        return connection;
    }
}
