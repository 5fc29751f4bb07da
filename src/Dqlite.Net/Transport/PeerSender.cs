using System.Net;
using System.Net.Sockets;
using Dqlite.Raft;

namespace Dqlite.Net.Transport;

/// <summary>
/// Dials one peer, and sends to it. Three kinds of thread meet here under one lock: whoever calls <see cref="Send"/>, the sender thread
/// (dials, sends what could not be sent at once, reports), and the watcher thread, which waits in a receive for the end of the connection.
/// <code>
/// dialling --handshake done--> connected --closed, broken or stalled--> dialling (after a pause)
/// </code>
/// A message that finds the peer idle, and is not large, is sent by the calling thread: waking the sender thread costs more than the system
/// call does. The connected socket does not block, so that thread leaves to the sender what the system does not take at once.
/// </summary>
internal sealed class PeerSender
{
    /// <summary>Above this, copying and checksums would keep the calling thread longer than waking the sender thread does.</summary>
    private const int MaxDirectBytes = 64 << 10;

    private static readonly TimeSpan DrainTimeout = TimeSpan.FromMilliseconds(500);

    private readonly TransportContext context;
    private readonly string addressText;
    private readonly PeerAddress address;
    private readonly object gate = new();
    private readonly FrameBatch batch = new();
    private readonly ChannelQueues queues;
    private Thread? thread;
    private Socket? dialling;
    private Socket? socket;
    private bool isSending;
    private bool isPartlySent;
    private bool isBroken;
    private bool isStopping;
    private bool isWoken;
    private string? lastFailure;

    /// <summary>Creates a sender; it starts with <see cref="Start"/>.</summary>
    /// <exception cref="ArgumentException">The address is malformed.</exception>
    public PeerSender(TransportContext context, NodeId peer, string address)
    {
        this.context = context;
        this.address = PeerAddress.Parse(address);
        Peer = peer;
        addressText = address;
        queues = new ChannelQueues(context.Options, context.Counters);
    }

    /// <summary>The peer.</summary>
    public NodeId Peer { get; }

    /// <summary>Its address.</summary>
    public string Address => addressText;

    /// <summary>Starts to dial.</summary>
    public void Start() => thread = TransportContext.StartThread($"dqlite-send-{Peer}", Run);

    /// <summary>Sends or queues a message; see <see cref="IPeerTransport.Send"/>.</summary>
    public bool Send(OutgoingMessage message)
    {
        Socket target;
        lock (gate)
        {
            var isConnected = socket is not null && !isBroken;
            var wasIdle = isConnected && !isSending && !isPartlySent && queues.IsEmpty;
            if (isStopping || !queues.TryEnqueue(message, isConnected))
            {
                return false;
            }

            if (!wasIdle || message.LengthBytes > MaxDirectBytes)
            {
                Monitor.Pulse(gate);
                return true;
            }

            isSending = true;
            queues.Fill(batch);
            target = socket!;
        }

        SendBatch(target, mayWait: false);
        return true;
    }

    /// <summary>Dials without waiting for the pause to end: the peer has just shown that it lives.</summary>
    public void Wake()
    {
        lock (gate)
        {
            isWoken = true;
            Monitor.Pulse(gate);
        }
    }

    /// <summary>Ends the sender; <see cref="Join"/> waits for it.</summary>
    /// <param name="isAbrupt">Whether what is queued is lost.</param>
    public void Stop(bool isAbrupt)
    {
        Socket? inDial, connected;
        lock (gate)
        {
            isStopping = true;
            isBroken |= isAbrupt;
            (inDial, connected) = (dialling, isAbrupt ? socket : null);
            Monitor.Pulse(gate);
        }

        inDial?.Dispose();
        if (connected is not null)
        {
            SocketCalls.Reset(connected);
        }
    }

    /// <summary>Waits for the sender thread to end.</summary>
    public void Join(TimeSpan timeout)
    {
        if (thread is not null && thread != Thread.CurrentThread)
        {
            thread.Join(timeout);
        }
    }

    private void Run()
    {
        var delay = context.Options.MinReconnectDelay;
        while (!IsStopping())
        {
            if (TryConnect())
            {
                delay = context.Options.MinReconnectDelay;
                Pump();
                EndConnection();
            }

            Pause(delay * (0.5 + (Random.Shared.NextDouble() / 2)));
            delay = TimeSpan.FromTicks(Math.Min(2 * delay.Ticks, context.Options.MaxReconnectDelay.Ticks));
        }
    }

    private bool IsStopping()
    {
        lock (gate)
        {
            return isStopping;
        }
    }

    private void Pause(TimeSpan delay)
    {
        var end = Environment.TickCount64 + (long)delay.TotalMilliseconds;
        lock (gate)
        {
            while (!isStopping && !isWoken && end - Environment.TickCount64 is > 0 and var leftMs)
            {
                Monitor.Wait(gate, (int)leftMs);
            }

            isWoken = false;
        }
    }

    private bool TryConnect()
    {
        try
        {
            var connected = Dial();
            if (connected is null)
            {
                return false;
            }

            TransportContext.StartThread($"dqlite-watch-{Peer}", () => Watch(connected));
            lastFailure = null;
            context.Options.Logger.Connected(Peer, addressText);
            Report(events => events.OnConnected(Peer));
            return true;
        }
        catch (PeerRefusedException exception)
        {
            if (IsNewFailure(exception.Message))
            {
                context.Options.Logger.DialRefused(Peer, addressText, exception.Message);
            }

            Report(events => events.OnRefused(Peer, addressText, exception.Message));
        }
        catch (Exception exception) when (exception is SocketException or PeerProtocolException or TimeoutException or ObjectDisposedException
            or TransportConfigurationException)
        {
            if (!IsStopping() && IsNewFailure(exception.Message))
            {
                context.Options.Logger.DialFailed(Peer, addressText, exception.Message);
            }
        }
        catch (Exception exception)
        {
            // The host process must outlive a defect, also one of the code that is called back.
            context.Options.Logger.Defect(addressText, exception);
            lock (gate)
            {
                isBroken = true;
                return socket is not null;
            }
        }

        return false;
    }

