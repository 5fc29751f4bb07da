using Dqlite.Net;
using Dqlite.Net.Engine;
using Dqlite.Raft;
using Dqlite.Simulation.Running;
using Dqlite.Simulation.Tracing;
using Dqlite.Simulation.Workload;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;
using Microsoft.Extensions.Logging;

namespace Dqlite.Simulation.Cluster;

/// <summary>A whole cluster in one thread: its machines, its network, and what watches them.</summary>
internal sealed class SimCluster
{
    private readonly List<SimNode> _nodes = [];

    public SimCluster(SimShape shape, SeededRandom random, ITier tier, EventLog log, Scheduler scheduler)
    {
        Shape = shape;
        Random = random;
        Tier = tier;
        Log = log;
        Scheduler = scheduler;
        Network = new SimNetwork(scheduler, random.Stream("network"), new NetworkOptions
        {
            Link = new LinkSettings { BaseDelayNs = shape.LinkDelayNs, JitterNs = 2 * shape.LinkDelayNs, LossChance = shape.LossChance },
            SilentPowerCutChance = shape.SilentPowerCutChance,
        });
        Waits = new Waits(scheduler, random.Stream("waits"));
        Invariants = new Invariants(this);
        Network.Sent = Invariants.OnSent;
        var members = Enumerable.Range(1, shape.Voters).Select(SimNode.AddressOf).ToArray();
        for (var number = 1; number <= shape.Voters; number++)
        {
            _nodes.Add(new SimNode(this, number, members));
        }
    }

    public SimShape Shape { get; }

    public SeededRandom Random { get; }

    public ITier Tier { get; }

    public EventLog Log { get; }

    public Scheduler Scheduler { get; }

    public SimNetwork Network { get; }

    public Waits Waits { get; }

    public Invariants Invariants { get; }

    /// <summary>Takes the trace, or null.</summary>
    public TraceWriter? Trace { get; init; }

    /// <summary>Where the nodes' own log goes, or null.</summary>
    public Func<SimNode, ILogger>? Loggers { get; set; }

    /// <summary>All that ever were, by number from 1.</summary>
    public IReadOnlyList<SimNode> Nodes => _nodes;

    /// <summary>Nodes that run as members.</summary>
    public IEnumerable<SimNode> Running => _nodes.Where(node => node.Node is not null);

    /// <summary>The running leader of the highest term, or null.</summary>
    public SimNode? Leader => Running.Where(node => node.Node!.Core.Role == RaftRole.Leader).MaxBy(node => node.Node!.Core.CurrentTerm.Value);

    /// <summary>A node by its id in the cluster, or null.</summary>
    public SimNode? Find(NodeId id) => _nodes.Find(node => node.Node?.Core.Id == id);

    /// <summary>Called in an event of its own as soon as a node leads a term that had no leader; then forgotten.</summary>
    public List<Action> AtNextLeader { get; } = [];

    /// <summary>As <see cref="AtNextLeader"/>, when a node begins to stream a snapshot to another one.</summary>
    public List<Action<SimNode, SimNode>> AtNextSnapshot { get; } = [];

    /// <summary>Whether time goes on in the middle of a node's step.</summary>
    public bool IsInNestedTime { get; private set; }

    /// <summary>The node whose code runs now, or null.</summary>
    public SimNode? Current { get; private set; }

    /// <summary>What follows, until the result is disposed, runs on a node.</summary>
    public IDisposable Enter(SimNode node)
    {
        var entered = new Entered(this, Current);
        Current = node;
        return entered;
    }

    /// <summary>Lets the world go on while a client waits inside SQLite.</summary>
    public void RunNestedUntil(Func<bool> isDone) => RunNestedUntil(isDone, Scheduler.NowNs + (30 * SimShape.Second));

