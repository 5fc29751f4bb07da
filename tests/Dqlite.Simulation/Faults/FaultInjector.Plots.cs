using Dqlite.Net.Engine;
using Dqlite.Simulation.Cluster;

namespace Dqlite.Simulation.Faults;

// Faults that follow a plot: each step waits for what the one before it has led to.
internal sealed partial class FaultInjector
{
    private const int FigureEightVoters = 5;

    /// <summary>A leader's stream is held up, another leader helps the follower, and then the stream arrives.</summary>
    private void HoldNextSnapshot(Fault fault) => cluster.AtNextSnapshot.Add((from, to) =>
    {
        cluster.Log.Say($"the snapshot of node {from.Number} for node {to.Number} is held up");
        cluster.Network.Link(from.Number, to.Number).Clog(Math.Min(cluster.Scheduler.NowNs + Math.Max(fault.DurationNs, 4 * cluster.Shape.ElectionTimeoutNs), cluster.Shape.HealAtNs));
        Ask(new LeaderRequest(LeaderOperation.Transfer), cluster.Scheduler.NowNs + 1);
    });

    /// <summary>
    /// Raft figure 8: a leader's entries reach one follower; the others elect a second leader, whose log replaces them at the first one and goes no
    /// further; the follower wins with those that have neither, and commits what was replaced.
    /// </summary>
    private async Task PlayFigureEightAsync(SimNode first)
    {
        var voters = Voters();
        if (first != cluster.Leader || voters.Count < FigureEightVoters || voters.Exists(voter => voter.Node is null || voter.IsDamaged))
        {
            return;
        }

        var follower = voters.First(voter => voter != first);
        var core = first.Node!.Core;
        var term = core.CurrentTerm;
        cluster.Log.Say($"figure 8: node {first.Number} leads, and node {follower.Number} alone hears it");
        cluster.Network.Split([first.Number, follower.Number]);
        cluster.AtNextLeader.Add(() =>
        {
            if (cluster.Leader is { } second && second != first && second != follower)
            {
                cluster.Log.Say($"figure 8: node {second.Number} leads, and node {first.Number} alone hears it");
                cluster.Network.Split([first.Number, second.Number]);
                voters.ForEach(voter => cluster.Network.Break(second.Number, voter.Number));
            }
        });
        await UntilAsync(() => first.Node?.Core.LastTerm > term && follower.Node?.Core is { CurrentTerm: var now, Role: Raft.RaftRole.Leader } && now > term, 12);
        cluster.Network.Heal();
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
