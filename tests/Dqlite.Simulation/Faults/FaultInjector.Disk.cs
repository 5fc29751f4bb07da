using Dqlite.Simulation.Cluster;
using Dqlite.Simulation.Running;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Faults;

/// <summary>Disks and links.</summary>
internal sealed partial class FaultInjector
{
    private const int Eio = 5;
    private const int Enospc = 28;

    private void ApplyToNetwork(Fault fault, SimNode node)
    {
        var network = cluster.Network;
        var all = cluster.Nodes.Select(each => each.Number).ToArray();
        var other = all[(fault.Other - 1) % all.Length];
        var untilNs = cluster.Scheduler.NowNs + fault.DurationNs;
        switch (fault.Kind)
        {
            case FaultKind.Partition:
                network.Split([.. all.Where(number => ((fault.Value >> number) & 1) != 0)]);
                cluster.Scheduler.At(untilNs, network.Heal);
                break;
            case FaultKind.Isolate:
                network.Isolate(node.Number);
                cluster.Scheduler.At(untilNs, network.Heal);
                break;
            case FaultKind.OneWay:
                OneWay(fault, node.Number, other);
                cluster.Scheduler.At(untilNs, network.Heal);
                break;
            case FaultKind.Ring:
                network.Ring(all);
                cluster.Scheduler.At(untilNs, network.Heal);
                break;
            case FaultKind.SlowLink when other != node.Number:
                var delayNs = 1 + (long)(fault.Value % (ulong)cluster.Shape.ElectionTimeoutNs);
                network.Slow(node.Number, other, network.Options.Link with { BaseDelayNs = delayNs, JitterNs = delayNs });
                cluster.Scheduler.At(untilNs, () => network.Slow(node.Number, other, network.Options.Link));
                break;
            case FaultKind.Clog when other != node.Number:
                network.Link(node.Number, other).Clog(untilNs);
                break;
            case FaultKind.BreakConnection when other != node.Number:
                network.Break(node.Number, other);
                break;
            case FaultKind.CorruptByte when other != node.Number:
                network.Link(node.Number, other).CorruptNext();
                break;
            default:
                break;
        }
    }

    private void OneWay(Fault fault, int number, int other)
    {
        switch (fault.Value % 3)
        {
            case 0:
                cluster.Network.Deafen(number);
                break;
            case 1:
                cluster.Network.Mute(number);
                break;
            default:
                cluster.Network.BlockOneWay([number], [other]);
                break;
        }
    }

    private void ApplyToDisk(Fault fault, SimNode node)
    {
        var disk = node.Disk;
        switch (fault.Kind)
        {
            case FaultKind.SlowDisk:
                node.Delays.DiskSlowness = 1 + (long)(fault.Value % 200);
                cluster.Scheduler.After(fault.DurationNs, () => node.Delays.DiskSlowness = 1);
                break;
            case FaultKind.StuckDisk:
                GetStuck(fault, node);
                break;
            case FaultKind.FullDisk:
                node.HasDiskErrors = true;
                disk.CapacityBytes = disk.UsedBytes + (long)(fault.Value % 20_000);
                RestartWhenFailed(node, fault.DurationNs);
                break;
            case FaultKind.StaleRead:
                if (node.Node is not null && MayDamage(node))
                {
                    node.IsDamaged = true;
                    disk.FailNextReadStale(".db");
                }

                break;
            case FaultKind.DiskError:
                node.HasDiskErrors = true;
                disk.FailNth(Operation(fault), FilePart(fault), fault.Value % 5 == 0 ? Enospc : Eio, 1 + (long)(fault.Value % 20));
                RestartWhenFailed(node, fault.DurationNs);
                break;
            case FaultKind.BitRot when node is { Machine.IsUp: true, Node: not null } && MayDamage(node):
                Rot(fault, node);
                break;
            case FaultKind.Wipe when cluster.Shape.Voters > 1 && MayDamage(node) && MayLose(node) && IsMember(node):
                node.IsDamaged = true;
                node.Wipe();
                disk.ClearFaults();
                _tasks.Add(ReplaceAsync(node, node.Machine.NodeId.Value, fault.DurationNs));
                break;
            default:
                break;
        }
    }

