using Dqlite.Net.Engine;
using Dqlite.Simulation.Cluster;

namespace Dqlite.Simulation.Faults;

// Faults that follow a plot: each step waits for what the one before it has led to.
internal sealed partial class FaultInjector
{
    private const int FigureEightVoters = 5;

    /// <summary>Longer than any plot.</summary>
    private const int LongHangTimeouts = 60;

    /// <summary>A leader's stream is held up, another leader helps the follower, and then the stream arrives.</summary>
    private void HoldNextSnapshot(Fault fault) => cluster.AtNextSnapshot.Add((from, to) =>
    {
        cluster.Log.Say($"the snapshot of node {from.Number} for node {to.Number} is held up");
        cluster.Network.Link(from.Number, to.Number).Clog(Math.Min(cluster.Scheduler.NowNs + Math.Max(fault.DurationNs, 4 * cluster.Shape.ElectionTimeoutNs), cluster.Shape.HealAtNs));
        Ask(new LeaderRequest(LeaderOperation.Transfer), cluster.Scheduler.NowNs + 1);
    });

    /// <summary>A follower finds a stream damaged, and the way back to its sender is down.</summary>
    private void MuteNextReceiver(Fault fault) => cluster.AtNextSnapshot.Add((from, to) =>
    {
        cluster.Log.Say($"node {to.Number} is not heard by node {from.Number} while it gets a snapshot");
        cluster.Network.DamageNextPages(to.Number);
        cluster.Network.BlockOneWay([to.Number], [from.Number]);
        cluster.Scheduler.After(cluster.Shape.ElectionTimeoutNs / 3, () => cluster.Network.Break(to.Number, from.Number));
        cluster.Scheduler.After(Math.Min(fault.DurationNs, cluster.Shape.ElectionTimeoutNs), cluster.Network.Heal);
    });

    /// <summary>What a node has to apply waits for a checkpoint that does not end; meanwhile it shall lead.</summary>
    private async Task DropUnderCheckpointAsync(Fault fault, SimNode node)
    {
        var timeoutNs = cluster.Shape.ElectionTimeoutNs;
        HangCheckpoints(node);
        await UntilAsync(() => Checkpointing() is not null, 6);
        if (Checkpointing() is { } database && cluster.Leader?.Node?.Databases.Published.Count > 1)
        {
            await admin.AskAsync(new LeaderRequest(LeaderOperation.DropDatabase, database.Name, NodeId: database.Id), cluster.Scheduler.NowNs + (2 * timeoutNs));
            await admin.AskAsync(new LeaderRequest(LeaderOperation.CreateDatabase, database.Name, cluster.Tier.PageSize), cluster.Scheduler.NowNs + (2 * timeoutNs));
            await cluster.Waits.Delay((long)(fault.Value % (ulong)(2 * timeoutNs)));
            await admin.AskAsync(new LeaderRequest(LeaderOperation.Transfer, NodeId: node.Machine.NodeId.Value), cluster.Scheduler.NowNs + timeoutNs);
            await cluster.Waits.Delay(fault.DurationNs / 4);
        }

        EndCheckpoints(node);

        ReplicatedDatabase? Checkpointing() => node.Node?.Databases.Published.FirstOrDefault(database => database.IsCheckpointing);
    }

