using Dqlite.Raft;

namespace Dqlite.Net.Transport;

/// <summary>What a connection is for. The values travel.</summary>
internal enum PeerPurpose : byte
{
    /// <summary>A member (or a node that becomes one) sends its messages over it; nothing comes back on it.</summary>
    Raft = 1,

    /// <summary>Requests one way, responses the other; a node without an identity may open it.</summary>
    Rpc = 2,
}

/// <summary>How a node introduces itself, before anything else is read.</summary>
/// <param name="ClusterId">32 lower-case hexadecimal digits, or empty when the node is blank.</param>
/// <param name="NodeId">The node, or <see cref="NodeId.None"/> when it is blank.</param>
/// <param name="Incarnation">Identity of its data directory: 32 lower-case hexadecimal digits.</param>
/// <param name="Address">Where its peers reach it, as host:port; empty when it listens nowhere.</param>
/// <param name="Purpose">What the connection is for. The dialling side decides; the answering side echoes it.</param>
/// <param name="ProtocolVersion">Version of the messages that it speaks.</param>
internal sealed record Hello(string ClusterId, NodeId NodeId, string Incarnation, string Address, PeerPurpose Purpose = PeerPurpose.Raft,
    int ProtocolVersion = Hello.CurrentProtocolVersion)
{
    /// <summary>The version of the messages that this code speaks.</summary>
    public const int CurrentProtocolVersion = 1;
}

/// <summary>Answer to a <see cref="Hello"/>.</summary>
/// <param name="Refusal">Null when accepted; otherwise the reason, which is sent to the other side.</param>
internal readonly record struct HandshakeVerdict(string? Refusal)
{
    /// <summary>The other side is accepted.</summary>
    public static HandshakeVerdict Accept => default;

    /// <summary>Whether the other side is accepted.</summary>
    public bool IsAccepted => Refusal is null;

    /// <summary>The other side is refused.</summary>
    /// <param name="reason">Why, and what to do about it. The other side logs it.</param>
    public static HandshakeVerdict Refuse(string reason) => new(reason);
}
