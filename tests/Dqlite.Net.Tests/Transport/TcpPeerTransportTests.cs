using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Tests.Transport;

[TestFixture]
public sealed class TcpPeerTransportTests
{
    [Test]
    public void Two_nodes_exchange_messages_of_every_channel()
    {
        var (first, second) = TestNode.Pair();
        using var _ = first;
        using var __ = second;
        var payload = new byte[300_000];
        new Random(1).NextBytes(payload);

        Assert.That(first.Send(second, TestNode.Heartbeat(1, 2, 42)), Is.True);
        Assert.That(first.Send(second, TestNode.Append(1, 2, payload, payload.AsMemory(0, 17))), Is.True);
        Assert.That(first.Transport.Send(second.Id, new NodeMessage(3, 4, payload.AsMemory(0, 100))), Is.True);
        Assert.That(first.Transport.Send(second.Id, new StreamChunk(5, 6, 7, payload)), Is.True);
        Assert.That(second.Send(first, TestNode.Heartbeat(2, 1, 43)), Is.True);

        Assert.That(second.Events.Next<Received>(item => item.Message is RaftPeerMessage { Message: HeartbeatRequest }),
            Is.EqualTo(new Received(first.Id, new RaftPeerMessage(TestNode.Heartbeat(1, 2, 42)))));
        var append = (AppendEntriesRequest)second.Events.Next<Received>(item => item.Message is RaftPeerMessage).Message.Raft();
        Assert.That(append.Entries[0].Payload.ToArray(), Is.EqualTo(payload));
        Assert.That(append.Entries[1].Payload.ToArray(), Is.EqualTo(payload[..17]));
        var node = (NodeMessage)second.Events.Next<Received>(item => item.Message is NodeMessage).Message;
        Assert.That((node.Kind, node.RequestId, node.Body.Length), Is.EqualTo(((byte)3, 4L, 100)));
        var chunk = (StreamChunk)second.Events.Next<Received>(item => item.Message is StreamChunk).Message;
        Assert.That((chunk.StreamId, chunk.Sequence, chunk.Kind), Is.EqualTo((5L, 6L, (byte)7)));
        Assert.That(chunk.Body.ToArray(), Is.EqualTo(payload));
        Assert.That(first.Events.Next<Received>().From, Is.EqualTo(second.Id));
        Assert.That(first.Transport.BytesSent, Is.GreaterThan(600_000));
        Assert.That(second.Transport.BytesReceived, Is.GreaterThan(600_000));
    }
}

internal static class PeerMessageExtensions
{
    public static RaftMessage Raft(this PeerMessage message) => ((RaftPeerMessage)message).Message;
}
