using Dqlite.Simulation.Cluster;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.FullTier;

/// <summary>Gives native code the time of the node that it runs on, and lets the world go on while it waits.</summary>
internal sealed class FullWorld : IDisposable
{
    private readonly SimCluster _cluster;
    private long _wakes;
    private long _afterlifeNs = long.MaxValue / 2;

    public FullWorld(SimCluster cluster)
    {
        _cluster = cluster;
        ShimDisk.Clock = Now;
        ShimDisk.WakeAll = () => _wakes++;
        ShimDisk.Wait = Wait;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        ShimDisk.Clock = null;
        ShimDisk.WakeAll = null;
        ShimDisk.Wait = null;
    }

    /// <summary>For a thread of a process that is gone every deadline passes at once: it leaves SQLite, and is forgotten.</summary>
    private long Now() => _cluster.Current is not { } node ? _cluster.Scheduler.NowNs
        : node.Machine.IsUp ? node.Clock.LocalNs
        : _afterlifeNs += 3600 * Running.SimShape.Second;

    private bool Wait(long deadlineNs)
    {
        var node = _cluster.Current ?? throw new InvalidOperationException("Native code waits, and runs on no node.");
        var seen = _wakes;
        var atNs = deadlineNs == long.MaxValue ? _cluster.Scheduler.NowNs + (30L * 1_000_000_000) : node.Clock.TrueOf(deadlineNs);
        return _cluster.RunNestedUntil(() => _wakes != seen || !node.Machine.IsUp, atNs) || Now() < deadlineNs;
    }
}