    /// <summary>The whole disk hangs, or one file of it; somebody may pull the plug meanwhile.</summary>
    private void GetStuck(Fault fault, SimNode node)
    {
        var untilNs = cluster.Scheduler.NowNs + fault.DurationNs;
        if (fault.Value % 3 == 0)
        {
            node.Delays.LogStuckUntilNs = untilNs;
        }
        else
        {
            node.Delays.DiskStuckUntilNs = untilNs;
        }

        if ((fault.Value >> 8) % 3 == 0)
        {
            cluster.Scheduler.After(fault.DurationNs * 2 / 3, () =>
            {
                node.Machine.PowerOff();
                StartLater(node, fault.DurationNs / 3);
            });
        }
    }

    private void Rot(Fault fault, SimNode node)
    {
        var files = FilesOf(node).Where(path => path.Contains(FilePart(fault), StringComparison.Ordinal)).ToArray();
        if (files.Length > 0)
        {
            node.IsDamaged = true;
            var path = files[(int)(fault.Value % (ulong)files.Length)];
            node.Disk.FlipBits(path, 0, Math.Max(1, node.Disk.Content(path)?.Length ?? 1), 1 + (int)(fault.Value >> 60));
            cluster.Invariants.OnRot(node, path);
            if ((fault.Value >> 20) % 2 == 0)
            {
                // A log is read at the next start alone.
                cluster.Scheduler.After(fault.DurationNs / 2, node.Machine.Kill);
                StartLater(node, fault.DurationNs);
            }
        }
    }

    /// <summary>Whether the leader knows it as a member: one that was removed and comes back blank may do what it likes.</summary>
    private bool IsMember(SimNode node) => node.Node is { } context && cluster.Leader?.Node?.Core.Configuration.Find(context.Core.Id) is not null;

    private static IEnumerable<string> FilesOf(SimNode node)
    {
        var data = node.Options.DataDirectory;
        return new[] { data, data + "/log", data + "/databases" }.Where(node.Disk.Exists).SelectMany(directory => node.Disk.ListFiles(directory).Select(name => $"{directory}/{name}"));
    }

    private static string FilePart(Fault fault) => ((fault.Value >> 32) % 6) switch
    {
        0 => "metadata",
        1 => ".meta",
        2 => "/databases/",
        3 => "log.base",
        _ => "/log/",
    };

    private static ShimOperation Operation(Fault fault) => ((fault.Value >> 40) % 6) switch
    {
        0 or 1 => ShimOperation.Write,
        2 or 3 => ShimOperation.DataSync,
        4 => ShimOperation.Sync,
        _ => ShimOperation.Rename,
    };

    /// <summary>A node whose disk failed has stopped: the operator starts it again.</summary>
    private void RestartWhenFailed(SimNode node, long delayNs) => cluster.Scheduler.After(delayNs, () =>
    {
        node.MendDisk();
        node.Start();
    });

    /// <summary>A node that came back with an empty disk is removed and joins again, under a new id.</summary>
    private async Task ReplaceAsync(SimNode node, long id, long delayNs)
    {
        await cluster.Waits.Delay(delayNs);
        node.Start();
        await cluster.Waits.Delay(SimShape.Second);
        await admin.AskAsync(new Net.Engine.LeaderRequest(Net.Engine.LeaderOperation.Remove, NodeId: id), long.MaxValue);
        node.Machine.Kill();
        node.CleanUp();
        node.MendDisk();
        node.ForgetMembers();
        node.Start();
        node.IsDamaged = false;
        await admin.JoinAsync(node, long.MaxValue);
    }

    /// <summary>From here on nothing is wrong any more: what is damaged stays so.</summary>
    private void Mend()
    {
        cluster.Log.Say("everything is mended");
        cluster.Network.Heal();
        cluster.AtNextLeader.Clear();
        cluster.AtNextSnapshot.Clear();
        foreach (var node in cluster.Nodes)
        {
            node.MendDisk();
            node.Delays.DiskSlowness = 1;
            (node.Delays.DiskStuckUntilNs, node.Delays.LogStuckUntilNs, node.Delays.CheckpointStuckUntilNs) = (0, 0, 0);
            (node.Machine.CrashAtOperation, node.Machine.CrashNear) = (null, null);
            node.Machine.Resume();
            node.WakeWorkers();
            node.Start();
        }
    }
}
