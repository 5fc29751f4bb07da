using Dqlite.Raft;

namespace Dqlite.Raft.Tests.Harness;

/// <summary>What a simulated network and its disks do. Times in nanoseconds.</summary>
public sealed record SimulationOptions
{
    public int Voters { get; init; } = 3;

    public int NonVoters { get; init; }

    /// <summary>Blank nodes that belong to no membership yet.</summary>
    public int Spares { get; init; }

    public ulong Seed { get; init; }

    public long TickNs { get; init; } = 10_000_000;

    public long MinLatencyNs { get; init; } = 200_000;

    public long MaxLatencyNs { get; init; } = 600_000;

    /// <summary>Disk writes take up to this; zero: they end in the step that asked for them.</summary>
    public long MaxDiskNs { get; init; }

    /// <summary>Out of 1000 messages.</summary>
    public int DropPerMille { get; init; }

    /// <summary>Out of 1000 messages; the copy takes its own time.</summary>
    public int DuplicatePerMille { get; init; }

    /// <summary>Out of 1000 messages; these take up to 100 times as long, so that later ones overtake them.</summary>
    public int StragglerPerMille { get; init; }

    /// <summary>Clocks run fast or slow by up to this share.</summary>
    public double ClockDrift { get; init; }

    public RaftOptions Raft { get; init; } = new() { Id = new NodeId(1) };
}

/// <summary>
/// A deterministic cluster in simulated time: one event queue, one seed. Every node has its own clock; messages of a link may overtake
/// each other; writes take time. <see cref="SafetyChecker"/> looks at every step.
/// </summary>
public sealed class Simulation
{
    private readonly PriorityQueue<Action, (long At, long Sequence)> _events = new();
    private readonly SimulationOptions _options;
    private readonly Random _random;
    private readonly HashSet<(NodeId From, NodeId To)> _blocked = [];
    private readonly SortedDictionary<NodeId, VirtualNode> _nodes = [];
    private readonly Dictionary<NodeId, (double Rate, long OffsetNs)> _clocks = [];
    private readonly Dictionary<NodeId, int> _runs = [];
    private readonly Dictionary<NodeId, List<Action>> _paused = [];
    private readonly HashSet<NodeId> _writing = [];
    private readonly Dictionary<(NodeId Node, long RequestId), LogIndex> _reads = [];
    private long _sequence;
    private long _nextRequestId;

    public Simulation(SimulationOptions options)
    {
        _options = options;
        _random = new Random((int)(options.Seed ^ (options.Seed >> 32)));
        var members = Enumerable.Range(1, options.Voters + options.NonVoters)
            .Select(i => Member(i, i <= options.Voters ? MemberRole.Voter : MemberRole.NonVoter));
        var configuration = new ClusterConfiguration(members);
        for (var i = 1; i <= options.Voters + options.NonVoters + options.Spares; i++)
        {
            var id = new NodeId(i);
            var known = i <= options.Voters + options.NonVoters ? configuration : ClusterConfiguration.Empty;
            _clocks[id] = (1 + ((_random.NextDouble() - 0.5) * options.ClockDrift), _random.NextInt64(1_000_000_000));
            _nodes[id] = new VirtualNode(id, known, options.Raft with { Seed = options.Seed }, Checker) { IsDiskInstant = options.MaxDiskNs == 0 };
            Checker.Nodes.Add(_nodes[id]);
            _runs[id] = 0;
            ScheduleTick(id, 0);
        }
    }

    public SafetyChecker Checker { get; } = new();

    public long NowNs { get; private set; }

    public IEnumerable<VirtualNode> Nodes => _nodes.Values;

    public int EventCount { get; private set; }

    public int ReadCount { get; private set; }

    public long Messages { get; private set; }

    /// <summary>The up node that leads the highest term, or null.</summary>
    public VirtualNode? Leader => _nodes.Values.Where(node => node.IsUp && node.Core.Role == RaftRole.Leader).MaxBy(node => node.Core.CurrentTerm);

    public VirtualNode this[int id] => _nodes[new NodeId(id)];

    public static ClusterMember Member(int id, MemberRole role) => new(new NodeId(id), $"node{id}:1", $"{id:x32}", role);

    public void RunFor(long ns) => RunUntil(() => false, ns);

