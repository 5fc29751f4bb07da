using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Tests.Transport;

/// <summary>A transport on a loopback port that the system chose, with the events that it reports.</summary>
internal sealed class TestNode : IDisposable
{
    public const string Cluster = "0123456789abcdef0123456789abcdef";

    public TestNode(long id, string listen = "127.0.0.1:0", string cluster = Cluster, TransportOptions? options = null)
    {
        Id = new NodeId(id);
        Transport = new TcpPeerTransport((options ?? new TransportOptions()) with { ListenAddress = listen }, Identity(id, cluster));
    }

    public NodeId Id { get; }

    public RecordingEvents Events { get; } = new();

    public TcpPeerTransport Transport { get; }

    public string Address => Transport.BoundAddress;

    public static Hello Identity(long id, string cluster = Cluster) => new(cluster, new NodeId(id), $"{id:x32}", "");

    public static HeartbeatRequest Heartbeat(long from, long to, long sequence = 0) =>
        new(new NodeId(from), new NodeId(to), new Term(1), LogIndex.Zero, sequence, 0);

    public static AppendEntriesRequest Append(long from, long to, params ReadOnlyMemory<byte>[] payloads) =>
        new(new NodeId(from), new NodeId(to), new Term(3), new LogIndex(10), new Term(2), new LogIndex(11), new LogIndex(10 + payloads.Length), new LogIndex(9), 7, 8,
            [.. payloads.Select((payload, i) => new LogEntry(new LogIndex(11 + i), new Term(3), EntryKind.Application, payload))]);

    public TestNode Start()
    {
        Transport.Start(Events);
        return this;
    }

    public void Dial(params TestNode[] peers) => Transport.SetPeers([.. peers.Select(peer => (peer.Id, peer.Address))]);

    public bool Send(TestNode to, RaftMessage message) => Transport.Send(to.Id, new RaftPeerMessage(message));

    public void Dispose() => Transport.Dispose();

    /// <summary>Two nodes that are connected both ways.</summary>
    public static (TestNode First, TestNode Second) Pair(TransportOptions? options = null)
    {
        var first = new TestNode(1, options: options).Start();
        var second = new TestNode(2, options: options).Start();
        first.Dial(second);
        second.Dial(first);
        first.Events.Next<Connected>();
        second.Events.Next<Connected>();
        return (first, second);
    }
}
