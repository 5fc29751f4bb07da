using Dqlite.Net.Transport;

namespace Dqlite.Simulation.World;

/// <summary>The side that was dialled; what AcceptedConnection is in production.</summary>
internal sealed class AcceptedEnd : SimEnd
{
    private readonly SimTransport _transport;
    private bool _hasReplied;
    private bool _isSilent;

    /// <summary>Takes over a connection.</summary>
    public AcceptedEnd(SimNetwork network, SimHost host, TransportContext context, SimConnection connection, SimTransport transport)
        : base(network, host, context, connection, connection.Backward)
    {
        _transport = transport;
        LimitHandshake();
    }

    /// <summary>Who is on the other side; null before it has introduced itself.</summary>
    public Hello? Remote { get; private set; }

    /// <summary>Whether a peer's messages come in on it.</summary>
    public bool IsPeer => IsEstablished && Remote is { Purpose: PeerPurpose.Raft };

    /// <summary>The peer has dialled again. What was received of this connection may still be on its way through the process, and come behind the
    /// first messages of the next one.</summary>
    public void Supersede()
    {
        Out.SendEnd(isTorn: true);
        var lateNs = Host.Random.Chance(Network.Options.LateBytesChance) ? Host.Random.Next(Network.Options.MaxLateNs + 1) : 0;
        Network.Scheduler.After(lateNs, () => Host.Run(() =>
        {
            if (IsOpen)
            {
                End(new PeerProtocolException("The peer has dialled again."));
            }
        }));
    }

    /// <summary>Closes it, and reports no end.</summary>
    public void CloseSilently(bool isAbrupt)
    {
        _isSilent = true;
        Close(isAbrupt);
        _transport.Forget(this);
    }

    /// <inheritdoc/>
    protected override bool ReadNext() => (HasPreamble, Remote, IsEstablished) switch
    {
        (false, _, _) => TryReadPreamble(),
        (true, null, _) => ReadHello(),
        (true, _, false) => ReadAccept(),
        (true, _, true) => ReadMessage(),
    };

    /// <inheritdoc/>
    protected override void OnEnded(Exception reason)
    {
        _transport.Forget(this);
        if (IsPeer && !_isSilent && !Context.IsStopped)
        {
            Context.Events.OnDisconnected(Remote!.NodeId);
        }
    }

    private bool ReadHello()
    {
        if (!TryReadHandshake(out var header, out var body))
        {
            return false;
        }

        Remote = HandshakeCodec.ReadHello(header, body);
        var verdict = HandshakeCodec.Check(Remote, Context.ValidateCaller);
        if (!IsOpen)
        {
            return false;
        }

        if (verdict.Refusal is { } reason)
        {
            Out.Send(HandshakeCodec.RefuseAtOnce(reason));
            CloseSilently(isAbrupt: false);
            return false;
        }

        Out.Send(HandshakeCodec.Introduce(Context.Identity with { Purpose = Remote.Purpose }));
        return true;
    }

    private bool ReadAccept()
    {
        if (!TryReadHandshake(out var header, out var body))
        {
            return false;
        }

        HandshakeCodec.ReadAccept(header, body);
        IsEstablished = true;
        if (IsPeer)
        {
            _transport.OnEstablished(this, Remote!);
        }
        else
        {
            LimitRequest();
        }

        return true;
    }

    private bool ReadMessage()
    {
        if (!TryReadMessage(out var message))
        {
            return false;
        }

        if (message is null)
        {
            return true;
        }

        if (!IsPeer)
        {
            Serve(message as NodeMessage ?? throw new PeerProtocolException("Something other than a request came in on a connection for requests."));
            return true;
        }

        Context.CheckOrigin(Remote!.NodeId, message);
        Network.OnDelivered(Remote.NodeId, Context.Identity.NodeId, message);
        Context.Events.OnMessage(Remote.NodeId, message, isLast: true);
        return true;
    }

    private void Serve(NodeMessage request) => Context.Events.OnRequest(Remote!, request, reply =>
    {
        if (IsOpen && !_hasReplied)
        {
            _hasReplied = true;
            Network.SendWhole(Out, PeerMessageCodec.Encode(reply, Context.Options.MaxMessageBytes), Context.Options);
        }
    });

    /// <summary>A request that nobody sends, or answers, does not hold the connection for ever.</summary>
    private void LimitRequest() => Network.Scheduler.After(Context.Options.RequestTimeout.Ticks * 100, () => Host.Run(() =>
    {
        if (IsOpen)
        {
            CloseSilently(isAbrupt: false);
        }
    }));
}
