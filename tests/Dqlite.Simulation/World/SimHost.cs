namespace Dqlite.Simulation.World;

/// <summary>A machine's place in the network: its address, who listens there, and the ends of its connections.</summary>
internal sealed class SimHost
{
    private readonly SimNetwork _network;
    private readonly List<SimEnd> _ends = [];
    private readonly List<SimEnd> _forgotten = [];
    private readonly List<SimTransport> _transports = [];
    private readonly List<Action> _deferred = [];

    /// <summary>Made by the network.</summary>
    public SimHost(SimNetwork network, Machine machine, string address, SeededRandom random)
    {
        _network = network;
        Machine = machine;
        Address = address;
        Random = random;
        machine.Crashed += OnCrashed;
        machine.Started += OnStarted;
        machine.Resumed += OnResumed;
    }

    /// <summary>The machine.</summary>
    public Machine Machine { get; }

    /// <summary>Where it can be dialled.</summary>
    public string Address { get; }

    /// <summary>Decides about what this side of a connection does.</summary>
    public SeededRandom Random { get; }

    /// <summary>Who listens at the address.</summary>
    public SimTransport? Listener { get; set; }

    /// <summary>Whether its kernel answers, and the process reads.</summary>
    public bool CanReceive => !Machine.IsPaused && (Machine.IsUp || !IsSilent);

    private bool IsSilent { get; set; }

    /// <summary>A transport of the machine's present life.</summary>
    public void Add(SimTransport transport) => _transports.Add(transport);

    /// <summary>An end that must learn when the machine goes down.</summary>
    public void Add(SimEnd end) => _ends.Add(end);

    /// <summary>That end is closed.</summary>
    public void Remove(SimEnd end) => _ends.Remove(end);

    /// <summary>Runs code of the process: now, or when it goes on. Never in another life.</summary>
    public void Run(Action action)
    {
        if (Machine.IsPaused)
        {
            _deferred.Add(action);
        }
        else if (Machine.IsUp)
        {
            action();
        }
    }

    private void OnCrashed()
    {
        IsSilent = Machine.LostPower && Random.Chance(_network.Options.SilentPowerCutChance);
        Listener = null;
        _deferred.Clear();
        foreach (var transport in _transports)
        {
            transport.OnMachineDown();
        }

        foreach (var end in _ends.ToArray())
        {
            end.Die(IsSilent);
            if (IsSilent)
            {
                _forgotten.Add(end);
            }
        }

        _transports.Clear();
        _ends.Clear();
    }

    /// <summary>The kernel knows nothing of the connections of a silent death: it resets them when they are probed.</summary>
    private void OnStarted()
    {
        IsSilent = false;
        foreach (var end in _forgotten)
        {
            _network.Scheduler.After(Random.Next(SimNetwork.KeepAliveNs), () => end.Out.SendEnd(isTorn: false));
        }

        _forgotten.Clear();
        _network.FlowTo(this);
    }

    private void OnResumed()
    {
        foreach (var action in _deferred.ToArray())
        {
            Run(action);
        }

        _deferred.Clear();
        _network.FlowTo(this);
    }
}
