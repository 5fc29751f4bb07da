using Dqlite.Net.Engine;
using Dqlite.Raft;
using Dqlite.Simulation.Cluster;
using Dqlite.Simulation.Running;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Faults;

/// <summary>Lets the faults of a plan happen, and mends everything in the end. Never are more disks damaged than a majority can do without.</summary>
internal sealed partial class FaultInjector(SimCluster cluster, Admin admin)
{
    private const int MaxVoters = 7;

    private readonly List<Task> _tasks = [];

    /// <summary>What goes on beside; a failed one is a defect of the simulator.</summary>
    public IReadOnlyList<Task> Tasks => _tasks;

    /// <summary>Schedules all of them, and the mending.</summary>
    public void Schedule(IReadOnlyList<Fault> faults)
    {
        foreach (var fault in faults)
        {
            cluster.Scheduler.At(fault.AtNs, () => Apply(fault));
        }

        cluster.Scheduler.At(cluster.Shape.HealAtNs, Mend);
    }

    private void Apply(Fault fault)
    {
        if (Target(fault) is not { } node)
        {
            return;
        }

        cluster.Log.Say($"fault {fault}{(fault.Node == 0 ? $" (node {node.Number})" : "")}");
        switch (fault.Kind)
        {
            case FaultKind.PowerCut or FaultKind.Kill or FaultKind.CrashAtOperation or FaultKind.PowerCutAll or FaultKind.Restart or FaultKind.Pause or FaultKind.PauseInStep:
                ApplyToProcess(fault, node);
                break;
            case FaultKind.Partition or FaultKind.Isolate or FaultKind.OneWay or FaultKind.Ring or FaultKind.SlowLink or FaultKind.Clog or FaultKind.BreakConnection
                or FaultKind.CorruptByte:
                ApplyToNetwork(fault, node);
                break;
            case FaultKind.SlowDisk or FaultKind.StuckDisk or FaultKind.DiskError or FaultKind.FullDisk or FaultKind.BitRot or FaultKind.StaleRead or FaultKind.Wipe:
                ApplyToDisk(fault, node);
                break;
            case FaultKind.Promote or FaultKind.Demote or FaultKind.Remove when (fault.Value >> 50) % 3 == 0:
                // Asked of a leader in the moment when it becomes one.
                cluster.AtNextLeader.Add(() => ApplyToCluster(fault, node));
                break;
            case FaultKind.Transfer or FaultKind.AddNode or FaultKind.Promote or FaultKind.Demote or FaultKind.Remove or FaultKind.ChangeDatabases:
                ApplyToCluster(fault, node);
                break;
            case FaultKind.DamagedStream:
                cluster.Network.DamageNextPages(node.Number);
                break;
            case FaultKind.MuteReceiver:
                MuteNextReceiver(fault);
                break;
            case FaultKind.LateSnapshot:
                HoldNextSnapshot(fault);
                break;
            case FaultKind.SnapshotTwice:
                _tasks.Add(SendSnapshotTwiceAsync(fault, node));
                break;
            case FaultKind.DropUnderCheckpoint:
                _tasks.Add(DropUnderCheckpointAsync(fault, node));
                break;
            case FaultKind.FigureEight:
                _tasks.Add(PlayFigureEightAsync());
                break;
            case FaultKind.WallClockJump:
                node.JumpWallClock((long)(fault.Value % 7_200_000_000_000) - 3_600_000_000_000);
                break;
            default:
                throw new InvalidOperationException($"Unknown fault {fault.Kind}.");
        }
    }

    private SimNode? Target(Fault fault)
    {
        if (fault.Node == 0)
        {
            return cluster.Leader;
        }

        return fault.Node <= cluster.Nodes.Count ? cluster.Nodes[fault.Node - 1] : null;
    }

    private void ApplyToProcess(Fault fault, SimNode node)
    {
        switch (fault.Kind)
        {
            case FaultKind.PowerCut:
                node.Machine.PowerOff();
                StartLater(node, fault.DurationNs);
                break;
            case FaultKind.Kill:
                node.Machine.Kill();
                StartLater(node, fault.DurationNs);
                break;
            case FaultKind.CrashAtOperation:
                node.Machine.CrashCutsPower = fault.Value % 3 != 0;
                if ((fault.Value >> 12) % 3 == 0)
                {
                    node.Machine.CrashNear = (FilePart(fault), (int)((fault.Value >> 16) % 6));
                }
                else
                {
                    node.Machine.CrashAtOperation = node.Machine.Operations + 1 + (long)(fault.Value % 400);
                }

                StartAfterCrash(node, fault.DurationNs);
                break;
            case FaultKind.PowerCutAll:
                foreach (var each in cluster.Nodes)
                {
                    each.Machine.PowerOff();
                    StartLater(each, fault.DurationNs / (1 + ((long)(fault.Value >> each.Number) & 3)));
                }

                break;
            case FaultKind.Restart:
                node.StopPolitely(() => StartLater(node, fault.DurationNs));
                break;
            case FaultKind.Pause:
                node.Machine.Pause();
                cluster.Scheduler.After(fault.DurationNs, node.Machine.Resume);
                break;
            default:
                node.Clock.BeforeReading(1 + (long)(fault.Value % 50), () => PauseNow(node, fault.DurationNs));
                break;
        }
    }

