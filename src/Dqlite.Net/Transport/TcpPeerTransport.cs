using System.Net;
using System.Net.Sockets;
using Dqlite.Raft;

namespace Dqlite.Net.Transport;

/// <summary>
/// The transport over TCP. Each node dials each peer and sends on the connection that it dialled; it receives on those that it accepted.
/// Nothing here runs on the shared thread pool. Threads: one acceptor; one receiver per accepted connection; one sender and one watcher per peer.
/// </summary>
internal sealed class TcpPeerTransport : IPeerTransport
{
    private const int ListenBacklog = 128;

    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan AcceptRetryDelay = TimeSpan.FromMilliseconds(100);

    private readonly TransportContext context;
    private readonly object gate = new();
    private readonly HashSet<AcceptedConnection> accepted = [];
    private readonly ManualResetEventSlim stopSignal = new();

    /// <summary>Replaced as a whole under the lock, so that <see cref="Send"/> reads it without one.</summary>
    private volatile Dictionary<NodeId, PeerSender> senders = [];
    private Socket? listener;
    private Thread? acceptor;
    private bool isStarted;

    /// <summary>Creates a transport that does nothing yet.</summary>
    /// <param name="options">The settings.</param>
    /// <param name="identity">What this node says of itself.</param>
    public TcpPeerTransport(TransportOptions options, Hello identity)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(identity);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.FragmentBytes, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.FragmentBytes, FrameHeader.MaxBodyBytes, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxQueuedMessages, 1, nameof(options));
        context = new TransportContext(options, identity);
    }

    /// <inheritdoc/>
    public string BoundAddress { get; private set; } = "";

    /// <inheritdoc/>
    public long BytesSent => context.Counters.BytesSent;

    /// <inheritdoc/>
    public long BytesReceived => context.Counters.BytesReceived;

    /// <inheritdoc/>
    public long MessagesDropped => context.Counters.MessagesDropped;

    /// <inheritdoc/>
    public void Start(ITransportEvents events)
    {
        ArgumentNullException.ThrowIfNull(events);
        lock (gate)
        {
            if (isStarted || context.IsStopped)
            {
                throw new InvalidOperationException("The transport has been started or stopped before.");
            }

            context.Events = events;
            if (context.Options.ListenAddress is { } address)
            {
                listener = Listen(address);
                acceptor = TransportContext.StartThread("dqlite-accept", AcceptAll);
            }

            isStarted = true;
            foreach (var sender in senders.Values)
            {
                sender.Start();
            }
        }
    }

    /// <inheritdoc/>
    public void SetIdentity(Hello identity)
    {
        ArgumentNullException.ThrowIfNull(identity);
        context.Identity = identity;
    }

    /// <inheritdoc/>
    public void SetPeers(IReadOnlyList<(NodeId Id, string Address)> peers)
    {
        ArgumentNullException.ThrowIfNull(peers);
        var own = context.Identity.NodeId;
        PeerSender[] removed;
        AcceptedConnection[] orphans;
        lock (gate)
        {
            var before = senders;
            var after = new Dictionary<NodeId, PeerSender>();
            var added = new List<PeerSender>();
            foreach (var (id, address) in peers.Where(peer => peer.Id != own))
            {
                if (!before.TryGetValue(id, out var sender) || sender.Address != address)
                {
                    added.Add(sender = new PeerSender(context, id, address));
                }

                after.Add(id, sender);
            }

            if (context.IsStopped)
            {
                return;
            }

            senders = after;
            removed = [.. before.Values.Where(sender => !after.ContainsValue(sender))];
            orphans = [.. accepted.Where(connection => connection.Remote is { Purpose: PeerPurpose.Raft, NodeId: var id }
                && before.ContainsKey(id) && !after.ContainsKey(id))];
            if (isStarted)
            {
                added.ForEach(sender => sender.Start());
            }
        }

        foreach (var sender in removed)
        {
            sender.Stop(isAbrupt: false);
        }

        foreach (var connection in orphans)
        {
            connection.Close(isAbrupt: false, isSilent: true);
        }
    }

    /// <inheritdoc/>
    public bool Send(NodeId to, PeerMessage message)
    {
        var outgoing = PeerMessageCodec.Encode(message, context.Options.MaxMessageBytes);
        return senders.TryGetValue(to, out var sender) && sender.Send(outgoing);
    }

    /// <inheritdoc/>
    public void StopAbruptly() => Stop(isAbrupt: true);

    /// <summary>Ends in the normal way: what is queued is sent first, for half a second at most.</summary>
    public void Dispose() => Stop(isAbrupt: false);

    /// <summary>A connection has passed its handshake.</summary>
    internal void OnEstablished(AcceptedConnection connection, Hello remote)
    {
        AcceptedConnection[] older;
        lock (gate)
        {
            older = [.. accepted.Where(other => other != connection && other.Remote is { Purpose: PeerPurpose.Raft, NodeId: var id } && id == remote.NodeId)];
        }

        // The peer dials once: what it dialled before is dead, even if this side has not seen it die.
        foreach (var other in older)
        {
            other.Close(isAbrupt: true, isSilent: false);
        }

        if (senders.TryGetValue(remote.NodeId, out var sender))
        {
            sender.Wake();
        }
    }

    /// <summary>A connection has ended.</summary>
    internal void Forget(AcceptedConnection connection)
    {
        lock (gate)
        {
            accepted.Remove(connection);
        }
    }

    private Socket Listen(string text)
    {
        var candidate = default(Socket);
        try
        {
            var endPoint = PeerAddress.Parse(text).Resolve(context.Options.AllowInsecureNonLoopback)[0];
            candidate = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            if (endPoint.Address.Equals(IPAddress.IPv6Any))
            {
                // [::] is every address of the machine; .NET would leave those of IPv4 out.
                candidate.DualMode = true;
            }

            candidate.Bind(endPoint);
            candidate.Listen(ListenBacklog);
            var bound = (IPEndPoint)candidate.LocalEndPoint!;
            BoundAddress = new PeerAddress(bound.Address.ToString(), bound.Port).ToString();
            context.Options.Logger.Listening(BoundAddress);
            return candidate;
        }
        catch (ArgumentException exception)
        {
            throw new TransportConfigurationException(exception.Message, exception);
        }
        catch (SocketException exception)
        {
            candidate?.Dispose();
            var remedy = exception.SocketErrorCode switch
            {
                SocketError.AddressAlreadyInUse => "Another process, or another node of this one, listens there: stop it, or choose another address (port 0 lets the system choose).",
                SocketError.AddressNotAvailable => "It is not an address of this machine: choose one that is. (Where peers reach the node at another address than its own, that is its Address, and this one its ListenAddress.)",
                SocketError.AccessDenied => "It needs a privilege: choose a port of 1024 or more.",
                _ => "Choose another address.",
            };
            throw new TransportConfigurationException($"Cannot listen on {text}: {exception.Message}. {remedy}", exception);
        }
    }

    private void AcceptAll()
    {
        while (!context.IsStopped)
        {
            try
            {
                Admit(listener!.Accept());
            }
            catch (Exception exception)
            {
                if (!context.IsStopped)
                {
                    // Out of file descriptors or threads, for example: that may pass, and must not end the host process.
                    context.Options.Logger.AcceptFailed(exception.Message);
                    stopSignal.Wait(AcceptRetryDelay);
                }
            }
        }
    }

    private void Admit(Socket socket)
    {
        var connection = new AcceptedConnection(this, context, socket);
        int count;
        lock (gate)
        {
            count = accepted.Count;
            if (!context.IsStopped && count < context.Options.MaxAcceptedConnections)
            {
                accepted.Add(connection);
                connection.Start();
                return;
            }
        }

        if (!context.IsStopped)
        {
            context.Options.Logger.TooManyConnections(connection.RemoteAddress, count);
        }

        connection.Close(isAbrupt: true, isSilent: true);
    }

    private void Stop(bool isAbrupt)
    {
        AcceptedConnection[] connections;
        lock (gate)
        {
            if (context.IsStopped)
            {
                return;
            }

            context.IsStopped = true;
            connections = [.. accepted];
        }

        stopSignal.Set();
        listener?.Dispose();
        foreach (var sender in senders.Values)
        {
            sender.Stop(isAbrupt);
        }

        foreach (var connection in connections)
        {
            connection.Close(isAbrupt, isSilent: true);
        }

        var end = Environment.TickCount64 + (long)StopTimeout.TotalMilliseconds;
        TimeSpan Left() => TimeSpan.FromMilliseconds(Math.Max(0, end - Environment.TickCount64));
        foreach (var sender in senders.Values)
        {
            sender.Join(Left());
        }

        foreach (var connection in connections)
        {
            connection.Join(Left());
        }

        acceptor?.Join(Left());
    }
}
