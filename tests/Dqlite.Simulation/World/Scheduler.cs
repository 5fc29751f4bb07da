namespace Dqlite.Simulation.World;

/// <summary>Simulated time and what is to happen in it. Events of the same moment happen in the order in which they were scheduled.</summary>
internal sealed class Scheduler
{
    private readonly PriorityQueue<Action, (long AtNs, long Order)> _events = new();
    private long _order;

    /// <summary>The true time, which no node sees: their clocks drift.</summary>
    public long NowNs { get; private set; }

    /// <summary>Events that have happened.</summary>
    public long Count { get; private set; }

    /// <summary>Schedules an event; a moment that has passed means now.</summary>
    public void At(long atNs, Action action) => _events.Enqueue(action, (Math.Max(atNs, NowNs), _order++));

    /// <summary>Schedules an event.</summary>
    public void After(long delayNs, Action action) => At(NowNs + delayNs, action);

    /// <summary>Lets the next event happen, unless it lies behind the end; false when there is none before it.</summary>
    public bool Step(long endNs)
    {
        if (!_events.TryPeek(out var action, out var key) || key.AtNs > endNs)
        {
            NowNs = Math.Max(NowNs, endNs);
            return false;
        }

        _events.Dequeue();
        NowNs = key.AtNs;
        Count++;
        action();
        return true;
    }
}
