using Dqlite.Net.Engine;
using Dqlite.Raft;
using Dqlite.Simulation.Cluster;

namespace Dqlite.Simulation.Running;

// Transfers of leadership that arrive, that cannot be, and that get lost on the way.
internal sealed partial class QuietProbes
{
    /// <summary>Leadership goes where it is asked to go, without waiting for a timeout (R41, R43), and not where it cannot (R42).</summary>
    private async Task HandOverAsync()
    {
        await WaitAsync(2);
        if (LeaderCore is not { } core)
        {
            cluster.Invariants.Fail("liveness: the leader is gone although nothing happened");
            return;
        }

        var targets = core.Configuration.Voters.Where(id => id != core.Id && cluster.Find(id) is not null).ToArray();
        if (targets.Length == 0)
        {
            return;
        }

        await ExpectRefusalsAsync(core);
        var target = _random.Pick(targets);
        cluster.Log.Say($"probe: leadership goes from {core.Id} to {target}");
        await admin.AskAsync(new LeaderRequest(LeaderOperation.Transfer, NodeId: target.Value), cluster.Scheduler.NowNs + TimeoutNs);
        await WaitAsync(1);
        if (LeaderCore?.Id != target || cluster.Leader!.Node!.CanWrite != true)
        {
            cluster.Invariants.Fail($"transfer: leadership was to go to node {target}; a timeout later {LeaderCore?.Id.ToString() ?? "nobody"} leads");
        }
    }

    /// <summary>Whoever cannot lead is no target.</summary>
    private async Task ExpectRefusalsAsync(RaftCore core)
    {
        var nonVoter = core.Configuration.Members.Where(member => member.Role == MemberRole.NonVoter).Select(member => member.Id.Value).FirstOrDefault(9_999_999);
        var reply = await admin.AskAsync(new LeaderRequest(LeaderOperation.Transfer, NodeId: nonVoter), cluster.Scheduler.NowNs + TimeoutNs);
        if (reply?.Status != LeaderStatus.Refused || core.IsTransferInProgress)
        {
            cluster.Invariants.Fail($"transfer: one to {nonVoter}, which cannot lead, was answered with {reply?.Status.ToString() ?? "nothing"}");
        }
    }

    /// <summary>The order to campaign arrives when another node leads already: it is obeyed no more (R39).</summary>
    private async Task DelayTransferAsync()
    {
        await WaitAsync(2);
        if (cluster.Leader is not { Node.Core: { Configuration: { Voters.Count: >= 3 } configuration } core } leader)
        {
            return;
        }

        var others = configuration.Voters.Where(id => id != core.Id).Select(cluster.Find).OfType<SimNode>().ToArray();
        var (late, next) = (others[0], others[1]);
        cluster.Log.Say($"probe: leadership is to go from {leader.Number} to {late.Number}, which hears of it late, and goes to {next.Number}");
        cluster.Network.Link(leader.Number, late.Number).Clog(cluster.Scheduler.NowNs + (4 * TimeoutNs));
        await admin.AskAsync(new LeaderRequest(LeaderOperation.Transfer, NodeId: late.Node!.Core.Id.Value), cluster.Scheduler.NowNs + 1);
        await WaitAsync(2);
        await admin.AskAsync(new LeaderRequest(LeaderOperation.Transfer, NodeId: next.Node!.Core.Id.Value), cluster.Scheduler.NowNs + 1);
        await WaitAsync(1);
        if (cluster.Leader == next)
        {
            await ExpectNoElectionAsync($"an order to campaign came late to node {late.Number}", 4);
        }

        await WaitAsync(3);
    }

    /// <summary>
    /// Who was told to campaign is not heard, and comes back with a high term and a short log while only just a majority is left: those with the
    /// longer log and the lower term must learn of it (R7).
    /// </summary>
    private async Task LoseTransferAsync()
    {
        await WaitAsync(2);
        if (cluster.Leader is not { Node.Core: { Configuration: { Voters.Count: >= 3 } configuration } core } leader)
        {
            return;
        }

        var term = core.CurrentTerm;
        var others = configuration.Voters.Where(id => id != core.Id).Select(cluster.Find).OfType<SimNode>().ToList();
        var target = _random.Pick(others);
        cluster.Log.Say($"probe: leadership is to go from {leader.Number} to {target.Number}, which nobody hears");
        cluster.Network.Mute(target.Number);
        await admin.AskAsync(new LeaderRequest(LeaderOperation.Transfer, NodeId: target.Node!.Core.Id.Value), cluster.Scheduler.NowNs + 1);
        await WaitAsync(1);
        cluster.Network.Isolate(target.Number);
        foreach (var node in cluster.Nodes)
        {
            // Else what it has said arrives in the end.
            cluster.Network.Break(target.Number, node.Number);
        }

        await WaitAsync(1);
        var reply = await admin.AskAsync(new LeaderRequest(LeaderOperation.CreateDatabase, "lost", cluster.Tier.PageSize), cluster.Scheduler.NowNs + (2 * TimeoutNs));
        if (target.Node is not { } lost || lost.Core.CurrentTerm <= term || reply?.Status != LeaderStatus.Done || cluster.Leader != leader)
        {
            cluster.Network.Heal();
            return;
        }

        others.Remove(target);
        var dying = others.Take(configuration.Voters.Count - configuration.Majority - 1).Prepend(leader).ToArray();
        cluster.Log.Say($"probe: node {target.Number} is heard again, {string.Join(", ", dying.Select(node => node.Number))} die");
        Array.ForEach(dying, node => node.Machine.Kill());
        cluster.Network.Heal();
        await WaitAsync(2 * ElectionTimeouts);
        if (cluster.Leader?.Node?.CanWrite != true)
        {
            cluster.Invariants.Fail($"liveness: no leader within {2 * ElectionTimeouts} election timeouts after a lost transfer to node {target.Number}");
        }

        Array.ForEach(dying, node => node.Start());
        await WaitAsync(4);
    }
}
