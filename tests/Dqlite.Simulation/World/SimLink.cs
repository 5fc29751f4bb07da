namespace Dqlite.Simulation.World;

/// <summary>The way from one machine to another. The way back is a link of its own.</summary>
internal sealed class SimLink
{
    private readonly SimNetwork _network;
    private readonly List<SimPipe> _pipes = [];
    private long _heldSinceNs;
    private long _heldUntilNs = long.MinValue;
    private bool _corruptsNext;

    /// <summary>Made by the network.</summary>
    public SimLink(SimNetwork network, SimHost from, SimHost to, SeededRandom random)
    {
        _network = network;
        From = from;
        To = to;
        Random = random;
        Settings = network.Options.Link;
    }

    /// <summary>Where it begins.</summary>
    public SimHost From { get; }

    /// <summary>Where it ends.</summary>
    public SimHost To { get; }

    /// <summary>Decides about everything on this link.</summary>
    public SeededRandom Random { get; }

    /// <summary>How long bytes take.</summary>
    public LinkSettings Settings { get; set; }

    /// <summary>Whether bytes are held now.</summary>
    public bool IsHeld => _network.NowNs < _heldUntilNs;

    /// <summary>Holds all bytes until a moment; then they flow. When that takes longer than the stall timeout, connections break before.</summary>
    public void Clog(long untilNs)
    {
        if (!IsHeld)
        {
            _heldSinceNs = _network.NowNs;
            _network.WatchStall(this, _heldSinceNs);
        }

        _heldUntilNs = Math.Max(_heldUntilNs, untilNs);
        if (untilNs < long.MaxValue)
        {
            _network.Scheduler.At(untilNs, () => Flow(0));
        }
    }

    /// <summary>Nothing gets through until <see cref="Release"/>. A connection loses no bytes: they are held, and sent again when the block ends,
    /// unless the connection stalls out before.</summary>
    public void Block() => Clog(long.MaxValue);

    /// <summary>Ends a block or a clog, and damages nothing any more.</summary>
    public void Release()
    {
        _corruptsNext = false;
        if (!IsHeld)
        {
            return;
        }

        var heldNs = _network.NowNs - _heldSinceNs;
        _heldUntilNs = long.MinValue;
        Flow(Math.Min(heldNs, _network.Options.MaxRetransmissionNs));
    }

    /// <summary>One bit of the next message is flipped on its way: the receiver must notice, and end the connection.</summary>
    public void CorruptNext() => _corruptsNext = true;

    /// <summary>Whether the message that is being sent is the one; once.</summary>
    public bool TakeCorruption() => _corruptsNext && !(_corruptsNext = false);

    /// <summary>Whether it has been held without a pause since then.</summary>
    public bool IsHeldSince(long heldSinceNs) => IsHeld && _heldSinceNs == heldSinceNs;

    /// <summary>When bytes that are sent now arrive, were the connection empty.</summary>
    public long NextArrivalNs() => _network.NowNs + Settings.BaseDelayNs + (Settings.JitterNs > 0 ? Random.Next(Settings.JitterNs) : 0);

    /// <summary>A connection uses it.</summary>
    public void Add(SimPipe pipe) => _pipes.Add(pipe);

    /// <summary>A connection has ended.</summary>
    public void Remove(SimPipe pipe) => _pipes.Remove(pipe);

    /// <summary>The connections that use it, the oldest first.</summary>
    public IReadOnlyList<SimPipe> Pipes() => [.. _pipes];

    /// <summary>What is under way may arrive again.</summary>
    public void Flow(long maxDelayNs)
    {
        foreach (var pipe in _pipes)
        {
            pipe.Flow(maxDelayNs > 0 ? Random.Next(maxDelayNs) : 0);
        }
    }
}