    private Socket? Dial()
    {
        var endPoints = address.Resolve(context.Options.AllowInsecureNonLoopback);
        for (var i = 0; ; i++)
        {
            try
            {
                return Dial(endPoints[i]);
            }
            catch (SocketException) when (i + 1 < endPoints.Length)
            {
                // The name has another address.
            }
        }
    }

    private Socket? Dial(IPEndPoint endPoint)
    {
        var options = context.Options;
        var candidate = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        var isDone = false;
        try
        {
            // On Linux the send timeout bounds a blocking connect too.
            candidate.SendTimeout = (int)options.HandshakeTimeout.TotalMilliseconds;
            lock (gate)
            {
                if (isStopping)
                {
                    return null;
                }

                dialling = candidate;
            }

            candidate.Connect(endPoint);
            SocketCalls.Configure(candidate, options.StallTimeout);
            using var reader = new FrameReader(candidate, context.Counters);
            reader.SetDeadline(options.HandshakeTimeout);
            Handshake.Dial(candidate, reader, context.Identity with { Purpose = PeerPurpose.Raft },
                remote => context.ValidateDialled(remote, Peer, addressText));
            reader.SetDeadline(null);
            candidate.Blocking = false;
            lock (gate)
            {
                isDone = !isStopping;
                isBroken = false;
                socket = isDone ? candidate : null;
                return socket;
            }
        }
        finally
        {
            lock (gate)
            {
                dialling = null;
            }

            if (!isDone)
            {
                candidate.Dispose();
            }
        }
    }

    private bool IsNewFailure(string reason)
    {
        var isNew = reason != lastFailure;
        lastFailure = reason;
        return isNew;
    }

    /// <summary>Nothing is ever received here: the poll returns when the connection ends, which it does at once when the peer's process dies.</summary>
    private void Watch(Socket watched)
    {
        try
        {
            watched.Poll(Timeout.Infinite, SelectMode.SelectRead);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // This is the end that was waited for.
        }

        lock (gate)
        {
            if (watched != socket || isBroken)
            {
                // This side ends it, perhaps with bytes under way that a reset would destroy.
                return;
            }

            isBroken = true;
            Monitor.Pulse(gate);
        }

        // Frees a sender thread that waits for room.
        SocketCalls.Reset(watched);
    }

    private void Pump()
    {
        long? drainUntil = null;
        while (true)
        {
            Socket target;
            lock (gate)
            {
                while (!isBroken && (isSending || (queues.IsEmpty && !isPartlySent && !isStopping)))
                {
                    Monitor.Wait(gate);
                }

                if (isStopping)
                {
                    drainUntil ??= Environment.TickCount64 + (long)DrainTimeout.TotalMilliseconds;
                }

                if (isBroken || (isStopping && ((queues.IsEmpty && !isPartlySent) || Environment.TickCount64 > drainUntil)))
                {
                    return;
                }

                isSending = true;
                if (!isPartlySent)
                {
                    queues.Fill(batch);
                }

                target = socket!;
            }

            SendBatch(target, mayWait: true);
        }
    }

    /// <summary>Sends the batch. The caller has set <see cref="isSending"/>, which gives it the batch and the socket.</summary>
    private void SendBatch(Socket target, bool mayWait)
    {
        bool isSent = false, isAlive = false;
        try
        {
            do
            {
                isSent = batch.TrySend(target);
                isAlive = isSent || !mayWait || target.Poll(context.Options.StallTimeout, SelectMode.SelectWrite);
            }
            while (!isSent && mayWait && isAlive);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The sender thread ends the connection and reports it.
            isAlive = false;
        }

        if (isSent)
        {
            context.Counters.AddSent(batch.LengthBytes);
        }

        lock (gate)
        {
            isSending = false;
            isPartlySent = !isSent;
            isBroken |= !isAlive;
            if (isBroken || isStopping || isPartlySent || !queues.IsEmpty)
            {
                Monitor.Pulse(gate);
            }
        }
    }

    private void EndConnection()
    {
        bool isPolite;
        Socket ended;
        lock (gate)
        {
            isPolite = !isBroken;
            isBroken = true;
            ended = socket!;
        }

        if (isPolite)
        {
            SocketCalls.Close(ended);
        }
        else
        {
            SocketCalls.Reset(ended);
        }

        bool isReported;
        lock (gate)
        {
            while (isSending)
            {
                Monitor.Wait(gate);
            }

            socket = null;
            isPartlySent = false;
            queues.Clear();
            isReported = !isStopping;
        }

        if (isReported)
        {
            context.Options.Logger.Disconnected(Peer, addressText);
            Report(events => events.OnDisconnected(Peer));
        }
    }

    private void Report(Action<ITransportEvents> report)
    {
        if (context.IsStopped)
        {
            return;
        }

        try
        {
            report(context.Events);
        }
        catch (Exception exception)
        {
            // The host process must outlive a defect of the code that is called back.
            context.Options.Logger.Defect(addressText, exception);
        }
    }
}
