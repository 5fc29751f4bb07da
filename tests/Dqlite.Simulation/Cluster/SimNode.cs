using System.Globalization;
using Dqlite.Net;
using Dqlite.Net.Engine;
using Dqlite.Net.Storage;
using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Simulation.World;
using Microsoft.Extensions.Logging.Abstractions;

namespace Dqlite.Simulation.Cluster;

/// <summary>
/// One node of a simulated cluster over all its lives: a machine, its data directory and, while it runs, the production runtime.
/// </summary>
internal sealed class SimNode
{
    private const long ProbeTimeoutNs = 500_000_000;
    private const long CleanUpPauseNs = 1_000_000;

    private readonly SimCluster _cluster;
    private readonly SeededRandom _random;
    private IReadOnlyList<string> _members;
    private NodeDirectory? _directory;
    private SimThreads? _threads;
    private NodeTransportEvents? _events;
    private SimTransport? _transport;
    private NodeRuntime? _runtime;
    private int _incarnations;

    public SimNode(SimCluster cluster, int number, IReadOnlyList<string> members)
    {
        _cluster = cluster;
        _members = members;
        _random = cluster.Random.Stream("node", number);
        Number = number;
        Machine = new Machine(number, cluster.Random);
        Machine.Disk.ShortWriteChance = cluster.Shape.ShortWriteChance;
        Machine.Disk.RemembersOverwritten = cluster.Shape.FaultKinds.Contains(Faults.FaultKind.StaleRead);
        Delays = new WorkDelays(_random.Stream("delays"));
        Machine.Crashed += OnCrashed;
        Machine.Resumed += () => ResumedAtNs = cluster.Scheduler.NowNs;
        Clock = NewClock();
        cluster.Network.Add(Machine, Address);
        Options = cluster.OptionsOf(this, members);
    }

    /// <summary>From 1.</summary>
    public int Number { get; }

    public Machine Machine { get; }

    public SimDisk Disk => Machine.Disk;

    public WorkDelays Delays { get; }

    public SimClock Clock { get; private set; }

    public DqliteNodeOptions Options { get; }

    public string Address => AddressOf(Number);

    /// <summary>The node's parts while it is a member and runs; else null.</summary>
    public NodeContext? Node { get; private set; }

    /// <summary>Why it is down and stays down, or null.</summary>
    public Exception? Refusal { get; private set; }

    /// <summary>Something was done to its disk that it may notice, and stop: it is no longer counted on.</summary>
    public bool IsDamaged { get; set; }

    /// <summary>Whether its disk has errors, or is full.</summary>
    public bool HasDiskErrors { get; set; }

    /// <summary>Whether it waits to be taken into the cluster.</summary>
    public bool IsBlank { get; private set; } = true;

    /// <summary>When it last went on after a pause.</summary>
    public long ResumedAtNs { get; private set; }

    /// <summary>How far the wall clock was moved; nothing may depend on it.</summary>
    public long WallOffsetNs { get; private set; }

    /// <summary>Identifies the data directory.</summary>
    public string Incarnation { get; private set; } = "";

    public static string AddressOf(int number) => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{9000 + number}");

    /// <summary>Starts the process; a blank one looks for its cluster.</summary>
    public void Start()
    {
        if (_threads is not null)
        {
            if (!Machine.IsUp)
            {
                // What it held is not freed yet.
                _cluster.Scheduler.After(CleanUpPauseNs, Start);
            }

            return;
        }

        Machine.Start();
        Refusal = null;
        Clock = NewClock();
        _threads = new SimThreads(_cluster.Scheduler, Clock, Machine, Delays, () => _cluster.AfterStep(this), Enter, _cluster.RunNestedUntil);
        Guard(Open);
    }

    /// <summary>What follows runs on this node: native code sees its clock.</summary>
    public IDisposable Enter() => _cluster.Enter(this);

    /// <summary>Takes part in a cluster that has admitted it.</summary>
    public void Become(Founding founding)
    {
        if (_directory is { IsMember: false } && _threads is not null)
        {
            Guard(() =>
            {
                _directory.Become(founding, Address);
                Run();
            });
        }
    }

    /// <summary>The disk does what it should again.</summary>
    public void MendDisk()
    {
        Disk.CapacityBytes = long.MaxValue;
        Disk.ClearFaults();
        HasDiskErrors = false;
    }

    /// <summary>What waited for a disk that hung goes on now, not when it was thought to.</summary>
    public void WakeWorkers() => _threads?.WakeAll();

    /// <summary>Somebody sets the wall clock.</summary>
    public void JumpWallClock(long byNs) => WallOffsetNs += byNs;

    /// <summary>The process ends politely: log flushed, databases checkpointed.</summary>
    public void StopPolitely(Action then)
    {
        if (_cluster.IsInNestedTime)
        {
            _cluster.Scheduler.After(CleanUpPauseNs, () => StopPolitely(then));
            return;
        }

        if (_runtime is { } runtime)
        {
            Guard(() =>
            {
                runtime.Stop();
                runtime.RunOnce();
            });
        }

        CleanUp();
        Machine.Kill();
        then();
    }

    /// <summary>The operator takes the list of founding members out of its settings: it waits to be taken in.</summary>
    public void ForgetMembers() => _members = [];

    /// <summary>The disk is empty, the process down.</summary>
    public void Wipe()
    {
        Machine.Kill();
        Disk.Wipe();
        _cluster.Invariants.OnWiped(this);
        IsBlank = true;
    }

