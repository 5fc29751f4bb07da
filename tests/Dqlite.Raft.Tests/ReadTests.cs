using Dqlite.Raft.Tests.Harness;
using static Dqlite.Raft.Tests.Harness.Short;

namespace Dqlite.Raft.Tests;

/// <summary>Reads and the lease: dissertation sections 6.4 and 6.4.1; R35 to R39.</summary>
public sealed class ReadTests
{
    private const long Lease = 60_000_000;

    private static readonly RaftOptions NoLease = new() { Id = N(1), LeaseNs = 0 };

    [Test]
    public void R35_A_read_waits_until_the_own_term_is_committed()
    {
        var lone = LoneCore.Leader(3, NoLease);
        Read(lone, 7);
        Assert.That(lone.Reads, Is.Empty);
        Assert.That(lone.Take(), Is.Empty);
        lone.Ack(2, 1);
        lone.Ack(2, 1, readSequence: 1);
        Assert.That(lone.Reads, Is.EqualTo(new[] { new ReadState(7, true, I(1)) }));
    }

    [Test]
    public void R36_An_echo_of_before_the_read_does_not_confirm_it()
    {
        var lone = LoneCore.Leader(3, NoLease);
        lone.Ack(2, 1);
        Read(lone, 1);
        lone.Receive(new HeartbeatResponse(N(2), N(1), lone.Core.CurrentTerm, 0, lone.NowNs));
        lone.Ack(3, 1);
        Assert.That(lone.Reads, Is.Empty);
        lone.Receive(new HeartbeatResponse(N(2), N(1), lone.Core.CurrentTerm, 1, lone.NowNs));
        Assert.That(lone.Reads, Is.EqualTo(new[] { new ReadState(1, true, I(1)) }));
    }

    [Test]
    public void Reads_that_arrive_during_a_round_share_the_next_one()
    {
        var lone = LoneCore.Leader(3, NoLease);
        lone.Ack(2, 1);
        lone.Take();
        for (var i = 1; i <= 100; i++)
        {
            Read(lone, i);
        }

        Assert.That(lone.Take().Count, Is.EqualTo(2), "one round");
        lone.Receive(new HeartbeatResponse(N(2), N(1), lone.Core.CurrentTerm, 1, lone.NowNs));
        Assert.That(lone.Reads.Select(read => read.RequestId), Is.EqualTo(new[] { 1L }));
        Assert.That(lone.Take().Count, Is.EqualTo(2), "the next");
        lone.Receive(new HeartbeatResponse(N(3), N(1), lone.Core.CurrentTerm, 2, lone.NowNs));
        Assert.That(lone.Reads, Has.Count.EqualTo(100));
    }

    [Test]
    public void An_append_response_confirms_a_round_too()
    {
        var lone = LoneCore.Leader(3, NoLease);
        lone.Ack(2, 1);
        Read(lone, 1);
        lone.Ack(3, 1, readSequence: 1);
        Assert.That(lone.Reads.Single().Success, Is.True);
    }

    [Test]
    public void A_non_voters_echo_confirms_nothing()
    {
        var lone = LoneCore.Leader(3, NoLease);
        lone.Ack(2, 1);
        lone.Do((core, now, outputs) => core.ProposeConfiguration(core.Configuration.With(Simulation.Member(4, MemberRole.NonVoter)), now, outputs));
        Read(lone, 1);
        lone.Receive(new HeartbeatResponse(N(4), N(1), lone.Core.CurrentTerm, 1, lone.NowNs));
        Assert.That(lone.Reads, Is.Empty);
    }

    [Test]
    public void Pending_reads_fail_when_leadership_is_lost()
    {
        var lone = LoneCore.Leader(3, NoLease);
        lone.Ack(2, 1);
        Read(lone, 1);
        Read(lone, 2);
        lone.Receive(new ReadIndexRequest(N(3), N(1), lone.Core.CurrentTerm, 30));
        lone.Take();
        lone.Receive(new HeartbeatRequest(N(2), N(1), T(9), I(0), 0, 0));
        lone.Persist();
        Assert.That(lone.Reads, Is.EqualTo(new[] { new ReadState(1, false, I(0)), new ReadState(2, false, I(0)) }));
        Assert.That(lone.Take().OfType<ReadIndexResponse>().Single(), Has.Property("Success").False.And.Property("RequestId").EqualTo(30L));
    }

