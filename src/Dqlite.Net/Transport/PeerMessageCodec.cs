using System.Buffers;
using Dqlite.Raft;

namespace Dqlite.Net.Transport;

/// <summary>Turns a <see cref="PeerMessage"/> into a MessagePack header and a payload of raw bytes behind it, and back.
/// docs/formats/peer.md lists the fields.</summary>
internal static class PeerMessageCodec
{
    /// <summary>Largest header; <see cref="RaftMessageCodec.MaxEntries"/> entries fit.</summary>
    public const int MaxHeaderBytes = 1 << 20;

    /// <summary>A node message with a larger body travels on the stream channel.</summary>
    public const int MaxRpcBodyBytes = 64 << 10;

    private const byte RaftTag = 1;
    private const byte NodeTag = 2;
    private const byte StreamTag = 3;

    /// <summary>Encodes a message for sending. The payload is referred to, not copied.</summary>
    /// <param name="message">The message.</param>
    /// <param name="maxMessageBytes">Largest message that may be sent.</param>
    /// <exception cref="ArgumentException">It is over the bound, or inconsistent.</exception>
    public static OutgoingMessage Encode(PeerMessage message, int maxMessageBytes)
    {
        ArgumentNullException.ThrowIfNull(message);
        var header = new ArrayBufferWriter<byte>(64);
        var writer = new MessagePackWriter(header);
        OutgoingMessage outgoing;
        switch (message)
        {
            case RaftPeerMessage { Message: var raft }:
                writer.WriteArrayHeader(2);
                writer.Write(RaftTag);
                RaftMessageCodec.Write(ref writer, raft);
                var entries = raft is AppendEntriesRequest append ? append.Entries : [];
                outgoing = new OutgoingMessage(raft is AppendEntriesRequest ? Channel.Log : Channel.Control, header.WrittenMemory, entries);
                break;
            case NodeMessage node:
                writer.WriteArrayHeader(3);
                writer.Write(NodeTag);
                writer.Write(node.Kind);
                writer.Write(node.RequestId);
                outgoing = new OutgoingMessage(node.Body.Length > MaxRpcBodyBytes ? Channel.Stream : Channel.Rpc, header.WrittenMemory, node.Body);
                break;
            case StreamChunk chunk:
                writer.WriteArrayHeader(4);
                writer.Write(StreamTag);
                writer.Write(chunk.StreamId);
                writer.Write(chunk.Sequence);
                writer.Write(chunk.Kind);
                outgoing = new OutgoingMessage(Channel.Stream, header.WrittenMemory, chunk.Body);
                break;
            default:
                throw new ArgumentException($"{message.GetType()} does not travel.", nameof(message));
        }

        return outgoing.LengthBytes <= maxMessageBytes && header.WrittenCount <= MaxHeaderBytes
            ? outgoing
            : throw new ArgumentException($"A message of {outgoing.LengthBytes} bytes is over the bound of {maxMessageBytes}.", nameof(message));
    }

    /// <summary>Decodes a message.</summary>
    /// <param name="header">Its header.</param>
    /// <param name="payload">Its payload; the result refers to it.</param>
    /// <exception cref="MessagePackSerializationException">It is not a message.</exception>
    public static PeerMessage Decode(ReadOnlyMemory<byte> header, ReadOnlyMemory<byte> payload)
    {
        var reader = new MessagePackReader(header);
        var fieldCount = reader.ReadArrayHeader();
        var tag = fieldCount > 0 ? reader.ReadByte() : (byte)0;
        PeerMessage message = (tag, fieldCount) switch
        {
            (RaftTag, 2) => new RaftPeerMessage(RaftMessageCodec.Read(ref reader, payload)),
            (NodeTag, 3) => new NodeMessage(reader.ReadByte(), reader.ReadInt64(), payload),
            (StreamTag, 4) => new StreamChunk(reader.ReadInt64(), reader.ReadInt64(), reader.ReadByte(), payload),
            _ => throw new MessagePackSerializationException($"A message with tag {tag} and {fieldCount} fields does not exist."),
        };
        return reader.End ? message : throw new MessagePackSerializationException("Something follows the message's header.");
    }
}