    /// <summary>The process stops here, in the middle of a step, and the world goes on without it.</summary>
    private void PauseNow(SimNode node, long durationNs)
    {
        var untilNs = Math.Min(cluster.Scheduler.NowNs + durationNs, cluster.Shape.HealAtNs);
        if (cluster.IsInNestedTime || !node.Machine.IsUp || untilNs <= cluster.Scheduler.NowNs)
        {
            return;
        }

        cluster.Log.Say($"node {node.Number} stops in the middle of a step");
        node.Machine.Pause();
        cluster.RunNestedUntil(() => !node.Machine.IsPaused, untilNs);
        node.Machine.Resume();
    }

    private void StartLater(SimNode node, long delayNs) => cluster.Scheduler.After(delayNs, () =>
    {
        if (!node.Machine.IsUp || node.Node is null)
        {
            node.Start();
        }
    });

    /// <summary>A crash that was announced may be long in coming.</summary>
    private void StartAfterCrash(SimNode node, long delayNs) => cluster.Scheduler.After(delayNs, () =>
    {
        if (!node.Machine.IsUp || node.Node is null)
        {
            node.Start();
        }
        else if (node.Machine.CrashAtOperation is not null || node.Machine.CrashNear is not null)
        {
            StartAfterCrash(node, delayNs);
        }
    });

    private void ApplyToCluster(Fault fault, SimNode node)
    {
        var untilNs = Math.Min(cluster.Scheduler.NowNs + Math.Max(fault.DurationNs, SimShape.Second), cluster.Shape.HealAtNs);
        var id = node.Machine.NodeId.Value;
        switch (fault.Kind)
        {
            case FaultKind.Transfer:
                Ask(new LeaderRequest(LeaderOperation.Transfer, NodeId: fault.Node == 0 ? 0 : id), cluster.Scheduler.NowNs + 1);
                break;
            case FaultKind.AddNode when cluster.Nodes.Count < cluster.Shape.MaxNodes:
                _tasks.Add(admin.JoinAsync(cluster.AddNode(), cluster.Shape.HealAtNs));
                break;
            case FaultKind.AddNode:
                break;
            case FaultKind.Promote:
                PromoteSomebody(fault, untilNs);
                break;
            case FaultKind.Demote when MayLose(node):
                Ask(new LeaderRequest(LeaderOperation.Demote, NodeId: id), untilNs);
                break;
            case FaultKind.Remove when MayLose(node):
                Ask(new LeaderRequest(LeaderOperation.Remove, NodeId: id), untilNs);
                break;
            case FaultKind.ChangeDatabases:
                ChangeDatabases(fault, untilNs);
                break;
            default:
                break;
        }
    }

    private void PromoteSomebody(Fault fault, long untilNs)
    {
        if (cluster.Leader?.Node?.Core.Configuration is { } configuration && configuration.Voters.Count < MaxVoters)
        {
            var nonVoters = configuration.Members.Where(member => member.Role == MemberRole.NonVoter).ToArray();
            if (nonVoters.Length > 0)
            {
                Ask(new LeaderRequest(LeaderOperation.Promote, NodeId: nonVoters[(int)(fault.Value % (ulong)nonVoters.Length)].Id.Value), untilNs);
            }
        }
    }

    private void ChangeDatabases(Fault fault, long untilNs)
    {
        var name = $"db{fault.Value % 4}";
        var existing = cluster.Leader?.Node?.Databases.FindPublished(name);
        if (existing is null)
        {
            Ask(new LeaderRequest(LeaderOperation.CreateDatabase, name, cluster.Tier.PageSize), untilNs);
        }
        else if (cluster.Leader!.Node!.Databases.Published.Count > 1)
        {
            Ask(new LeaderRequest(LeaderOperation.DropDatabase, name, NodeId: existing.Id), untilNs);
        }
    }

    /// <summary>Whether a majority of whole disks stays without this voter.</summary>
    private bool MayLose(SimNode node)
    {
        var voters = Voters();
        var left = voters.Where(voter => voter != node).ToArray();
        return left.Length > 0 && left.Count(voter => !voter.IsDamaged) >= (left.Length / 2) + 1;
    }

    /// <summary>Whether one more disk may be damaged.</summary>
    private bool MayDamage(SimNode node)
    {
        var voters = Voters();
        return node.IsDamaged || voters.Count(voter => voter.IsDamaged || voter == node) <= (voters.Count - 1) / 2;
    }

    /// <summary>The voters of the leader's membership, or those at the beginning.</summary>
    private List<SimNode> Voters()
    {
        var configuration = cluster.Leader?.Node?.Core.Configuration;
        return configuration is null
            ? [.. cluster.Nodes.Take(cluster.Shape.Voters)]
            : [.. cluster.Nodes.Where(node => configuration.IsVoter(node.Machine.NodeId))];
    }

    private void Ask(LeaderRequest request, long untilNs) => _tasks.Add(admin.AskAsync(request, untilNs));
}
