using Dqlite.Raft;
using Dqlite.Simulation.Tracing;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Drive;

/// <summary>All driven nodes, the network between them, and one clock.</summary>
internal sealed class DriveCluster
{
    /// <summary>Messages that one command delivers at most; more mean that the cluster never comes to rest.</summary>
    private const int MaxDeliveries = 1_000_000;

    private readonly SortedDictionary<NodeId, DriveNode> _nodes = [];
    private readonly Scheduler _clock = new();
    private readonly TraceWriter? _trace;
    private long _readNumber;

    /// <summary>An empty cluster.</summary>
    /// <param name="trace">Where the events of all cores go.</param>
    public DriveCluster(Stream? trace)
    {
        _trace = trace is null ? null : new TraceWriter(trace, () => NowNs);
        Advance(TickNs); // no message is ever sent at zero, which means "no echo"
    }

    public IEnumerable<DriveNode> Nodes => _nodes.Values;

    public DriveNetwork Network { get; } = new();

    public long NowNs => _clock.NowNs;

    /// <summary>How long a tick is for the lease, and for the times in a trace.</summary>
    public long TickNs { get; set; } = 10_000_000;

    /// <summary>Reads that were decided and not answered for yet.</summary>
    public List<(NodeId Node, ReadState Read)> Reads { get; } = [];

    public void Add(RaftOptions options, DriveDisk disk, LogIndex commit, bool autoProcess, PersistMode autoPersist) =>
        _nodes.Add(options.Id, new DriveNode(this, options, disk, commit, _trace?.Observe()) { AutoProcess = autoProcess, AutoPersist = autoPersist });

    public bool Contains(NodeId id) => _nodes.ContainsKey(id);

    public DriveNode Node(NodeId id) => _nodes.TryGetValue(id, out var node)
        ? node
        : throw new DriveException($"Node {id} is unknown; there are {(_nodes.Count == 0 ? "none" : string.Join(", ", _nodes.Keys))}.");

    /// <summary>The named nodes in ascending order, or all.</summary>
    public IReadOnlyList<DriveNode> Select(IReadOnlyList<NodeId>? ids) =>
        ids is null ? [.. _nodes.Values] : [.. ids.Order().Distinct().Select(Node)];

    public void Advance(long ns) => _clock.Step(_clock.NowNs + ns);

    /// <summary>One tick of time, which those nodes notice that are named and up.</summary>
    public void Tick(IReadOnlyList<DriveNode> nodes, bool mayCampaign)
    {
        Advance(TickNs);
        foreach (var node in nodes.Where(node => node.IsUp))
        {
            node.Core.CanCampaign = mayCampaign;
            node.Input(CoreInput.Other, (core, now, outputs) => core.Tick(now, outputs));
            node.Core.CanCampaign = true;
        }
    }

    /// <summary>A number for a read that got none.</summary>
    public long NextReadNumber() => ++_readNumber;

    public void OnRead(NodeId node, ReadState read) => Reads.Add((node, read));

    /// <summary>Hands a message over; returns false when it is lost because the receiver is down.</summary>
    /// <param name="flight">The message.</param>
    /// <param name="keep">Whether it stays under way, to arrive once more.</param>
    public bool TryDeliver(Flight flight, bool keep)
    {
        var node = Node(flight.Message.To);
        if (!keep)
        {
            Network.Remove(flight);
        }

        if (!node.IsUp)
        {
            OnLost(flight.Message);
            return false;
        }

        Receive(node, flight.Message);
        return true;
    }

    /// <summary>Puts a message under way, unless its link is cut.</summary>
    public void Send(DriveMessage message)
    {
        if (!Network.TrySend(message))
        {
            OnLost(message);
        }
    }

    /// <summary>Takes a message out of the network for good.</summary>
    public void Drop(Flight flight)
    {
        Network.Remove(flight);
        OnLost(flight.Message);
    }

    /// <summary>Processes these nodes and delivers what is under way to them until nothing is left to do.</summary>
    /// <returns>How many messages were delivered.</returns>
    public int Stabilize(IReadOnlyList<DriveNode> nodes, bool persist)
    {
        var count = 0;
        var isQuiet = false;
        while (!isQuiet)
        {
            isQuiet = true;
            foreach (var node in nodes)
            {
                var mode = persist ? PersistMode.Everything : node.AutoPersist;
                if (node.HasWork(mode))
                {
                    node.Process(mode);
                    isQuiet = false;
                }
            }

            foreach (var node in nodes)
            {
                foreach (var flight in Network.Flights.Where(flight => flight.Message.To == node.Id).ToArray())
                {
                    isQuiet = false;
                    TryDeliver(flight, keep: false);
                    if (++count > MaxDeliveries)
                    {
                        throw new DriveException($"The nodes are not at rest after {MaxDeliveries} messages.");
                    }
                }
            }
        }

        return count;
    }

    /// <summary>Hands the trace to its file.</summary>
    public void FlushTrace() => _trace?.Flush();

    /// <summary>A stream that breaks off fails at its sender, which sees the end of the connection; other messages are just lost.</summary>
    private void OnLost(DriveMessage message)
    {
        switch (message)
        {
            case DriveMessage.InstallSnapshot stream:
                EndStream(stream.From, stream.To, success: false, stream.Snapshot.Index);
                break;
            case DriveMessage.InstallSnapshotResponse response:
                EndStream(response.To, response.From, success: false, response.Index);
                break;
            default:
                break;
        }
    }

    private void Receive(DriveNode node, DriveMessage message)
    {
        switch (message)
        {
            case DriveMessage.Raft { Message: var raft }:
                node.Input(CoreInput.Message(raft), (core, now, outputs) => core.Receive(raft, now, outputs));
                break;
            case DriveMessage.InstallSnapshot stream:
                node.Install(stream);
                Send(new DriveMessage.InstallSnapshotResponse(node.Id, stream.From, stream.Snapshot.Index));
                break;
            case DriveMessage.InstallSnapshotResponse response:
                EndStream(node.Id, response.From, success: true, response.Index);
                break;
            default:
                throw new ArgumentException($"{message.GetType()} cannot be received.", nameof(message));
        }
    }

    private void EndStream(NodeId sender, NodeId receiver, bool success, LogIndex index)
    {
        if (Node(sender) is { IsUp: true } node)
        {
            node.Input(CoreInput.Other, (core, now, outputs) => core.SnapshotSent(receiver, success, index, now, outputs));
        }
    }
}