    /// <summary>Runs until the condition holds; returns whether it did within the time.</summary>
    public bool RunUntil(Func<bool> condition, long withinNs)
    {
        var end = NowNs + withinNs;
        while (!condition())
        {
            if (!_events.TryPeek(out _, out var next) || next.At > end)
            {
                NowNs = end;
                return condition();
            }

            _events.TryDequeue(out var action, out next);
            NowNs = next.At;
            EventCount++;
            action!();
        }

        return true;
    }

    public VirtualNode Elect(long withinNs = 10_000_000_000)
    {
        var isElected = RunUntil(() => Leader is { Core.IsTermCommitted: true }, withinNs);
        return isElected ? Leader! : throw new SafetyViolationException($"no leader within {withinNs / 1_000_000} ms");
    }

    /// <summary>Runs one input of a node at its own time, unless it is down; a paused one gets it when it goes on.</summary>
    public void Input(VirtualNode node, Action<RaftCore, long, RaftOutputs> input)
    {
        if (!node.IsUp)
        {
            return;
        }

        if (_paused.TryGetValue(node.Id, out var waiting))
        {
            var run = _runs[node.Id];
            waiting.Add(() => { if (_runs[node.Id] == run) { Input(node, input); } });
            return;
        }

        Refresh(node);
        Checker.CheckLease(node);
        node.Step(input);
        Flush(node);
    }

    public ProposalResult Propose(VirtualNode node, string text)
    {
        var result = default(ProposalResult);
        Input(node, (core, now, outputs) =>
            result = core.Propose(core.CurrentTerm, System.Text.Encoding.UTF8.GetBytes(text), now, outputs));
        return result;
    }

    public void Read(VirtualNode node)
    {
        var requestId = ++_nextRequestId;
        _reads[(node.Id, requestId)] = Checker.Acknowledged;
        Input(node, (core, now, outputs) => core.Read(requestId, now, outputs));
    }

    public void Crash(VirtualNode node)
    {
        if (!node.IsUp)
        {
            return;
        }

        node.Crash();
        _runs[node.Id]++;
        _paused.Remove(node.Id);
        _writing.Remove(node.Id);
    }

    /// <summary>The process ends and its sockets close: every peer sees it.</summary>
    public void CrashVisibly(VirtualNode node)
    {
        Crash(node);
        foreach (var other in _nodes.Values.Where(other => other.Id != node.Id))
        {
            Schedule(Latency(), () => Input(other, (core, now, outputs) => core.PeerDisconnected(node.Id, now, outputs)));
        }
    }

    public void Restart(VirtualNode node)
    {
        if (node.IsUp)
        {
            return;
        }

        Refresh(node);
        node.Start();
        ScheduleTick(node.Id, _runs[node.Id]);
    }

    /// <summary>Stops a process without closing anything (SIGSTOP); its clock runs on.</summary>
    public void Pause(VirtualNode node) => _paused.TryAdd(node.Id, []);

    public void Resume(VirtualNode node)
    {
        if (_paused.Remove(node.Id, out var waiting))
        {
            // The first thing after a stop may be a read by the lease.
            Refresh(node);
            Checker.CheckLease(node);
            waiting.ForEach(action => action());
        }
    }

    public bool IsPaused(VirtualNode node) => _paused.ContainsKey(node.Id);

    public void Block(NodeId from, NodeId to) => _blocked.Add((from, to));

    public void Isolate(VirtualNode node) => Partition([node.Id]);

    /// <summary>Cuts all links between these nodes and the others.</summary>
    public void Partition(IReadOnlyCollection<NodeId> side)
    {
        foreach (var from in _nodes.Keys)
        {
            foreach (var to in _nodes.Keys.Where(to => side.Contains(from) != side.Contains(to)))
            {
                _blocked.Add((from, to));
            }
        }
    }

    public void Heal() => _blocked.Clear();

    public void Disconnect(NodeId a, NodeId b)
    {
        Input(_nodes[a], (core, now, outputs) => core.PeerDisconnected(b, now, outputs));
        Input(_nodes[b], (core, now, outputs) => core.PeerDisconnected(a, now, outputs));
    }

    public void Compact(VirtualNode node, LogIndex upTo)
    {
        Refresh(node);
        if (node.IsUp && upTo >= node.Core.FirstIndex)
        {
            node.Compact(upTo);
            Flush(node);
        }
    }

