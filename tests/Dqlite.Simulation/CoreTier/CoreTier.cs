using Dqlite.Net.Engine;
using Dqlite.Simulation.Workload;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.CoreTier;

/// <summary>Databases of page blobs in place of SQLite: a model of the version store, and an application that works on pages.</summary>
internal sealed class CoreTier(int pageSize = 512) : ITier
{
    /// <inheritdoc/>
    public string Name => "core";

    /// <inheritdoc/>
    public int PageSize => pageSize;

    /// <inheritdoc/>
    public IPageStoreFactory StoresOf(Machine machine, SimDisk disk) => new ModelPageStores(disk);

    /// <inheritdoc/>
    public ISimConnection Connect(ReplicatedDatabase database)
    {
        try
        {
            return new ModelConnection(StoreOf(database));
        }
        catch (ObjectDisposedException)
        {
            throw new SimDatabaseException(SQLITE_CANTOPEN, $"database '{database.Name}' is closed");
        }
    }

    /// <summary>None: nothing here knows nothing of the library.</summary>
    public ISimPlainConnection? ConnectPlain(ReplicatedDatabase database) => null;

    /// <inheritdoc/>
    public IReadOnlyList<Op> Setup(WorkloadShape shape) => Application.Setup(shape);

    /// <inheritdoc/>
    public byte[] Image(ReplicatedDatabase database) => StoreOf(database).CopyCommitted();

    /// <summary>Looks for damage in what is committed.</summary>
    public string? Check(ReplicatedDatabase database) => DatabaseAudit.Run(StoreOf(database));

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private static ModelPageStore StoreOf(ReplicatedDatabase database) => (ModelPageStore)database.Pages;
}
