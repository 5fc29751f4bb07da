using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Simulation.World;

/// <summary>
/// The transport of one node over a <see cref="SimNetwork"/>, with the behaviour of TcpPeerTransport: it dials each peer and sends on the
/// connection that it dialled, and receives on those that it accepted. It belongs to the machine's life in which it was made.
/// </summary>
internal sealed class SimTransport : IPeerTransport
{
    private readonly SimNetwork _network;
    private readonly SimHost _host;
    private readonly TransportContext _context;
    private readonly List<AcceptedEnd> _accepted = [];
    private SortedDictionary<long, SimSender> _senders = [];
    private bool _isStarted;
    private bool _isDown;

    /// <summary>Made by the network.</summary>
    public SimTransport(SimNetwork network, SimHost host, TransportOptions options, Hello identity)
    {
        _network = network;
        _host = host;
        _context = new TransportContext(options, identity);
        host.Add(this);
    }

    /// <inheritdoc/>
    public string BoundAddress { get; private set; } = "";

    /// <inheritdoc/>
    public long BytesSent => _context.Counters.BytesSent;

    /// <inheritdoc/>
    public long BytesReceived => _context.Counters.BytesReceived;

    /// <inheritdoc/>
    public long MessagesDropped => _context.Counters.MessagesDropped;

    /// <inheritdoc/>
    public void Start(ITransportEvents events)
    {
        ArgumentNullException.ThrowIfNull(events);
        CheckUp();
        if (_isStarted || _context.IsStopped)
        {
            throw new InvalidOperationException("The transport has been started or stopped before.");
        }

        _context.Events = events;
        if (_context.Options.ListenAddress is { } address)
        {
            Listen(address);
        }

        _isStarted = true;
        foreach (var sender in _senders.Values)
        {
            Dial(sender);
        }
    }

    /// <inheritdoc/>
    public void SetIdentity(Hello identity)
    {
        ArgumentNullException.ThrowIfNull(identity);
        _context.Identity = identity;
    }

    /// <inheritdoc/>
    public void SetPeers(IReadOnlyList<(NodeId Id, string Address)> peers)
    {
        ArgumentNullException.ThrowIfNull(peers);
        CheckUp();
        var before = _senders;
        var after = new SortedDictionary<long, SimSender>();
        var added = new List<SimSender>();
        foreach (var (id, address) in peers)
        {
            if (id == _context.Identity.NodeId)
            {
                continue;
            }

            if (!before.TryGetValue(id.Value, out var sender) || sender.Address != address)
            {
                added.Add(sender = new SimSender(_network, _host, _context, id, address));
            }

            after.Add(id.Value, sender);
        }

        if (_context.IsStopped)
        {
            return;
        }

        _senders = after;
        if (_isStarted)
        {
            added.ForEach(Dial);
        }

        CloseRemoved(before);
    }

    /// <inheritdoc/>
    public bool Send(NodeId to, PeerMessage message)
    {
        CheckUp();
        var outgoing = PeerMessageCodec.Encode(_network.Damage(to, message), _context.Options.MaxMessageBytes);
        var isLast = _host.Machine.Begin();
        var isTaken = false;
        if (!isLast || _host.Machine.LastOperationHappens())
        {
            _network.OnSent(_context.Identity.NodeId, to, message);
            isTaken = _senders.TryGetValue(to.Value, out var sender) && sender.Send(outgoing);
        }

        return isLast ? throw _host.Machine.GoDown() : isTaken;
    }

    /// <inheritdoc/>
    public void StopAbruptly() => Stop(isAbrupt: true);

    /// <summary>Ends in the normal way: what is queued is sent first.</summary>
    public void Dispose() => Stop(isAbrupt: false);

    /// <summary>The machine has gone down: nothing of this life has an effect any more.</summary>
    public void OnMachineDown()
    {
        _isDown = true;
        _context.IsStopped = true;
    }

    /// <summary>Somebody dials.</summary>
    /// <returns>Null when too many have.</returns>
    public AcceptedEnd? Accept(SimConnection connection)
    {
        if (_accepted.Count >= _context.Options.MaxAcceptedConnections)
        {
            return null;
        }

        var end = new AcceptedEnd(_network, _host, _context, connection, this);
        _accepted.Add(end);
        return end;
    }

    /// <summary>A peer's connection has passed its handshake.</summary>
    public void OnEstablished(AcceptedEnd end, Hello remote)
    {
        // The peer dials once: what it dialled before is dead, even if this side has not seen it die.
        foreach (var other in _accepted)
        {
            if (other != end && other.IsPeer && other.Remote!.NodeId == remote.NodeId)
            {
                other.Supersede();
            }
        }

        if (_senders.TryGetValue(remote.NodeId.Value, out var sender))
        {
            sender.Wake();
        }

        _context.Events.OnAccepted(remote);
    }

    /// <summary>A connection has ended.</summary>
    public void Forget(AcceptedEnd end) => _accepted.Remove(end);

    private void CloseRemoved(SortedDictionary<long, SimSender> before)
    {
        foreach (var sender in before.Values)
        {
            if (_senders.GetValueOrDefault(sender.Peer.Value) != sender)
            {
                sender.Stop(isAbrupt: false);
            }
        }

        foreach (var end in _accepted.ToArray())
        {
            if (end.IsPeer && before.ContainsKey(end.Remote!.NodeId.Value) && !_senders.ContainsKey(end.Remote.NodeId.Value))
            {
                end.CloseSilently(isAbrupt: false);
            }
        }
    }

    private void Dial(SimSender sender) => _network.Scheduler.After(0, () => _host.Run(sender.Dial));

    private void Listen(string address)
    {
        if (address != _host.Address || _host.Listener is not null)
        {
            throw new TransportConfigurationException($"Cannot listen on {address}: it is taken, or not an address of this machine.");
        }

        BoundAddress = address;
        _host.Listener = this;
    }

    private void Stop(bool isAbrupt)
    {
        if (_context.IsStopped)
        {
            return;
        }

        foreach (var sender in _senders.Values)
        {
            sender.Stop(isAbrupt);
        }

        _context.IsStopped = true;
        if (_host.Listener == this)
        {
            _host.Listener = null;
        }

        foreach (var end in _accepted.ToArray())
        {
            end.CloseSilently(isAbrupt);
        }
    }

    private void CheckUp()
    {
        if (_isDown)
        {
            throw new MachineDownException();
        }
    }
}
