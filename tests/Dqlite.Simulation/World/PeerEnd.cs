using Dqlite.Net.Transport;

namespace Dqlite.Simulation.World;

/// <summary>The dialled connection of a <see cref="SimSender"/>: messages go out on it, and nothing ever comes back.</summary>
internal sealed class PeerEnd : DiallingEnd
{
    private readonly SimSender _sender;

    /// <summary>Begins to dial.</summary>
    public PeerEnd(SimNetwork network, SimHost host, TransportContext context, SimConnection connection, SimSender sender)
        : base(network, host, context, connection, PeerPurpose.Raft) => _sender = sender;

    /// <summary>Whether messages may be sent.</summary>
    public bool IsConnected => IsOpen && IsEstablished;

    /// <inheritdoc/>
    public override void OnRoom() => _sender.OnRoom();

    /// <inheritdoc/>
    protected override HandshakeVerdict Validate(Hello remote) => Context.ValidateDialled(remote, _sender.Peer, _sender.Address);

    /// <inheritdoc/>
    protected override void OnEstablished() => _sender.OnEstablished();

    /// <inheritdoc/>
    protected override bool ReadEstablished() =>
        TryReadMessage(out _) ? throw new PeerProtocolException("The answering side sent a message.") : false;

    /// <inheritdoc/>
    protected override void OnEnded(Exception reason) => _sender.OnEnded(IsEstablished, reason);
}
