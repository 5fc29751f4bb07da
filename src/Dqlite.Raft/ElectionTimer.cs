namespace Dqlite.Raft;

/// <summary>
/// Two counters of ticks: since the election timer was set, against a timeout drawn from [minimum, 2 x minimum) (Raft section 5.2), and
/// since a leader was heard, against the minimum (leader stickiness, dissertation section 4.2.3).
/// </summary>
internal sealed class ElectionTimer
{
    private readonly int _minimumTicks;
    private ulong _random;
    private int _elapsedTicks;
    private int _timeoutTicks;
    private int? _ticksSinceLeader;

    public ElectionTimer(RaftOptions options)
    {
        _minimumTicks = options.ElectionTimeoutTicks;
        _random = options.Seed ^ ((ulong)options.Id.Value * 0x9E3779B97F4A7C15UL);
        Restart();
    }

    /// <summary>Whether no leader was heard for the minimum election timeout, or its connection is known to be closed.</summary>
    public bool IsLeaderSilent => _ticksSinceLeader is not { } ticks || ticks >= _minimumTicks;

    /// <summary>So many ticks pass before the one that fires.</summary>
    public int TicksToCount => Math.Max(0, _timeoutTicks - _elapsedTicks - 1);

    /// <summary>Counts one tick; returns whether the timer fired, and then starts it anew.</summary>
    public bool Tick()
    {
        _ticksSinceLeader = _ticksSinceLeader is { } ticks and < int.MaxValue ? ticks + 1 : _ticksSinceLeader;
        _elapsedTicks++;
        if (_elapsedTicks < _timeoutTicks)
        {
            return false;
        }

        Restart();
        return true;
    }

    public void Restart()
    {
        _elapsedTicks = 0;
        _timeoutTicks = _minimumTicks + (int)(Next() % (ulong)_minimumTicks);
    }

    /// <summary>Fires after so many ticks, unless it is restarted before.</summary>
    public void FireAfter(int ticks)
    {
        _elapsedTicks = 0;
        _timeoutTicks = ticks;
    }

    public void LeaderHeard()
    {
        _ticksSinceLeader = 0;
        Restart();
    }

    public void LeaderLost() => _ticksSinceLeader = null;

    /// <summary>splitmix64: the core has no randomness of its own, the seed is configuration.</summary>
    private ulong Next()
    {
        _random += 0x9E3779B97F4A7C15UL;
        var z = _random;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        return z ^ (z >> 31);
    }
}
