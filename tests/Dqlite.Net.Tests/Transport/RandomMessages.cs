using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Tests.Transport;

/// <summary>Messages for tests: one of every kind, with numbers of every size.</summary>
internal static class RandomMessages
{
    public const int KindCount = 13;

    public static PeerMessage Next(Random random, int kind)
    {
        NodeId from = new(Number(random)), to = new(Number(random));
        Term term = new(Number(random)), other = new(Number(random));
        LogIndex index = new(Number(random)), second = new(Number(random));
        var flag = random.Next(2) == 0;
        long sequence = random.NextInt64(long.MinValue, long.MaxValue), sentAt = random.NextInt64();
        return kind switch
        {
            0 => new NodeMessage((byte)random.Next(256), sequence, Bytes(random)),
            1 => new PreVoteRequest(from, to, term, index, other).Wrap(),
            2 => new PreVoteResponse(from, to, term, other, flag).Wrap(),
            3 => new VoteRequest(from, to, term, index, other, flag).Wrap(),
            4 => new VoteResponse(from, to, term, flag).Wrap(),
            5 => Append(random, from, to, term, index, other, second).Wrap(),
            6 => new AppendEntriesResponse(from, to, term, flag, index, second, other, new LogIndex(Number(random)), sequence, sentAt).Wrap(),
            7 => new HeartbeatRequest(from, to, term, index, sequence, sentAt).Wrap(),
            8 => new HeartbeatResponse(from, to, term, sequence, sentAt).Wrap(),
            9 => new TimeoutNow(from, to, term, index).Wrap(),
            10 => new ReadIndexRequest(from, to, term, sequence).Wrap(),
            11 => new ReadIndexResponse(from, to, term, sequence, flag, index).Wrap(),
            _ => new StreamChunk(sequence, sentAt, (byte)random.Next(256), Bytes(random)),
        };
    }

    /// <summary>All of a message as text: records compare payloads by reference.</summary>
    public static string Describe(PeerMessage message) => message switch
    {
        NodeMessage node => $"{node.Kind} {node.RequestId} {Convert.ToHexString(node.Body.Span)}",
        StreamChunk chunk => $"{chunk.StreamId} {chunk.Sequence} {chunk.Kind} {Convert.ToHexString(chunk.Body.Span)}",
        RaftPeerMessage { Message: AppendEntriesRequest append } => append with { Entries = [] } + string.Concat(append.Entries.Select(entry =>
            $" {entry.Index} {entry.Term} {entry.Kind} {Convert.ToHexString(entry.Payload.Span)}")),
        _ => message.ToString(),
    };

    /// <summary>What the codec would put on the wire.</summary>
    public static (byte[] Header, byte[] Payload) Encode(PeerMessage message)
    {
        var outgoing = PeerMessageCodec.Encode(message, int.MaxValue);
        var bytes = new List<byte>();
        while (!outgoing.IsDone)
        {
            var piece = outgoing.Next();
            bytes.AddRange(piece.Span);
            outgoing.Advance(piece.Length);
        }

        return ([.. bytes[..outgoing.HeaderBytes]], [.. bytes[outgoing.HeaderBytes..]]);
    }

    public static RaftPeerMessage Wrap(this RaftMessage message) => new(message);

    private static AppendEntriesRequest Append(Random random, NodeId from, NodeId to, Term term, LogIndex prev, Term prevTerm, LogIndex commit)
    {
        var entries = Enumerable.Range(0, random.Next(6)).Select(i =>
            new LogEntry(new LogIndex(prev.Value + 1 + i), new Term(Number(random)), (EntryKind)random.Next(1, 4), Bytes(random))).ToArray();
        return new AppendEntriesRequest(from, to, term, prev, prevTerm, prev.Next, new LogIndex(prev.Value + entries.Length), commit,
            random.NextInt64(), random.NextInt64(), entries);
    }

    private static long Number(Random random) => random.NextInt64(long.MaxValue / 2) >> random.Next(62);

    private static byte[] Bytes(Random random)
    {
        var bytes = new byte[random.Next(4) == 0 ? 0 : random.Next(200)];
        random.NextBytes(bytes);
        return bytes;
    }
}
