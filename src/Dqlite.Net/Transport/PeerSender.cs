using System.Net.Sockets;
using Dqlite.Raft;

namespace Dqlite.Net.Transport;

/// <summary>
/// Dials one peer, and sends to it. Three kinds of thread meet here under one lock: whoever calls <see cref="Send"/>, the sender thread
/// (dials, sends what could not be sent at once, reports), and the watcher thread, which waits in a receive for the end of the connection.
/// <code>
/// dialling --handshake done--> connected --closed, broken or stalled--> dialling (after a pause)
/// </code>
/// A small message that finds the peer idle is sent by the calling thread: that saves waking the sender thread, which costs more than the
/// system call does. It is done only when the socket takes bytes without blocking.
/// </summary>
internal sealed class PeerSender
{
    /// <summary>A socket that polls as writable takes so many bytes without blocking.</summary>
    private const int MaxDirectBytes = 16 << 10;

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
            var wasIdle = isConnected && !isSending && queues.IsEmpty;
            if (isStopping || !queues.TryEnqueue(message, isConnected))
            {
                return false;
            }

            if (!wasIdle || message.LengthBytes > MaxDirectBytes || !TakesBytesNow(socket!))
            {
                Monitor.Pulse(gate);
                return true;
            }

            isSending = true;
            queues.Fill(batch);
            target = socket!;
        }

        SendBatch(target);
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

    private static bool TakesBytesNow(Socket socket)
    {
        try
        {
            return socket.Poll(0, SelectMode.SelectWrite);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The sender thread finds the same and ends the connection.
            return false;
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
        var options = context.Options;
        var endPoint = address.Resolve(options.AllowInsecureNonLoopback);
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
            Handshake.Dial(candidate, reader, context.Identity with { Purpose = PeerPurpose.Raft }, Validate);
            reader.SetDeadline(null);
            candidate.SendTimeout = (int)options.StallTimeout.TotalMilliseconds;
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

    private HandshakeVerdict Validate(Hello remote) => remote.NodeId == Peer
        ? context.Events.Validate(remote)
        : HandshakeVerdict.Refuse($"Node {Peer} is expected at {addressText}, but node {remote.NodeId} answers there.");

    private bool IsNewFailure(string reason)
    {
        var isNew = reason != lastFailure;
        lastFailure = reason;
        return isNew;
    }

    /// <summary>Nothing is ever received here: the call returns when the connection ends, which it does at once when the peer's process dies.</summary>
    private void Watch(Socket watched)
    {
        try
        {
            Span<byte> one = stackalloc byte[1];
            watched.Receive(one);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // This is the end that was waited for.
        }

        lock (gate)
        {
            if (watched == socket)
            {
                isBroken = true;
                Monitor.Pulse(gate);
            }
        }

        // Frees a send that is blocked.
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
                while (!isBroken && (isSending || (queues.IsEmpty && !isStopping)))
                {
                    Monitor.Wait(gate);
                }

                if (isStopping)
                {
                    drainUntil ??= Environment.TickCount64 + (long)DrainTimeout.TotalMilliseconds;
                }

                if (isBroken || (isStopping && (queues.IsEmpty || Environment.TickCount64 > drainUntil)))
                {
                    return;
                }

                isSending = true;
                queues.Fill(batch);
                target = socket!;
            }

            SendBatch(target);
        }
    }

    /// <summary>Sends the batch. The caller has set <see cref="isSending"/>, which gives it the batch and the socket.</summary>
    private void SendBatch(Socket target)
    {
        var isSent = false;
        try
        {
            batch.SendTo(target);
            context.Counters.AddSent(batch.LengthBytes);
            isSent = true;
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The sender thread ends the connection and reports it.
        }
        finally
        {
            lock (gate)
            {
                isSending = false;
                isBroken |= !isSent;
                if (isBroken || isStopping || !queues.IsEmpty)
                {
                    Monitor.Pulse(gate);
                }
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
