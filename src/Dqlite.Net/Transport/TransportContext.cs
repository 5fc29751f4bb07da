using Dqlite.Raft;

namespace Dqlite.Net.Transport;

/// <summary>What the parts of one transport share.</summary>
/// <param name="options">The settings.</param>
/// <param name="identity">What this node says of itself.</param>
internal sealed class TransportContext(TransportOptions options, Hello identity)
{
    private volatile Hello identity = identity;
    private volatile bool isStopped;

    /// <summary>The settings.</summary>
    public TransportOptions Options { get; } = options;

    /// <summary>The counters.</summary>
    public TransportCounters Counters { get; } = new();

    /// <summary>Gets everything that happens; set before any thread starts.</summary>
    public ITransportEvents Events { get; set; } = null!;

    /// <summary>What this node says of itself.</summary>
    public Hello Identity
    {
        get => identity;
        set => identity = value;
    }

    /// <summary>Once true, nothing is reported any more.</summary>
    public bool IsStopped
    {
        get => isStopped;
        set => isStopped = value;
    }

    /// <summary>Decides about a node that dialled this one.</summary>
    /// <param name="remote">What it says of itself.</param>
    public HandshakeVerdict ValidateCaller(Hello remote)
    {
        if (IsStopped)
        {
            return HandshakeVerdict.Refuse("This node is stopping.");
        }

        return remote.NodeId == Identity.NodeId && remote.Purpose == PeerPurpose.Raft
            ? HandshakeVerdict.Refuse($"Node {remote.NodeId} is this node itself: two nodes have the same id, or a node has its own address for a peer.")
            : Events.Validate(remote);
    }

    /// <summary>Decides about a node that this one dialled.</summary>
    /// <param name="remote">What it says of itself.</param>
    /// <param name="peer">Whom this node wanted.</param>
    /// <param name="address">Where.</param>
    public HandshakeVerdict ValidateDialled(Hello remote, NodeId peer, string address) => remote.NodeId == peer
        ? Events.Validate(remote)
        : HandshakeVerdict.Refuse($"Node {peer} is expected at {address}, but node {remote.NodeId} answers there.");

    /// <summary>A peer speaks for itself, and to this node.</summary>
    /// <param name="from">The peer.</param>
    /// <param name="message">What it sent.</param>
    /// <exception cref="PeerProtocolException">It does not.</exception>
    public void CheckOrigin(NodeId from, PeerMessage message)
    {
        if (message is RaftPeerMessage { Message: var raft } && (raft.From != from || raft.To != Identity.NodeId))
        {
            throw new PeerProtocolException($"Node {from} sent a message from {raft.From} to {raft.To}.");
        }
    }

    /// <summary>Starts a thread of the transport's own. It is a background thread: a host that forgets to dispose can still exit.</summary>
    public static Thread StartThread(string name, Action body)
    {
        var thread = new Thread(() => body()) { IsBackground = true, Name = name };
        thread.Start();
        return thread;
    }
}