    /// <summary>
    /// A follower whose checkpoint does not end is cut off until it needs a snapshot; that one arrives and waits for the checkpoint, its connection
    /// breaks, and while the next one arrives the checkpoint ends.
    /// </summary>
    private async Task SendSnapshotTwiceAsync(Fault fault, SimNode follower)
    {
        var timeoutNs = cluster.Shape.ElectionTimeoutNs;
        HangCheckpoints(follower);
        await UntilAsync(IsCheckpointing, 6);
        if (!IsCheckpointing() || follower == cluster.Leader)
        {
            EndCheckpoints(follower);
            return;
        }

        cluster.Log.Say($"node {follower.Number} has a checkpoint that does not end, and is cut off");
        cluster.Network.Isolate(follower.Number);
        await UntilAsync(() => cluster.Leader?.Node?.Core.FirstIndex > follower.Node?.Core.LastIndex.Next, 40);
        var begun = 0;
        SimNode? sender = null;
        Expect();
        cluster.Network.Heal();
        await UntilAsync(() => begun == 1, 4);
        await cluster.Waits.Delay(timeoutNs / 2);
        if (sender is not null)
        {
            cluster.Network.Break(sender.Number, follower.Number);
        }

        var hasArrived = false;
        cluster.Network.Delivered = (from, to, message) =>
        {
            if (message is Net.Transport.StreamChunk { Sequence: 0 } && follower.Node?.Core.Id == to && !hasArrived && cluster.Find(from) is { } again)
            {
                // The rest of it comes later.
                hasArrived = true;
                cluster.Network.Link(again.Number, follower.Number).Clog(cluster.Scheduler.NowNs + (timeoutNs / 2));
            }
        };
        await UntilAsync(() => hasArrived, 4);
        cluster.Network.Delivered = null;
        await cluster.Waits.Delay((long)(fault.Value % (ulong)(timeoutNs / 4)));
        EndCheckpoints(follower);

        bool IsCheckpointing() => follower.Node?.Databases.All.Any(database => database.IsCheckpointing) == true;

        void Expect() => cluster.AtNextSnapshot.Add((from, to) =>
        {
            sender = from;
            begun += to == follower ? 1 : 0;
            if (begun < 2)
            {
                Expect();
            }
        });
    }

    /// <summary>
    /// Raft figure 8: a leader's entries reach one follower; the others elect a second leader, whose log replaces them at the first one and goes no
    /// further; the follower wins with those that have neither, and commits what was replaced.
    /// </summary>
    private async Task PlayFigureEightAsync()
    {
        if (Voters().Count < FigureEightVoters)
        {
            return;
        }

        // Everybody is needed.
        cluster.Network.Heal();
        Voters().ForEach(voter => voter.Machine.Resume());
        Voters().ForEach(voter => voter.Start());
        await UntilAsync(() => cluster.Leader?.Node?.CanWrite == true && Voters().TrueForAll(voter => voter.Node is not null), 8);
        var voters = Voters();
        if (cluster.Leader is not { } first || voters.Count < FigureEightVoters || voters.Exists(voter => voter.Node is null))
        {
            return;
        }

        var follower = voters.First(voter => voter != first);
        var term = first.Node!.Core.CurrentTerm;
        cluster.Log.Say($"figure 8: node {first.Number} leads, and node {follower.Number} alone hears it");
        cluster.Network.Split([first.Number, follower.Number]);
        cluster.AtNextLeader.Add(() =>
        {
            if (cluster.Leader is { } second && second != first && second != follower)
            {
                cluster.Log.Say($"figure 8: node {second.Number} leads, and node {first.Number} alone hears it");
                cluster.Network.Split([first.Number, second.Number]);
                voters.Where(voter => voter != first).ToList().ForEach(voter => cluster.Network.Break(second.Number, voter.Number));
            }
        });
        await UntilAsync(() => first.Node?.Core.LastTerm > term && follower.Node?.Core is { CurrentTerm: var now, Role: Raft.RaftRole.Leader } && now > term, 12);
        cluster.Network.Heal();
    }

    private void HangCheckpoints(SimNode node) => node.Delays.CheckpointStuckUntilNs = cluster.Scheduler.NowNs + (LongHangTimeouts * cluster.Shape.ElectionTimeoutNs);

    private static void EndCheckpoints(SimNode node)
    {
        node.Delays.CheckpointStuckUntilNs = 0;
        node.WakeWorkers();
    }

    private async Task UntilAsync(Func<bool> isDone, int timeouts)
    {
        var untilNs = Math.Min(cluster.Scheduler.NowNs + (timeouts * cluster.Shape.ElectionTimeoutNs), cluster.Shape.HealAtNs);
        while (!isDone() && cluster.Scheduler.NowNs < untilNs)
        {
            await cluster.Waits.Delay(cluster.Shape.TickNs);
        }
    }
}
