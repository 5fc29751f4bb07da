using Dqlite.Raft;

namespace Dqlite.Net.Transport;

/// <summary>
/// What travels between two nodes. Immutable, and so are the bytes it refers to: the transport reads them on another thread, some time
/// after <see cref="IPeerTransport.Send"/> returned. A received message owns its bytes: they are never reused.
/// </summary>
internal abstract record PeerMessage;

/// <summary>A message of the Raft core. An <see cref="AppendEntriesRequest"/> must carry its entries.</summary>
/// <param name="Message">The message.</param>
internal sealed record RaftPeerMessage(RaftMessage Message) : PeerMessage;

/// <summary>A request or a response between nodes; the transport knows nothing of the bodies.</summary>
/// <param name="Kind">What the body is.</param>
/// <param name="RequestId">Chosen by who asks, echoed by who answers.</param>
/// <param name="Body">The body.</param>
internal sealed record NodeMessage(byte Kind, long RequestId, ReadOnlyMemory<byte> Body) : PeerMessage;

/// <summary>A piece of a snapshot stream. Chunks of one sender arrive in the order in which they were sent, or the connection ends.</summary>
/// <param name="StreamId">Which stream.</param>
/// <param name="Sequence">Which piece.</param>
/// <param name="Kind">What the body is.</param>
/// <param name="Body">The body.</param>
internal sealed record StreamChunk(long StreamId, long Sequence, byte Kind, ReadOnlyMemory<byte> Body) : PeerMessage;
