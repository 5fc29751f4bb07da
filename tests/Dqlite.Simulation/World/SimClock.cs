namespace Dqlite.Simulation.World;

/// <summary>
/// The monotonic clock of one machine: it runs a little fast or slow, goes on while the process is stopped, and begins anywhere after a start
/// of the machine. A process may be stopped between two looks at it: then the world goes on in the middle of a step.
/// </summary>
internal sealed class SimClock(Scheduler scheduler, Machine machine, long startNs, double drift)
{
    private readonly long _originNs = scheduler.NowNs;
    private Action? _atNextReading;
    private long _readingsLeft;

    /// <summary>What the node reads.</summary>
    public long NowNs
    {
        get
        {
            if (_atNextReading is { } action && machine.IsUp && --_readingsLeft <= 0)
            {
                _atNextReading = null;
                action();
            }

            return LocalNs;
        }
    }

    /// <summary>The time without the node's looking at it.</summary>
    public long LocalNs => startNs + (scheduler.NowNs - _originNs) + (long)((scheduler.NowNs - _originNs) * drift);

    /// <summary>Something happens just before one of the next readings.</summary>
    public void BeforeReading(long count, Action action)
    {
        _readingsLeft = count;
        _atNextReading = action;
    }

    /// <summary>The true time at which this clock shows a time.</summary>
    public long TrueOf(long localNs)
    {
        var elapsed = localNs - startNs;
        return elapsed <= 0 ? scheduler.NowNs : _originNs + (long)Math.Ceiling(elapsed / (1 + drift)) + 1;
    }
}
