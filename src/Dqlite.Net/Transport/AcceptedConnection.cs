using System.Net.Sockets;

namespace Dqlite.Net.Transport;

/// <summary>A connection that another node dialled. One thread reads it: the handshake, then messages or requests until it ends.</summary>
internal sealed class AcceptedConnection
{
    private readonly TcpPeerTransport owner;
    private readonly TransportContext context;
    private readonly Socket socket;
    private readonly FrameReader reader;
    private readonly MessageAssembler[] assemblers = [new(), new(), new(), new()];
    private Thread? thread;
    private volatile ReplySlot? pendingReply;
    private volatile bool isSilent;

    /// <summary>Takes over a socket.</summary>
    public AcceptedConnection(TcpPeerTransport owner, TransportContext context, Socket socket)
    {
        this.owner = owner;
        this.context = context;
        this.socket = socket;
        RemoteAddress = socket.RemoteEndPoint?.ToString() ?? "?";
        reader = new FrameReader(socket, context.Counters);
    }

    /// <summary>Where the other side dialled from.</summary>
    public string RemoteAddress { get; }

    /// <summary>Who is on the other side; null until the handshake is done.</summary>
    public Hello? Remote { get; private set; }

    /// <summary>Starts to read.</summary>
    public void Start() => thread = TransportContext.StartThread("dqlite-receive", Run);

    /// <summary>Closes the connection.</summary>
    /// <param name="isAbrupt">Whether with a reset.</param>
    /// <param name="isSilent">Whether its end is not reported.</param>
    public void Close(bool isAbrupt, bool isSilent)
    {
        this.isSilent |= isSilent;
        if (isAbrupt)
        {
            SocketCalls.Reset(socket);
        }
        else
        {
            SocketCalls.Close(socket);
        }

        pendingReply?.Cancel();
    }

    /// <summary>Waits for the thread to end.</summary>
    public void Join(TimeSpan timeout)
    {
        if (thread is not null && thread != Thread.CurrentThread)
        {
            thread.Join(timeout);
        }
    }

    private void Run()
    {
        try
        {
            SocketCalls.Configure(socket, context.Options.StallTimeout);
            socket.SendTimeout = (int)context.Options.StallTimeout.TotalMilliseconds;
            reader.SetDeadline(context.Options.HandshakeTimeout);
            Remote = Handshake.Answer(socket, reader, () => context.Identity, context.ValidateCaller);
            if (Remote is { } remote)
            {
                Serve(remote);
            }
        }
        catch (Exception exception) when (exception is PeerProtocolException or PeerRefusedException or MessagePackSerializationException or TimeoutException)
        {
            context.Options.Logger.AcceptedDropped(RemoteAddress, exception.Message);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The connection has ended, which is reported below.
        }
        catch (Exception exception)
        {
            // The host process must outlive a defect, also one of the code that is called back.
            context.Options.Logger.Defect(RemoteAddress, exception);
        }
        finally
        {
            owner.Forget(this);
            SocketCalls.Close(socket);
            reader.Dispose();
            ReportEnd();
        }
    }

    private void Serve(Hello remote)
    {
        if (remote.Purpose == PeerPurpose.Rpc)
        {
            ServeRequests(remote);
            return;
        }

        reader.SetDeadline(null);
        owner.OnEstablished(this, remote);
        context.Options.Logger.Accepted(remote.NodeId, RemoteAddress);
        context.Events.OnAccepted(remote);
        while (ReadMessage() is { } message)
        {
            context.CheckOrigin(remote.NodeId, message);
            if (context.IsStopped)
            {
                return;
            }

            context.Events.OnMessage(remote.NodeId, message, reader.IsDrained);
        }
    }

    private void ServeRequests(Hello remote)
    {
        var batch = new FrameBatch();
        while (!context.IsStopped)
        {
            reader.SetDeadline(context.Options.RequestTimeout);
            var request = ReadMessage();
            if (request is null)
            {
                return;
            }

            if (request is not NodeMessage nodeRequest)
            {
                throw new PeerProtocolException("Something other than a request came in on a connection for requests.");
            }

            var slot = pendingReply = new ReplySlot();
            context.Events.OnRequest(remote, nodeRequest, slot.Set);
            if (slot.Wait(context.Options.RequestTimeout) is not { } reply)
            {
                return;
            }

            var outgoing = PeerMessageCodec.Encode(reply, context.Options.MaxMessageBytes);
            batch.SendWhole(socket, outgoing, context.Options.FragmentBytes, context.Counters);
        }
    }

    private PeerMessage? ReadMessage()
    {
        while (reader.TryRead(context.Options.MaxMessageBytes, out var header, out var body))
        {
            if (header.Type != FrameType.Message)
            {
                throw new PeerProtocolException($"It sent {header.Type} after the handshake.");
            }

            if (assemblers[(int)header.Channel].Add(header, body) is { } message)
            {
                return message;
            }
        }

        return null;
    }

    private void ReportEnd()
    {
        if (Remote is not { Purpose: PeerPurpose.Raft } remote || isSilent || context.IsStopped)
        {
            return;
        }

        try
        {
            context.Options.Logger.AcceptedEnded(remote.NodeId, RemoteAddress);
            context.Events.OnDisconnected(remote.NodeId);
        }
        catch (Exception exception)
        {
            // The host process must outlive a defect of the code that is called back.
            context.Options.Logger.Defect(RemoteAddress, exception);
        }
    }
}
