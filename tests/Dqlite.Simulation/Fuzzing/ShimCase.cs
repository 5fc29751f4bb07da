using Dqlite.Simulation.World;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>A case that reaches native code: its files lie on a simulated disk, behind the shim's own table of system calls.</summary>
internal abstract class ShimCase : FuzzCase
{
    private readonly ShimDisk _shim = ShimDisk.Install();

    protected ShimCase()
    {
        Disk.CreateDirectory(Directory);
        _shim.Attach(Disk);
    }

    /// <summary>Where the files are.</summary>
    protected static string Directory => "/sim/1/databases";

    /// <summary>The disk.</summary>
    protected SimDisk Disk { get; } = FuzzDisk.Create();

    /// <inheritdoc/>
    public override void Dispose()
    {
        _shim.Dispose();
        _shim.ThrowIfDefect();
    }

    /// <summary>Opens a database, which serves.</summary>
    protected static PageDatabase Open(PageDatabaseOptions options)
    {
        var database = PageDatabase.Open(options, new NoEvents());
        database.SetServing(ShimResult.Ok);
        return database;
    }

    private sealed class NoEvents : IPageDatabaseEvents
    {
        public void OnDraft()
        {
        }

        public void OnSlot(ulong ticket, int resultCode)
        {
        }

        public int ReadBarrier() => ShimResult.Ok;

        public void OnRot(uint pageNumber)
        {
        }
    }
}
