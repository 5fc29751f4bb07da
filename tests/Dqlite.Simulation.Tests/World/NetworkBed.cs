using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Tests.World;

/// <summary>Nodes on a simulated network that know each other, and a record of all that happened, with times.</summary>
internal sealed class NetworkBed
{
    internal const long SecondNs = 1_000_000_000;
    internal const long MillisecondNs = 1_000_000;
    internal const string ClusterId = "0123456789abcdef0123456789abcdef";

    private readonly SeededRandom _random;

    internal NetworkBed(int nodes = 2, ulong seed = 1, NetworkOptions? options = null)
    {
        _random = new SeededRandom(seed);
        Network = new SimNetwork(Scheduler, _random.Stream("network"), options);
        for (var number = 1; number <= nodes; number++)
        {
            Nodes.Add(new Node(this, new Machine(number, _random)));
        }

        foreach (var node in Nodes)
        {
            node.StartTransport();
        }
    }

    internal Scheduler Scheduler { get; } = new();

    internal SimNetwork Network { get; }

    internal List<Node> Nodes { get; } = [];

    internal List<string> Record { get; } = [];

    internal Node this[int number] => Nodes[number - 1];

    internal void Run(long forNs)
    {
        var end = Scheduler.NowNs + forNs;
        while (Scheduler.Step(end))
        {
        }
    }

    /// <summary>Lines of the record that begin with a text, without their times.</summary>
    internal string[] Events(string prefix) =>
        [.. Record.Select(line => line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..]).Where(line => line.StartsWith(prefix, StringComparison.Ordinal))];

    internal static string AddressOf(int number) => $"node{number}:9000";

    internal static HeartbeatRequest Heartbeat(int from, int to, long sequence) =>
        new(new NodeId(from), new NodeId(to), new Term(1), LogIndex.Zero, sequence, 0);

    /// <summary>One node: its transport, and its record of events.</summary>
    internal sealed class Node(NetworkBed bed, Machine machine) : ITransportEvents
    {
        internal Machine Machine { get; } = machine;

        internal SimTransport Transport { get; private set; } = null!;

        internal Func<Hello, HandshakeVerdict> Verdict { get; set; } = _ => HandshakeVerdict.Accept;

        internal Func<NodeMessage, NodeMessage?> Answer { get; set; } = request => request;

        internal Action<PeerMessage>? OnReceived { get; set; }

        internal List<long> Received { get; } = [];

        internal Hello Identity => new(ClusterId, new NodeId(Machine.Number), ClusterId, AddressOf(Machine.Number));

        private string Name => $"{Machine.Number}";

        internal void StartTransport(TransportOptions? options = null)
        {
            if (Transport is null)
            {
                bed.Network.Add(Machine, AddressOf(Machine.Number));
            }

            Transport = bed.Network.CreateTransport(Machine, Identity, options);
            Transport.SetPeers([.. Enumerable.Range(1, 9).Where(number => number <= Math.Max(bed.Nodes.Count, 2)).Select(number => (new NodeId(number), AddressOf(number)))]);
            Transport.Start(this);
        }

        internal bool Send(int to, long sequence) => Transport.Send(new NodeId(to), new RaftPeerMessage(Heartbeat(Machine.Number, to, sequence)));

        public HandshakeVerdict Validate(Hello remote) => Verdict(remote);

        public void OnMessage(NodeId from, PeerMessage message, bool isLast)
        {
            if (message is RaftPeerMessage { Message: HeartbeatRequest heartbeat })
            {
                Received.Add(heartbeat.ReadSequence);
            }

            Add($"message {Name}<-{from} {Describe(message)}");
            OnReceived?.Invoke(message);
        }

        public void OnConnected(NodeId peer) => Add($"connected {Name}->{peer}");

        public void OnDisconnected(NodeId peer) => Add($"disconnected {Name}-{peer}");

        public void OnAccepted(Hello remote) => Add($"accepted {Name}<-{remote.NodeId}");

        public void OnRefused(NodeId peer, string address, string reason) => Add($"refused {Name}->{peer} {reason}");

        public void OnRequest(Hello from, NodeMessage request, Action<NodeMessage> reply)
        {
            Add($"request {Name}<-{from.NodeId}");
            if (Answer(request) is { } answer)
            {
                reply(answer);
            }
        }

        private static string Describe(PeerMessage message) => message switch
        {
            RaftPeerMessage { Message: HeartbeatRequest heartbeat } => $"{heartbeat.ReadSequence}",
            RaftPeerMessage { Message: var raft } => $"{raft.Kind}",
            NodeMessage node => $"node {node.Kind} {node.Body.Length}",
            StreamChunk chunk => $"chunk {chunk.Sequence} {chunk.Body.Length}",
            _ => "?",
        };

        private void Add(string text) => bed.Record.Add($"{bed.Scheduler.NowNs} {text}");
    }
}
