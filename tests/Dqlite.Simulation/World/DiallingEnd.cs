using Dqlite.Net.Transport;

namespace Dqlite.Simulation.World;

/// <summary>The side that dialled, up to the end of the handshake.</summary>
internal abstract class DiallingEnd : SimEnd
{
    private readonly PeerPurpose _purpose;

    /// <summary>Begins to dial.</summary>
    protected DiallingEnd(SimNetwork network, SimHost host, TransportContext context, SimConnection connection, PeerPurpose purpose)
        : base(network, host, context, connection, connection.Forward)
    {
        _purpose = purpose;
        LimitHandshake();
    }

    /// <inheritdoc/>
    public override void OnAnswered()
    {
        if (IsOpen)
        {
            Out.Send(HandshakeCodec.Introduce(Context.Identity with { Purpose = _purpose }));
        }
    }

    /// <inheritdoc/>
    protected override bool ReadNext() => IsEstablished ? ReadEstablished() : HasPreamble ? ReadAnswer() : TryReadPreamble();

    /// <summary>Decides about the answering side.</summary>
    protected abstract HandshakeVerdict Validate(Hello remote);

    /// <summary>Both sides have accepted each other.</summary>
    protected abstract void OnEstablished();

    /// <summary>Reads what follows the handshake.</summary>
    protected abstract bool ReadEstablished();

    private bool ReadAnswer()
    {
        if (!TryReadHandshake(out var header, out var body))
        {
            return false;
        }

        var verdict = HandshakeCodec.Check(HandshakeCodec.ReadHello(header, body), Validate);
        if (!IsOpen)
        {
            return false;
        }

        Out.Send(verdict.Refusal is { } reason ? HandshakeCodec.Refuse(reason) : HandshakeCodec.Accept());
        if (!verdict.IsAccepted)
        {
            Close(isAbrupt: false);
            OnEnded(HandshakeCodec.RefusedHere(verdict));
            return false;
        }

        IsEstablished = true;
        OnEstablished();
        return true;
    }
}