    private void Open()
    {
        _directory = new NodeDirectory(Options, Disk);
        _directory.Open(NewIncarnation);
        Incarnation = _directory.Identity.Incarnation;
        _events = new NodeTransportEvents(Incarnation, _members);
        _transport = _cluster.Network.CreateTransport(Machine, IdentityOf(_directory.Identity));
        _transport.Start(_events);
        IsBlank = !_directory.IsMember;
        if (_directory.IsMember)
        {
            Run();
        }
        else if (_members.Count > 0)
        {
            BeginRound(Machine.Life);
        }
    }

    private void Run()
    {
        var services = new NodeServices(Disk, _cluster.StoresOf(this), _threads!, ReadClock, new NodeLog(_cluster.LoggerOf(this)), _cluster.ObserverOf(this));
        var parts = _directory!.CreateParts(services, _transport, new Inbox());
        _transport!.SetIdentity(IdentityOf(_directory.Identity));
        Machine.NodeId = _directory.Identity.NodeId;
        _runtime = new NodeRuntime(parts);
        Node = _runtime.Node;
        IsBlank = false;
        _cluster.OnAttached(this);
        _events!.Attach(_runtime.Node);
        _runtime.Start();
    }

    /// <summary>R45: time that is taken from the wall clock.</summary>
    private long ReadClock() => Clock.NowNs + (Mutant.Is("R45") ? WallOffsetNs : 0);

    private Hello IdentityOf(NodeIdentity identity) =>
        new(identity.ClusterId == NodeIdentity.NoCluster ? "" : identity.ClusterId, identity.NodeId, identity.Incarnation, Address);

    /// <summary>A round of questions among the founding members, until the cluster is founded or knows this node.</summary>
    private void BeginRound(int life)
    {
        if (!Machine.IsUp || Machine.Life != life || _directory is not { IsMember: false })
        {
            return;
        }

        var round = new FoundingRound(_members, Address, Incarnation);
        var left = _members.Count - 1;
        var self = new Hello("", NodeId.None, Incarnation, Address, PeerPurpose.Rpc);
        foreach (var member in round.Asked)
        {
            var request = new NodeMessage(ProbeRequest.MessageKind, 1, new ProbeRequest(_members).Encode());
            _cluster.Network.Call(self, member, request, answer =>
            {
                left--;
                if (answer is not null && Machine.IsUp && Machine.Life == life)
                {
                    Guard(() => OnAnswer(round, member, answer));
                }

                if (left == 0)
                {
                    Guard(() => EndRound(round, life));
                }
            });
        }

        if (left == 0)
        {
            EndRound(round, life);
        }

        _cluster.Scheduler.After(ProbeTimeoutNs, () => Guard(() => BeginRound(life)));
    }

    private void OnAnswer(FoundingRound round, string member, NodeMessage answer)
    {
        if (round.Add(member, ProbeReply.Decode(answer.Body)) is { } known)
        {
            Become(known);
        }
    }

    private void EndRound(FoundingRound round, int life)
    {
        if (Machine.IsUp && Machine.Life == life && _directory is { IsMember: false } && round.Complete(() => Digits(_random)) is { } founding)
        {
            Become(founding);
        }
    }

    private string NewIncarnation() => Digits(_random.Stream("incarnation", ++_incarnations));

    private static string Digits(SeededRandom random)
    {
        Span<byte> bytes = stackalloc byte[16];
        random.Fill(bytes);
        return Convert.ToHexStringLower(bytes);
    }

    private SimClock NewClock()
    {
        var drift = _cluster.Shape.ClockDrift;
        return new SimClock(_cluster.Scheduler, Machine, _random.Between(1_000_000_000L, 1_000_000_000_000L), drift == 0 ? 0 : (_random.Next(2001) - 1000) / 1000.0 * drift);
    }

    /// <summary>Runs a part of the node's life that is not a step of a worker.</summary>
    private void Guard(Action action)
    {
        try
        {
            using var entered = Enter();
            action();
        }
        catch (MachineDownException)
        {
            // The machine went down in the middle: OnCrashed cleans up.
        }
        catch (Exception exception) when (!Machine.IsUp)
        {
            _cluster.Log.Say($"node {Number} died while it started: {exception.GetType().Name}");
        }
        catch (Exception exception)
        {
            Refuse(exception);
        }
    }

    private void Refuse(Exception exception)
    {
        Refusal = exception;
        _cluster.OnRefused(this, exception);
        CleanUp();
        Machine.Kill();
    }

    /// <summary>The process is gone, perhaps in the middle of a step: what it held is freed once the step has unwound.</summary>
    private void OnCrashed()
    {
        _cluster.Log.Say($"node {Number} is down");
        _cluster.Scheduler.After(0, CleanUpAfterCrash);
    }

    private void CleanUpAfterCrash()
    {
        if (_cluster.IsInNestedTime)
        {
            // Native code of this node may lie below on the stack.
            _cluster.Scheduler.After(CleanUpPauseNs, CleanUpAfterCrash);
        }
        else if (!Machine.IsUp)
        {
            CleanUp();
        }
    }

    /// <summary>The runtime has ended by itself: a broken invariant or its disk.</summary>
    public void OnEnded()
    {
        if (_runtime is { Stopped.IsCompleted: true })
        {
            CleanUp();
            Machine.Kill();
        }
    }

    public void CleanUp()
    {
        if (_runtime is { } runtime)
        {
            _runtime = null;
            if (!runtime.Stopped.IsCompleted)
            {
                runtime.Abort();
                runtime.RunOnce();
            }

            _ = runtime.Stopped.Exception;
        }
        else
        {
            _transport?.Dispose();
        }

        Node = null;
        _threads?.End();
        _threads = null;
        _transport = null;
        _events = null;
        try
        {
            _directory?.Dispose();
        }
        catch (MachineDownException)
        {
            // Closing what a dead process had open has no effect.
        }

        _directory = null;
    }
}
