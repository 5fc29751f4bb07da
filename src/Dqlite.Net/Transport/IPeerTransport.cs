using Dqlite.Raft;

namespace Dqlite.Net.Transport;

/// <summary>
/// Carries messages to the peers of one node and from them. Members may be called from any thread. Delivery is at most once; messages of
/// one channel arrive in order while a connection lasts, and channels pass each other: control (everything small that is not an append),
/// log (AppendEntries) and stream (<see cref="StreamChunk"/>, and a <see cref="NodeMessage"/> over 64 KiB).
/// </summary>
internal interface IPeerTransport : IDisposable
{
    /// <summary>Where this node listens, with the port that the system chose; empty when it listens nowhere.</summary>
    string BoundAddress { get; }

    /// <summary>Bytes given to sockets since the start.</summary>
    long BytesSent { get; }

    /// <summary>Bytes read from sockets since the start.</summary>
    long BytesReceived { get; }

    /// <summary>Messages that were dropped because a queue was full or its connection ended.</summary>
    long MessagesDropped { get; }

    /// <summary>Starts to listen, and to dial the peers. Once.</summary>
    /// <param name="events">Gets everything that happens.</param>
    /// <exception cref="TransportConfigurationException">The address is taken, malformed, or may not be used without TLS.</exception>
    void Start(ITransportEvents events);

    /// <summary>Replaces what this node says of itself in handshakes from now on; connections that exist stay.</summary>
    /// <param name="identity">The identity; its purpose is ignored.</param>
    void SetIdentity(Hello identity);

    /// <summary>Says whom to dial. Connections to nodes that are no longer listed are closed without an event; this node itself is left out.</summary>
    /// <param name="peers">All peers.</param>
    /// <exception cref="ArgumentException">An address is malformed.</exception>
    void SetPeers(IReadOnlyList<(NodeId Id, string Address)> peers);

    /// <summary>
    /// Sends a message, or queues it; never blocks. Each peer and channel has a bounded queue. Raft messages wait there for a connection too,
    /// and when the queue is full the *oldest* one is dropped (Raft sends again, and what is newest is worth most). Any other message is
    /// refused when there is no connection or no room, and is dropped with the connection that it waited for.
    /// </summary>
    /// <param name="to">A peer.</param>
    /// <param name="message">The message.</param>
    /// <returns>False when the message was not taken.</returns>
    /// <exception cref="ArgumentException">The message cannot be encoded: it is over the bound, or its entries do not fit its indexes.</exception>
    bool Send(NodeId to, PeerMessage message);

    /// <summary>Ends as if the process had died: sockets are reset, queued messages are lost, no more events come. For tests.</summary>
    void StopAbruptly();
}

/// <summary>
/// What a transport reports. The calls come from the transport's own threads, for different peers at the same time, and must not block:
/// they put an input on a queue. No call comes after <see cref="IDisposable.Dispose"/> or <see cref="IPeerTransport.StopAbruptly"/> returned
/// (unless it was made from within such a call).
/// </summary>
internal interface ITransportEvents
{
    /// <summary>Decides whether to talk to a node, before any message of it is read. Asked on both sides of every connection.</summary>
    /// <param name="remote">What it says of itself. The transport itself has checked the version, and on a dialled connection the node id.</param>
    HandshakeVerdict Validate(Hello remote);

    /// <summary>A message came in from a peer that was accepted.</summary>
    /// <param name="from">Who sent it; a Raft message's From and To were checked.</param>
    /// <param name="message">The message; its bytes belong to the receiver.</param>
    /// <param name="isLast">Whether nothing else of the connection has come: the calling thread would wait, and may do what the message asks for.</param>
    void OnMessage(NodeId from, PeerMessage message, bool isLast);

    /// <summary>The dialled connection to a peer is established: messages flow to it.</summary>
    /// <param name="peer">The peer.</param>
    void OnConnected(NodeId peer);

    /// <summary>
    /// An established connection to or from a peer has ended. When a process dies both do, so this comes up to twice for one death, and it may
    /// come after the <see cref="OnConnected"/> of the next connection.
    /// </summary>
    /// <param name="peer">The peer.</param>
    void OnDisconnected(NodeId peer);

    /// <summary>A request came in on a connection that was opened for requests.</summary>
    /// <param name="from">What the asking node says of itself.</param>
    /// <param name="request">The request.</param>
    /// <param name="reply">Takes the response, once, from any thread, without blocking. Nobody hears a response that comes too late.</param>
    void OnRequest(Hello from, NodeMessage request, Action<NodeMessage> reply);

    /// <summary>A peer dialled this node and was accepted; its address tells where to dial it.</summary>
    /// <param name="remote">What it says of itself.</param>
    void OnAccepted(Hello remote)
    {
    }

    /// <summary>A peer that this node dialled refused it, or was refused. The transport dials again, with back-off.</summary>
    /// <param name="peer">The peer that was dialled.</param>
    /// <param name="address">Its address.</param>
    /// <param name="reason">Why.</param>
    void OnRefused(NodeId peer, string address, string reason)
    {
    }
}
