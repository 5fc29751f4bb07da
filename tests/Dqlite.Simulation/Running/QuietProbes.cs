using Dqlite.Net.Engine;
using Dqlite.Raft;
using Dqlite.Simulation.Cluster;
using Dqlite.Simulation.Faults;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Running;

/// <summary>
/// What must not disturb a healthy cluster, and what it must get over quickly: asked of every run at its end, when nothing else goes wrong.
/// Liveness, which no look at single events shows.
/// </summary>
internal sealed partial class QuietProbes(SimCluster cluster, Admin admin)
{
    private const int QuietTimeouts = 12;
    private const int ElectionTimeouts = 5;

    private readonly SeededRandom _random = cluster.Random.Stream("probes");

    private long TimeoutNs => cluster.Shape.ElectionTimeoutNs;

    private RaftCore? LeaderCore => cluster.Leader?.Node?.Core;

    /// <summary>How long all of them take at most.</summary>
    public static long MaxNs(SimShape shape) => 150 * shape.ElectionTimeoutNs;

    /// <summary>Runs them, as long as nothing was found.</summary>
    public async Task RunAsync()
    {
        if (!IsHealthy())
        {
            return;
        }

        foreach (var probe in new Func<Task>[] { StayQuietAsync, ComeBackAsync, ReplaceLeaderAsync, HandOverAsync, StepDownAsync, LoseTailAsync, DelayTransferAsync, LoseTransferAsync })
        {
            await probe();
            if (cluster.Invariants.Failure is not null)
            {
                return;
            }
        }
    }

    /// <summary>Every member runs, and nobody's disk was damaged.</summary>
    private bool IsHealthy() => LeaderCore is { } core && core.Configuration.Members.All(member => cluster.Find(member.Id) is { IsDamaged: false });

    /// <summary>With nobody's help a leader stays what it is: whatever wall clocks show (R45), and whoever was removed and does not know (R10, R11).</summary>
    private async Task StayQuietAsync()
    {
        foreach (var node in cluster.Nodes)
        {
            node.JumpWallClock(_random.Chance(0.5) ? 3600 * SimShape.Second : -3600 * SimShape.Second);
        }

        await ExpectNoElectionAsync("in a quiet cluster", QuietTimeouts);
    }

    /// <summary>A follower that was cut off comes back without a new term (R6, R8).</summary>
    private async Task ComeBackAsync()
    {
        var followers = cluster.Running.Where(node => node != cluster.Leader && LeaderCore!.Configuration.Find(node.Node!.Core.Id) is not null).ToArray();
        if (followers.Length == 0 || LeaderCore!.Configuration.Voters.Count == 2)
        {
            return;
        }

        var term = LeaderCore.CurrentTerm;
        var follower = _random.Pick(followers);
        cluster.Log.Say($"probe: node {follower.Number} is cut off and comes back");
        cluster.Network.Isolate(follower.Number);
        await WaitAsync(4);
        cluster.Network.Heal();
        await WaitAsync(4);
        Expect(term, $"node {follower.Number} was cut off and came back");
    }

    /// <summary>A leader that dies is replaced soon (R7), and comes back without a new term.</summary>
    private async Task ReplaceLeaderAsync()
    {
        if (LeaderCore!.Configuration.Voters.Count < 3)
        {
            return;
        }

        var old = cluster.Leader!;
        cluster.Log.Say($"probe: node {old.Number} dies and comes back");
        old.Machine.Kill();
        await WaitAsync(ElectionTimeouts);
        if (cluster.Leader?.Node?.CanWrite != true)
        {
            cluster.Invariants.Fail($"liveness: no leader within {ElectionTimeouts} election timeouts after leader {old.Number} was killed");
            return;
        }

        var term = LeaderCore!.CurrentTerm;
        old.Start();
        await WaitAsync(4);
        Expect(term, $"node {old.Number} was killed and came back");
    }

    /// <summary>A leader that hears no majority does not go on as one (R9); nor does one whose disk hangs (R20).</summary>
    private async Task StepDownAsync()
    {
        await WaitAsync(2);
        if (LeaderCore is not { Configuration.Voters.Count: >= 3 } || cluster.Leader is not { Node: { } context } old)
        {
            return;
        }

        var hangs = _random.Chance(0.5);
        cluster.Log.Say($"probe: leader {old.Number} {(hangs ? "has a disk that hangs" : "is cut off")}");
        if (hangs)
        {
            old.Delays.DiskStuckUntilNs = cluster.Scheduler.NowNs + (20 * TimeoutNs);
            context.Call((nowNs, outputs) => context.Requests.Serve(
                new LeaderRequest(LeaderOperation.CreateDatabase, "probe", cluster.Tier.PageSize), nowNs, outputs, static _ => { }));
        }
        else
        {
            cluster.Network.Isolate(old.Number);
        }

        await WaitAsync(4);
        if (context.Core.Role == RaftRole.Leader && old.Node == context)
        {
            cluster.Invariants.Fail($"liveness: leader {old.Number}, which {(hangs ? "has a disk that hangs" : "is cut off")}, still leads after 4 election timeouts");
        }

        old.Delays.DiskStuckUntilNs = 0;
        cluster.Network.Heal();
        await WaitAsync(ElectionTimeouts);
        if (cluster.Leader?.Node?.CanWrite != true)
        {
            cluster.Invariants.Fail($"liveness: no leader within {ElectionTimeouts} election timeouts after leader {old.Number} was heard again");
        }
    }

    /// <summary>The last entry of all is lost with its connection: it is sent again though nothing comes behind it (R44).</summary>
    private async Task LoseTailAsync()
    {
        await WaitAsync(2);
        if (cluster.Leader is not { Node.Core: { } core } leader)
        {
            return;
        }

        var followers = cluster.Running.Where(node => node != leader && core.Configuration.Find(node.Node!.Core.Id) is not null
            && core.Configuration.Voters.Count(id => id != node.Node.Core.Id) >= core.Configuration.Majority).ToArray();
        if (followers.Length == 0)
        {
            return;
        }

        var follower = _random.Pick(followers);
        cluster.Log.Say($"probe: an entry is lost on its way to node {follower.Number}");
        cluster.Network.Link(leader.Number, follower.Number).Clog(cluster.Scheduler.NowNs + TimeoutNs);
        await admin.AskAsync(new LeaderRequest(LeaderOperation.CreateDatabase, "tail", cluster.Tier.PageSize), cluster.Scheduler.NowNs + (TimeoutNs / 2));
        cluster.Network.Break(leader.Number, follower.Number);
        await WaitAsync(ElectionTimeouts);
        if (cluster.Leader == leader && follower.Node?.AppliedIndex != leader.Node?.AppliedIndex)
        {
            cluster.Invariants.Fail($"liveness: node {follower.Number} has applied {follower.Node?.AppliedIndex} and the leader {leader.Node?.AppliedIndex}, {ElectionTimeouts} election timeouts after a connection broke");
        }
    }

    private async Task ExpectNoElectionAsync(string when, int timeouts)
    {
        var term = LeaderCore!.CurrentTerm;
        await WaitAsync(timeouts);
        Expect(term, when);
    }

    private void Expect(Term term, string when)
    {
        if (LeaderCore is not { } core || core.CurrentTerm != term)
        {
            cluster.Invariants.Fail($"disturbance: {when}, and term {term} became {LeaderCore?.CurrentTerm.ToString() ?? "one without a leader"}");
        }
    }

    private async Task WaitAsync(int timeouts) => await cluster.Waits.Delay(timeouts * TimeoutNs);
}