    public void Schedule(long delayNs, Action action) => _events.Enqueue(action, (NowNs + delayNs, _sequence++));

    private void ScheduleTick(NodeId id, int run)
    {
        var node = _nodes[id];
        Schedule((long)(_options.TickNs / _clocks[id].Rate), () =>
        {
            if (_runs[id] != run)
            {
                return;
            }

            if (!IsPaused(node))
            {
                Input(node, Tick);
            }

            ScheduleTick(id, run);
        });
    }

    private static void Tick(RaftCore core, long nowNs, RaftOutputs outputs)
    {
        var isQuiet = core.QuietTicks > 0;
        core.Tick(nowNs, outputs);
        Assert.That(!isQuiet || outputs.IsEmpty, "a tick that was announced as quiet only counts");
    }

    private void Refresh(VirtualNode node)
    {
        var (rate, offset) = _clocks[node.Id];
        node.NowNs = offset + (long)(NowNs * rate);
    }

    private void Flush(VirtualNode node)
    {
        foreach (var message in node.Outbox)
        {
            Transmit(message);
        }

        node.Outbox.Clear();
        ScheduleWrite(node);
        StreamSnapshots(node);
        CheckReads(node);
        Checker.CheckLease(node);
    }

    private void Transmit(RaftMessage message)
    {
        Messages++;
        if (_blocked.Contains((message.From, message.To)) || _random.Next(1000) < _options.DropPerMille || !_nodes.ContainsKey(message.To))
        {
            return;
        }

        Schedule(Latency(), () => Deliver(message));
        if (_random.Next(1000) < _options.DuplicatePerMille)
        {
            Schedule(Latency(), () => Deliver(message));
        }
    }

    private void Deliver(RaftMessage message)
    {
        if (!_blocked.Contains((message.From, message.To)))
        {
            Input(_nodes[message.To], (core, now, outputs) => core.Receive(message, now, outputs));
        }
    }

    private long Latency()
    {
        var latency = _random.NextInt64(_options.MinLatencyNs, _options.MaxLatencyNs + 1);
        return _random.Next(1000) < _options.StragglerPerMille ? latency * _random.Next(2, 100) : latency;
    }

    private void ScheduleWrite(VirtualNode node)
    {
        if (node.DiskQueue.Count == 0 || !_writing.Add(node.Id))
        {
            return;
        }

        var run = _runs[node.Id];
        Schedule(_random.NextInt64(_options.MaxDiskNs + 1), () =>
        {
            if (_runs[node.Id] != run)
            {
                return;
            }

            _writing.Remove(node.Id);
            if (node.DiskQueue.Count > 0)
            {
                // The disk goes on while the process is stopped; the report waits. Harmless to model as one late step.
                Refresh(node);
                node.CompleteWrite();
                Flush(node);
            }
        });
    }

    private void StreamSnapshots(VirtualNode leader)
    {
        foreach (var target in leader.SnapshotsNeeded)
        {
            var core = leader.Core;
            var index = leader.Applied;
            var term = core.TermAt(index)!.Value;
            var (configuration, configurationIndex) = leader.AppliedConfiguration;
            var starts = core.TermStarts.ToArray();
            var run = _runs[leader.Id];
            Schedule(Latency() * 20, () =>
            {
                var isLost = _blocked.Contains((leader.Id, target)) || !_nodes[target].IsUp || IsPaused(_nodes[target]);
                if (!isLost)
                {
                    var node = _nodes[target];
                    Refresh(node);
                    node.Install(index, term, configuration, configurationIndex, starts);
                    Flush(node);
                }

                if (_runs[leader.Id] == run)
                {
                    Input(leader, (core2, now, outputs) => core2.SnapshotSent(target, !isLost, index, now, outputs));
                }
            });
        }

        leader.SnapshotsNeeded.Clear();
    }

    private void CheckReads(VirtualNode node)
    {
        foreach (var read in node.Reads)
        {
            if (_reads.Remove((node.Id, read.RequestId), out var acknowledged) && read.Success)
            {
                ReadCount++;
                if (read.Index < acknowledged)
                {
                    throw new SafetyViolationException(
                        $"stale read: node {node.Id} reads at {read.Index}, {acknowledged} was acknowledged when the read began");
                }
            }
        }

        node.Reads.Clear();
    }
}
