using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Simulation.World;

/// <summary>
/// Dials one peer, and sends to it; what PeerSender is in production, with its queues.
/// <code>
/// dialling --handshake done--> connected --closed, broken or stalled--> dialling (after a pause)
/// </code>
/// </summary>
internal sealed class SimSender
{
    /// <summary>Larger messages wait for the sender thread (see PeerSender).</summary>
    private const int MaxDirectBytes = 64 << 10;

    private readonly SimNetwork _network;
    private readonly SimHost _host;
    private readonly TransportContext _context;
    private readonly ChannelQueues _queues;
    private readonly Action _onWakeUp;
    private PeerEnd? _end;
    private TimeSpan _delay;
    private long _pause;
    private bool _isPausing;
    private bool _isWakingUp;
    private bool _isWatchingFull;
    private bool _isWoken;
    private bool _isStopping;

    /// <summary>Creates a sender; it starts with <see cref="Dial"/>.</summary>
    /// <exception cref="ArgumentException">The address is malformed.</exception>
    public SimSender(SimNetwork network, SimHost host, TransportContext context, NodeId peer, string address)
    {
        _ = PeerAddress.Parse(address);
        _network = network;
        _host = host;
        _context = context;
        _queues = new ChannelQueues(context.Options, context.Counters);
        _delay = context.Options.MinReconnectDelay;
        _onWakeUp = () => host.Run(OnWakeUp);
        Peer = peer;
        Address = address;
    }

    /// <summary>The peer.</summary>
    public NodeId Peer { get; }

    /// <summary>Its address.</summary>
    public string Address { get; }

    private bool IsConnected => _end is { IsConnected: true };

    /// <summary>Dials.</summary>
    public void Dial()
    {
        _isPausing = false;
        if (_isStopping || _context.IsStopped)
        {
            return;
        }

        if (_network.Connect(_host, Address) is not { } connection)
        {
            Pause();
            return;
        }

        _end = new PeerEnd(_network, _host, _context, connection, this);
        connection.Begin(_end);
    }

    /// <summary>Sends or queues a message; see <see cref="IPeerTransport.Send"/>.</summary>
    public bool Send(OutgoingMessage message)
    {
        var isConnected = IsConnected;
        var wasIdle = isConnected && !_isWakingUp && _queues.IsEmpty && !_end!.Out.IsFull;
        if (_isStopping || !_queues.TryEnqueue(message, isConnected))
        {
            return false;
        }

        if (wasIdle && message.LengthBytes <= MaxDirectBytes)
        {
            Pump();
        }
        else if (isConnected)
        {
            WakeUp();
        }

        return true;
    }

    /// <summary>Dials without waiting for the pause to end: the peer has just shown that it lives.</summary>
    public void Wake()
    {
        _isWoken = true;
        if (_isPausing)
        {
            EndPause();
        }
    }

    /// <summary>Ends the sender.</summary>
    /// <param name="isAbrupt">Whether what is queued is lost.</param>
    public void Stop(bool isAbrupt)
    {
        if (_isStopping)
        {
            return;
        }

        if (IsConnected && !isAbrupt)
        {
            Pump();
        }

        _isStopping = true;
        _end?.Close(isAbrupt);
        _queues.Clear();
    }

    /// <summary>The handshake is done.</summary>
    public void OnEstablished()
    {
        _delay = _context.Options.MinReconnectDelay;
        if (!_context.IsStopped)
        {
            _context.Events.OnConnected(Peer);
        }

        WakeUp();
    }

    /// <summary>The connection, or the attempt to make one, has ended.</summary>
    public void OnEnded(bool wasEstablished, Exception reason)
    {
        _end = null;
        if (_isStopping || _context.IsStopped)
        {
            return;
        }

        if (wasEstablished)
        {
            _queues.Clear();
            _context.Events.OnDisconnected(Peer);
        }
        else if (reason is PeerRefusedException)
        {
            _context.Events.OnRefused(Peer, Address, reason.Message);
        }

        Pause();
    }

    /// <summary>The connection takes bytes again.</summary>
    public void OnRoom() => WakeUp();

    private void Pause()
    {
        _isPausing = true;
        var pause = ++_pause;
        var delayNs = _delay.Ticks * 100;
        _delay = TimeSpan.FromTicks(Math.Min(2 * _delay.Ticks, _context.Options.MaxReconnectDelay.Ticks));
        if (_isWoken)
        {
            EndPause();
            return;
        }

        _network.Scheduler.After((delayNs / 2) + _host.Random.Next((delayNs / 2) + 1), () => _host.Run(() =>
        {
            if (_isPausing && pause == _pause)
            {
                EndPause();
            }
        }));
    }

    private void EndPause()
    {
        _isWoken = false;
        _isPausing = false;
        _network.Scheduler.After(0, () => _host.Run(Dial));
    }

    private void WakeUp()
    {
        if (!_isWakingUp)
        {
            _isWakingUp = true;
            _network.Scheduler.After(_host.Random.Next(_network.Options.MaxWakeUpNs + 1), _onWakeUp);
        }
    }

    private void OnWakeUp()
    {
        _isWakingUp = false;
        if (IsConnected)
        {
            Pump();
        }
    }

    private void Pump()
    {
        var pipe = _end!.Out;
        while (!_queues.IsEmpty)
        {
            if (pipe.IsFull)
            {
                WatchFull(_end);
                return;
            }

            var batch = _network.Batch;
            _queues.Fill(batch);
            _context.Counters.AddSent(batch.LengthBytes);
            pipe.Send(batch);
        }
    }

    /// <summary>There is more to send than the connection takes: it is given up when not a byte arrives for too long.</summary>
    private void WatchFull(PeerEnd end)
    {
        if (_isWatchingFull)
        {
            return;
        }

        _isWatchingFull = true;
        var arrivedBytes = end.Out.ArrivedBytes;
        _network.Scheduler.After(_network.StallTimeoutNs, () =>
        {
            _isWatchingFull = false;
            if (_end is not { IsOpen: true } current || !current.Out.IsFull)
            {
                return;
            }

            if (current == end && end.Out.ArrivedBytes == arrivedBytes)
            {
                end.GiveUpLater();
            }
            else
            {
                WatchFull(current);
            }
        });
    }
}
