using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>A peer message as bytes, and the comparison of two.</summary>
internal static class MessageBytes
{
    /// <summary>Bound of a message, as in production.</summary>
    public static readonly int MaxBytes = new TransportOptions().MaxMessageBytes;

    /// <summary>What would travel: the header, and what follows it.</summary>
    public static (byte[] Header, byte[] Payload) Encode(PeerMessage message)
    {
        var outgoing = PeerMessageCodec.Encode(message, MaxBytes);
        var bytes = new List<byte>();
        while (!outgoing.IsDone)
        {
            var piece = outgoing.Next();
            bytes.AddRange(piece.Span);
            outgoing.Advance(piece.Length);
        }

        return ([.. bytes[..outgoing.HeaderBytes]], [.. bytes[outgoing.HeaderBytes..]]);
    }

    /// <summary>Encodes and decodes a message that was accepted: an equal one must come back.</summary>
    public static void RequireRoundTrip(PeerMessage message)
    {
        var (header, payload) = Encode(message);
        var again = PeerMessageCodec.Decode(header, payload);
        if (!AreEqual(message, again))
        {
            throw new FuzzFindException($"{again} came back where {message} was sent");
        }
    }

    /// <summary>Records compare byte strings and lists by reference.</summary>
    public static bool AreEqual(PeerMessage left, PeerMessage right) => (left, right) switch
    {
        (NodeMessage a, NodeMessage b) => a with { Body = default } == b with { Body = default } && SameBytes(a.Body, b.Body),
        (StreamChunk a, StreamChunk b) => a with { Body = default } == b with { Body = default } && SameBytes(a.Body, b.Body),
        (RaftPeerMessage { Message: AppendEntriesRequest a }, RaftPeerMessage { Message: AppendEntriesRequest b }) =>
            a with { Entries = [] } == b with { Entries = [] } && a.Entries.Count == b.Entries.Count && a.Entries.Zip(b.Entries).All(pair => AreEqual(pair.First, pair.Second)),
        _ => left == right,
    };

    /// <summary>Two entries, payloads included.</summary>
    public static bool AreEqual(LogEntry left, LogEntry right) => left with { Payload = default } == right with { Payload = default } && SameBytes(left.Payload, right.Payload);

    private static bool SameBytes(ReadOnlyMemory<byte> left, ReadOnlyMemory<byte> right) => left.Span.SequenceEqual(right.Span);
}