    [Test]
    public void A_single_voter_reads_at_once()
    {
        var lone = LoneCore.Leader(1, NoLease);
        Read(lone, 1);
        Assert.That(lone.Reads.Single(), Is.EqualTo(new ReadState(1, true, I(1))));
    }

    [Test]
    public void A_follower_asks_the_leader()
    {
        var lone = LoneCore.Follower(1);
        lone.Heartbeat(1);
        lone.Take();
        Read(lone, 5);
        Assert.That(lone.TakeOne<ReadIndexRequest>(), Is.EqualTo(new ReadIndexRequest(N(1), N(2), T(1), 5)));
        lone.Receive(new ReadIndexResponse(N(2), N(1), T(1), 5, true, I(9)));
        lone.Receive(new ReadIndexResponse(N(2), N(1), T(1), 5, true, I(9)));
        Assert.That(lone.Reads, Is.EqualTo(new[] { new ReadState(5, true, I(9)) }), "once");
    }

    [Test]
    public void A_follower_without_a_leader_fails_a_read_at_once_and_a_pending_one_when_the_leader_is_lost()
    {
        var lone = LoneCore.Follower(1);
        Read(lone, 1);
        Assert.That(lone.Reads.Single().Success, Is.False);
        lone.Heartbeat(1);
        Read(lone, 2);
        lone.Do((core, now, outputs) => core.PeerDisconnected(N(2), now, outputs));
        Assert.That(lone.Reads.Last(), Is.EqualTo(new ReadState(2, false, I(0))));
    }

    [Test]
    public void A_follower_fails_a_read_that_is_not_answered_for_an_election_timeout()
    {
        var lone = LoneCore.Follower(1);
        lone.Heartbeat(1);
        Read(lone, 2);
        for (var i = 0; i < 50; i++)
        {
            Assert.That(lone.Reads, Is.Empty);
            lone.Tick();
            lone.Heartbeat(1);
        }

        Assert.That(lone.Reads.Single(), Is.EqualTo(new ReadState(2, false, I(0))));
    }

    [Test]
    public void R37_The_lease_counts_from_the_send_of_what_a_majority_acknowledged()
    {
        var lone = LoneCore.Leader(5);
        Assert.That(lone.Core.LeaseDeadlineNs, Is.Zero, "its term is not committed");
        var sent = lone.NowNs;
        lone.NowNs += 20_000_000;
        Echo(lone, 2, sent);
        Assert.That(lone.Core.LeaseDeadlineNs, Is.Zero);
        Echo(lone, 3, sent - 5_000_000);
        Assert.That(lone.Core.LeaseDeadlineNs, Is.EqualTo(sent - 5_000_000 + Lease), "the majority-th newest");
    }

    [Test]
    public void R38_An_expired_lease_falls_back_to_a_round_without_any_tick()
    {
        var lone = LoneCore.Leader();
        lone.Ack(2, 1);
        Read(lone, 1);
        Assert.That(lone.Reads.Single().Success, Is.True);
        lone.NowNs += Lease - 1;
        Read(lone, 2);
        Assert.That(lone.Reads, Has.Count.EqualTo(2));
        lone.Take();
        lone.NowNs += 1;
        Read(lone, 3);
        Assert.That(lone.Reads, Has.Count.EqualTo(2));
        Assert.That(lone.Take().OfType<HeartbeatRequest>().Count(), Is.EqualTo(2));
    }

    [Test]
    public void R37_A_leader_that_was_stopped_for_three_leases_serves_no_stale_read()
    {
        var simulation = new Simulation(new SimulationOptions { Seed = 37 });
        var old = simulation.Elect();
        simulation.RunFor(200_000_000);
        simulation.Pause(old);
        simulation.RunFor(2_000_000_000);
        var next = simulation.Nodes.Single(node => node != old && node.Core.Role == RaftRole.Leader);
        simulation.Propose(next, "newer");
        simulation.RunFor(100_000_000);
        simulation.Resume(old);
        simulation.Read(old);
        simulation.RunFor(1_000_000_000);
        Assert.That(old.Core.Role, Is.EqualTo(RaftRole.Follower));
    }

