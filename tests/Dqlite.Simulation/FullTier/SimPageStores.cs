using Dqlite.Net;
using Dqlite.Net.Engine;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.FullTier;

/// <summary>
/// The page stores of production. Only one of their events is another: the engine's read barrier blocks its thread until the node has
/// confirmed that it leads, and here there is no other thread that could do that.
/// </summary>
internal sealed class SimPageStores : IPageStoreFactory
{
    private const long LookEveryNs = 1_000_000;

    /// <summary>Ten seconds: the engine has given every read an answer long before.</summary>
    private const int MaxLooks = 10_000;

    private Exception? _failure;

    /// <inheritdoc/>
    public ulong CreateFiles(string path, string sumsPath, int pageSize, uint autoVacuum) =>
        ShimPageStores.Instance.CreateFiles(path, sumsPath, pageSize, autoVacuum);

    /// <inheritdoc/>
    public IPageStore Open(PageDatabaseOptions options, IPageDatabaseEvents events) =>
        ShimPageStores.Instance.Open(options, new Events(this, (ReplicatedDatabase)events));

    /// <inheritdoc/>
    public IDatabaseFileBuilder Build(string databasePath, string sumsPath, int pageSize) =>
        ShimPageStores.Instance.Build(databasePath, sumsPath, pageSize);

    /// <summary>Throws what a wait ended with.</summary>
    public void ThrowIfFailed()
    {
        if (_failure is { } failure)
        {
            _failure = null;
            throw new InvalidOperationException("What happened during a read barrier failed.", failure);
        }
    }

    private bool EndsWell(Task task)
    {
        try
        {
            // Without a wait the barrier fails, as it does for a node that cannot reach the others.
            for (var i = 0; i < MaxLooks && !task.IsCompleted && ShimDisk.Wait is { } wait; i++)
            {
                wait(MonotonicClock.NowNs + LookEveryNs);
            }
        }
        catch (Exception exception)
        {
            // Native code is below: it gets an error, and the caller above it the exception.
            _failure ??= exception;
        }

        return task.IsCompletedSuccessfully;
    }

    private sealed class Events(SimPageStores owner, ReplicatedDatabase database) : IPageDatabaseEvents
    {
        public void OnDraft() => database.OnDraft();

        public void OnSlot(ulong ticket, int resultCode) => database.OnSlot(ticket, resultCode);

        public int ReadBarrier() => owner.EndsWell(database.BeginReadAsync(ReadConsistency.Linearizable, 0, TimeSpan.Zero))
            ? ShimResult.Ok
            : ShimResult.NotLeader;

        public void OnRot(uint pageNumber) => database.OnRot(pageNumber);
    }
}
