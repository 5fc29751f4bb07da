using Dqlite.Net.Engine;
using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Simulation.World;

/// <summary>
/// The network between machines: connections that keep the order of their bytes, over directed links that delay, hold, break and damage them.
/// Messages travel as bytes, through the production codecs. Everything happens in events of the scheduler, and the events of
/// <see cref="ITransportEvents"/> are raised in them.
/// </summary>
internal sealed partial class SimNetwork
{
    /// <summary>An idle connection is probed after so long.</summary>
    public const long KeepAliveNs = 2_000_000_000;

    private readonly SeededRandom _random;
    private readonly List<SimHost> _hosts = [];
    private readonly List<SimLink> _links = [];
    private readonly HashSet<int> _damaged = [];
    private readonly Dictionary<(int From, int To), SimLink> _linksByEnds = [];

    /// <summary>Creates a network without machines.</summary>
    public SimNetwork(Scheduler scheduler, SeededRandom random, NetworkOptions? options = null)
    {
        Scheduler = scheduler;
        _random = random;
        Options = options ?? new NetworkOptions();
    }

    /// <summary>A node hands a message over, whether it ever leaves or not.</summary>
    public Action<NodeId, NodeId, PeerMessage>? Sent { get; set; }

    /// <summary>A message is given to its receiver.</summary>
    public Action<NodeId, NodeId, PeerMessage>? Delivered { get; set; }

    /// <summary>The settings.</summary>
    public NetworkOptions Options { get; }

    /// <summary>Time, and what is to happen.</summary>
    internal Scheduler Scheduler { get; }

    /// <summary>The true time.</summary>
    internal long NowNs => Scheduler.NowNs;

    /// <summary>Frames on their way from a queue into a pipe; one at a time in the whole network.</summary>
    internal FrameBatch Batch { get; } = new();

    /// <summary>A peer that acknowledges nothing for so long is given up.</summary>
    internal long StallTimeoutNs { get; } = new TransportOptions().StallTimeout.Ticks * 100;

    /// <summary>Puts a machine into the network.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="address">Where it can be dialled, as host:port; no other machine has it.</param>
    public void Add(Machine machine, string address)
    {
        if (FindHost(address) is not null || _hosts.Exists(host => host.Machine.Number == machine.Number))
        {
            throw new ArgumentException($"Machine {machine.Number}, or its address {address}, is in the network already.", nameof(machine));
        }

        _hosts.Add(new SimHost(this, machine, address, _random.Stream("host", machine.Number)));
    }

    /// <summary>A transport for the present life of a machine's node.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="identity">What the node says of itself.</param>
    /// <param name="options">The settings; by default it listens at the machine's address.</param>
    public SimTransport CreateTransport(Machine machine, Hello identity, TransportOptions? options = null)
    {
        var host = HostOf(machine.Number);
        return new SimTransport(this, host, options ?? new TransportOptions { ListenAddress = host.Address }, identity);
    }

    /// <summary>Asks one node one thing, over a connection of its own, as PeerClient does.</summary>
    /// <param name="from">What the asking node says of itself; its address tells which machine it runs on.</param>
    /// <param name="address">Whom.</param>
    /// <param name="request">What.</param>
    /// <param name="answer">Called once, in a later event: with the answer, or null when there is none. Never after the asking machine went down.</param>
    /// <param name="timeoutNs">For everything together.</param>
    public void Call(Hello from, string address, NodeMessage request, Action<NodeMessage?> answer, long timeoutNs = 10_000_000_000)
    {
        var host = FindHost(from.Address) ?? throw new ArgumentException($"No machine has the address '{from.Address}'.", nameof(from));
        var isLast = host.Machine.Begin();
        if (isLast && !host.Machine.LastOperationHappens())
        {
            throw host.Machine.GoDown();
        }

        if (Connect(host, address) is { } connection)
        {
            connection.Begin(new CallEnd(this, host, new TransportContext(new TransportOptions(), from), connection, request, answer, timeoutNs));
        }
        else
        {
            Scheduler.After(0, () => host.Run(() => answer(null)));
        }

        if (isLast)
        {
            throw host.Machine.GoDown();
        }
    }

    /// <summary>The way from one machine to another.</summary>
    public SimLink Link(int from, int to) => Link(HostOf(from), HostOf(to));

    /// <summary>Breaks the connections that one machine has dialled to another; frames may be torn, and each side learns it at its own time.</summary>
    public void Break(int from, int to)
    {
        foreach (var pipe in Link(from, to).Pipes())
        {
            if (pipe == pipe.Connection.Forward)
            {
                pipe.Connection.Break();
            }
        }
    }

    /// <summary>A byte of the next page of a snapshot stream to a machine changes before it leaves: no checksum of a frame tells.</summary>
    public void DamageNextPages(int to) => _damaged.Add(to);

    /// <summary>What leaves in the place of a message.</summary>
    internal PeerMessage Damage(NodeId to, PeerMessage message)
    {
        if (message is not StreamChunk { Kind: InstallMessages.PagesChunk } chunk || _hosts.Find(host => host.Machine.NodeId == to) is not { } host
            || !_damaged.Remove(host.Machine.Number))
        {
            return message;
        }

        var body = chunk.Body.ToArray();
        body[^1] ^= 1;
        return chunk with { Body = body };
    }

    /// <summary>The way from one machine to another.</summary>
    internal SimLink Link(SimHost from, SimHost to)
    {
        var ends = (from.Machine.Number, to.Machine.Number);
        if (!_linksByEnds.TryGetValue(ends, out var link))
        {
            link = new SimLink(this, from, to, from.Random.Stream("link", to.Machine.Number));
            _linksByEnds.Add(ends, link);
            _links.Add(link);
        }

        return link;
    }

    /// <summary>Prepares a connection; null when nobody has the address.</summary>
    internal SimConnection? Connect(SimHost source, string address) => FindHost(address) is { } target ? new SimConnection(this, source, target) : null;

    /// <summary>Sends one message at once.</summary>
    internal void SendWhole(SimPipe pipe, OutgoingMessage message, TransportOptions options)
    {
        while (!message.IsDone)
        {
            Batch.Clear();
            Batch.Add(message, options.FragmentBytes);
            pipe.Send(Batch);
        }
    }

    /// <summary>A link is held from now on: the connections over it stall out when that lasts.</summary>
    internal void WatchStall(SimLink link, long heldSinceNs) => Scheduler.After(StallTimeoutNs, () =>
    {
        if (link.IsHeldSince(heldSinceNs))
        {
            foreach (var pipe in link.Pipes())
            {
                pipe.Connection.Stall();
            }
        }
    });

    /// <summary>What is under way to a machine may arrive again.</summary>
    internal void FlowTo(SimHost host)
    {
        foreach (var link in _links)
        {
            if (link.To == host)
            {
                link.Flow(0);
            }
        }
    }

    /// <summary>Tells the observer.</summary>
    internal void OnSent(NodeId from, NodeId to, PeerMessage message) => Sent?.Invoke(from, to, message);

    /// <summary>Tells the observer.</summary>
    internal void OnDelivered(NodeId from, NodeId to, PeerMessage message) => Delivered?.Invoke(from, to, message);

    private SimHost HostOf(int number) => _hosts.Find(host => host.Machine.Number == number)
        ?? throw new ArgumentException($"Machine {number} is not in the network.", nameof(number));

    private SimHost? FindHost(string address) => _hosts.Find(host => host.Address == address);
}