    /// <summary>Lets the world go on until something is done, or time has passed: false then.</summary>
    public bool RunNestedUntil(Func<bool> isDone, long untilNs)
    {
        var (wasNested, current) = (IsInNestedTime, Current);
        (IsInNestedTime, Current) = (true, null);
        while (!isDone() && Invariants.Failure is null && Scheduler.Step(untilNs))
        {
        }

        (IsInNestedTime, Current) = (wasNested, current);
        return isDone();
    }

    /// <summary>Another machine, blank.</summary>
    public SimNode AddNode()
    {
        var node = new SimNode(this, _nodes.Count + 1, []);
        _nodes.Add(node);
        node.Start();
        return node;
    }

    public void Start() => _nodes.ForEach(node => node.Start());

    /// <summary>Ends everything, to free what is not managed.</summary>
    public void End()
    {
        foreach (var node in _nodes)
        {
            node.Machine.Kill();
            node.CleanUp();
        }
    }

    public DqliteNodeOptions OptionsOf(SimNode node, IReadOnlyList<string> members) => new()
    {
        DataDirectory = node.Disk.Root + "/data",
        Address = node.Address,
        Members = members,
        TickInterval = Span(Shape.TickNs),
        ElectionTimeout = Span(Shape.ElectionTimeoutNs),
        HeartbeatInterval = Span(Shape.HeartbeatNs),
        LeaseDuration = Span(Shape.LeaseNs),
        SegmentBytes = Shape.SegmentBytes,
        CheckpointLogBytes = Shape.CheckpointLogBytes,
        RetainedLogBytes = Shape.RetainedLogBytes,
        LogCacheBytes = Shape.LogCacheBytes,
        MaxPipelinedEntries = Shape.MaxPipelinedEntries,
        MaxAppendBytes = Shape.MaxAppendBytes,
        MaxEntryBytes = Shape.MaxEntryBytes,
        SpillBytes = Shape.SpillBytes,
        MaxTransactionBytes = 4 << 20,
        MaxWriteTransactionHold = TimeSpan.FromSeconds(2),
        PlainWriterTimeout = TimeSpan.FromSeconds(2),
        PlainCommitTimeout = TimeSpan.FromSeconds(3),
    };

    public IPageStoreFactory StoresOf(SimNode node) => Tier.StoresOf(node.Machine, node.Disk);

    public ILogger LoggerOf(SimNode node) => Loggers?.Invoke(node) ?? Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance;

    public Dqlite.Net.Engine.ICoreObserver ObserverOf(SimNode node) => new NodeObserver(this, node, Trace?.Observe());

    /// <summary>A term has its leader.</summary>
    public void OnLeader()
    {
        AtNextLeader.ForEach(action => Scheduler.After(0, action));
        AtNextLeader.Clear();
    }

    /// <summary>A snapshot is on its way.</summary>
    public void OnSnapshotSending(SimNode from, NodeId to)
    {
        if (Find(to) is { } receiver)
        {
            AtNextSnapshot.ForEach(action => Scheduler.After(0, () => action(from, receiver)));
            AtNextSnapshot.Clear();
        }
    }

    /// <summary>After a step of any of the node's workers.</summary>
    public void AfterStep(SimNode node)
    {
        if (node.Node is not null && node.Machine.IsUp)
        {
            Invariants.OnStep(node);
        }

        Waits.Look();
        node.OnEnded();
    }

    public void OnAttached(SimNode node)
    {
        Invariants.OnStarted(node);
        (node.Node!.Observer as NodeObserver)?.OnStart();
    }

    /// <summary>A node could not start, or may not become a member.</summary>
    public void OnRefused(SimNode node, Exception exception)
    {
        Log.Say($"node {node.Number} does not start: {exception.GetType().Name}: {exception.Message}");
        Invariants.OnRefused(node, exception);
    }

    private sealed class Entered(SimCluster cluster, SimNode? before) : IDisposable
    {
        public void Dispose() => cluster.Current = before;
    }

    private static TimeSpan Span(long ns) => TimeSpan.FromTicks(ns / 100);
}