    [Test]
    public void A_voter_helps_nobody_before_the_lease_that_it_acknowledged_is_over_even_when_the_socket_is_closed()
    {
        var lone = LoneCore.Follower(1);
        lone.Heartbeat(1);
        lone.Take();
        lone.Core.CanCampaign = false;
        lone.Do((core, now, outputs) => core.PeerDisconnected(N(2), now, outputs));
        lone.NowNs += 65_999_999;
        lone.Receive(new PreVoteRequest(N(3), N(1), T(2), I(9), T(9)));
        lone.Receive(new VoteRequest(N(3), N(1), T(2), I(9), T(9), false));
        Assert.That(lone.TakeOne<PreVoteResponse>().Granted, Is.False);
        Assert.That(lone.Core.CurrentTerm, Is.EqualTo(T(1)));
        lone.NowNs += 1;
        lone.Receive(new PreVoteRequest(N(3), N(1), T(2), I(9), T(9)));
        lone.Receive(new VoteRequest(N(3), N(1), T(2), I(9), T(9), false));
        lone.PersistState();
        var answers = lone.Take();
        Assert.That(answers.OfType<PreVoteResponse>().Single().Granted, Is.True);
        Assert.That(answers.OfType<VoteResponse>().Single().Granted, Is.True);
    }

    [Test]
    public void A_voter_protects_the_lease_from_its_acknowledgement_not_from_the_receipt()
    {
        var lone = LoneCore.Follower(1);
        lone.Tick();
        lone.NowNs += 1_000_000_000;
        lone.Append(1, 0, 0, 0, Entry(1, 1));
        lone.NowNs += 50_000_000;
        lone.Persist();
        lone.Do((core, now, outputs) => core.PeerDisconnected(N(2), now, outputs));
        lone.NowNs += 60_000_000;
        lone.Take();
        lone.Receive(new PreVoteRequest(N(3), N(1), T(2), I(9), T(9)));
        Assert.That(lone.TakeOne<PreVoteResponse>().Granted, Is.False);
    }

    [Test]
    public void A_voter_that_took_the_newer_term_from_elsewhere_still_protects_the_lease()
    {
        var lone = LoneCore.Follower(1);
        lone.Heartbeat(1);
        lone.Receive(new VoteResponse(N(3), N(1), T(2), false));
        lone.Receive(new VoteRequest(N(3), N(1), T(2), I(9), T(9), false));
        lone.PersistState();
        Assert.That(lone.Take().OfType<VoteResponse>().Single().Granted, Is.False);
    }

    [Test]
    public void A_node_that_has_just_started_protects_the_lease_that_it_may_have_acknowledged_before()
    {
        var lone = LoneCore.Follower(1);
        lone.Receive(new PreVoteRequest(N(3), N(1), T(2), I(9), T(9)));
        Assert.That(lone.TakeOne<PreVoteResponse>().Granted, Is.False);
        lone.NowNs += 66_000_000;
        lone.Receive(new PreVoteRequest(N(3), N(1), T(2), I(9), T(9)));
        Assert.That(lone.TakeOne<PreVoteResponse>().Granted, Is.True);
    }

    [Test]
    public void Without_a_lease_there_is_nothing_to_protect()
    {
        var lone = new LoneCore(Voters(3), new HardState(T(1), NodeId.None), NoLease);
        lone.Heartbeat(1);
        lone.Take();
        lone.Do((core, now, outputs) => core.PeerDisconnected(N(2), now, outputs));
        Assert.That(lone.Take().OfType<PreVoteRequest>().Count(), Is.EqualTo(2));
    }

    [Test]
    public void An_idle_cluster_keeps_its_lease_by_heartbeats()
    {
        var simulation = new Simulation(new SimulationOptions { Seed = 3 });
        var leader = simulation.Elect();
        simulation.RunFor(1_000_000_000);
        for (var i = 0; i < 100; i++)
        {
            simulation.RunFor(7_000_000);
            simulation.Input(leader, (core, now, outputs) => Assert.That(core.LeaseDeadlineNs, Is.GreaterThan(now)));
        }
    }

    private static void Read(LoneCore lone, long requestId) => lone.Do((core, now, outputs) => core.Read(requestId, now, outputs));

    private static void Echo(LoneCore lone, int from, long sentAtNs) => lone.Receive(
        new AppendEntriesResponse(N(from), N(1), lone.Core.CurrentTerm, true, I(1), I(0), T(0), I(0), 0, sentAtNs));
}
