using Dqlite.Raft.Tests.Harness;
using static Dqlite.Raft.Tests.Harness.Short;

namespace Dqlite.Raft.Tests;

/// <summary>Raft sections 5.1, 5.2 and 5.4.1, dissertation sections 4.2.3 and 9.6; R1 to R11.</summary>
public sealed class ElectionTests
{
    [Test]
    public void A_single_voter_elects_itself_on_the_first_tick()
    {
        var lone = new LoneCore(Voters(1), default);
        lone.Tick();
        lone.Persist();
        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.Leader));
        Assert.That(lone.Core.IsTermCommitted, Is.True);
        Assert.That(lone.Take(), Is.Empty);
    }

    [Test]
    public void R1_A_vote_leaves_only_after_it_is_durable()
    {
        var lone = LoneCore.Follower(0);
        lone.Receive(new VoteRequest(N(2), N(1), T(2), I(0), T(0), false));
        Assert.That(lone.Take(), Is.Empty);
        lone.PersistState();
        Assert.That(lone.TakeOne<VoteResponse>().Granted, Is.True);
    }

    [Test]
    public void R1_A_candidate_asks_and_counts_itself_only_after_its_vote_is_durable()
    {
        var lone = LoneCore.Follower(0);
        lone.Do((core, now, outputs) => core.Campaign(now, outputs));
        lone.Take();
        lone.Receive(new PreVoteResponse(N(2), N(1), T(0), T(1), true));
        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.Candidate));
        Assert.That(lone.Take(), Is.Empty);
        lone.Receive(new VoteResponse(N(2), N(1), T(1), true));
        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.Candidate));
        lone.PersistState();
        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.Leader));
    }

    [Test]
    public void R1_An_append_response_waits_for_the_term_that_it_names()
    {
        var lone = LoneCore.Follower(1);
        lone.Append(5, 0, 0, 0);
        Assert.That(lone.Take(), Is.Empty);
        lone.PersistState();
        Assert.That(lone.TakeOne<AppendEntriesResponse>().Term, Is.EqualTo(T(5)));
    }

    [Test]
    public void R1_What_was_withheld_under_an_older_term_is_never_sent()
    {
        var lone = LoneCore.Follower(0);
        lone.Receive(new VoteRequest(N(2), N(1), T(1), I(0), T(0), false));
        lone.Receive(new VoteRequest(N(3), N(1), T(2), I(0), T(0), false));
        lone.PersistState();
        Assert.That(lone.TakeOne<VoteResponse>(), Is.EqualTo(new VoteResponse(N(1), N(3), T(2), true)));
    }

    [Test]
    public void R2_Term_and_vote_leave_as_one_record()
    {
        var lone = LoneCore.Follower(0);
        lone.Core.Receive(new VoteRequest(N(2), N(1), T(7), I(0), T(0), false), lone.NowNs, lone.Outputs);
        Assert.That(lone.Outputs.HardState, Is.EqualTo(new HardState(T(7), N(2))));
    }

    [Test]
    public void R3_Stepping_down_in_the_same_term_keeps_the_vote()
    {
        var lone = LoneCore.Leader();
        var term = lone.Core.CurrentTerm;
        lone.Do((core, now, outputs) => core.StepDown(now, outputs));
        Assert.That((lone.Core.Role, lone.Core.CurrentTerm, lone.Core.VotedFor), Is.EqualTo((RaftRole.Follower, term, N(1))));
        lone.Receive(new VoteRequest(N(3), N(1), term, I(9), T(9), false));
        Assert.That(lone.TakeOne<VoteResponse>().Granted, Is.False);
    }

    [Test]
    public void R3_A_candidate_that_finds_a_leader_keeps_its_vote()
    {
        var lone = LoneCore.Follower(0);
        lone.Do((core, now, outputs) => core.Campaign(now, outputs));
        lone.Receive(new PreVoteResponse(N(2), N(1), T(0), T(1), true));
        lone.Persist();
        lone.Heartbeat(1);
        Assert.That((lone.Core.Role, lone.Core.Leader, lone.Core.VotedFor), Is.EqualTo((RaftRole.Follower, N(2), N(1))));
    }

    [Test]
    public void R4_Duplicated_and_foreign_votes_do_not_make_a_majority()
    {
        var lone = new LoneCore(Voters(5), default);
        lone.Do((core, now, outputs) => core.Campaign(now, outputs));
        foreach (var from in new[] { 2, 2, 2, 9, 8 })
        {
            lone.Receive(new PreVoteResponse(N(from), N(1), T(0), T(1), true));
        }

        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.PreCandidate));
        lone.Receive(new PreVoteResponse(N(3), N(1), T(0), T(1), true));
        lone.PersistState();
        foreach (var from in new[] { 2, 2, 2, 9, 8 })
        {
            lone.Receive(new VoteResponse(N(from), N(1), T(1), true));
        }

        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.Candidate));
    }

    [Test]
    public void R5_A_restart_of_the_whole_cluster_never_lowers_a_term()
    {
        var simulation = new Simulation(new SimulationOptions { Seed = 5, MaxDiskNs = 1_000_000 });
        for (var i = 0; i < 5; i++)
        {
            var before = simulation.Elect().Core.CurrentTerm;
            simulation.RunFor(100_000_000);
            simulation.Nodes.ToList().ForEach(simulation.Crash);
            simulation.Nodes.ToList().ForEach(simulation.Restart);
            Assert.That(simulation.Nodes.Min(node => node.Core.CurrentTerm), Is.GreaterThanOrEqualTo(before));
        }
    }

    [Test]
    public void R6_A_lagging_node_in_a_leaderless_cluster_never_raises_the_term()
    {
        var lone = new LoneCore(Voters(3), new HardState(T(3), NodeId.None), null, 1, 3);
        lone.Tick(100);
        lone.Persist();
        var term = lone.Core.CurrentTerm;
        lone.Take();
        lone.Receive(new PreVoteRequest(N(3), N(1), T(9), I(7), T(2)));
        Assert.That(lone.TakeOne<PreVoteResponse>(), Is.EqualTo(new PreVoteResponse(N(1), N(3), term, T(9), false)));
        Assert.That(lone.Core.CurrentTerm, Is.EqualTo(term));
    }

    [Test]
    public void R7_A_low_term_with_a_long_log_and_a_high_term_with_a_short_one_elect_within_five_timeouts()
    {
        var simulation = new Simulation(new SimulationOptions { Seed = 7 });
        var leader = simulation.Elect();
        simulation.RunFor(100_000_000);
        var (longLog, highTerm) = (simulation.Nodes.First(node => node != leader), simulation.Nodes.Last(node => node != leader));
        simulation.Isolate(highTerm);
        for (var i = 0; i < 5; i++)
        {
            simulation.Propose(leader, "x");
        }

        simulation.RunFor(100_000_000);
        simulation.Crash(leader);
        simulation.Crash(highTerm);
        highTerm.Disk.HardState = new HardState(T(20), NodeId.None);
        simulation.Restart(highTerm);
        simulation.Heal();
        Assert.That(simulation.RunUntil(() => simulation.Leader == longLog, 5 * 500_000_000L), Is.True);
        Assert.That(longLog.Core.CurrentTerm, Is.GreaterThan(T(20)));
    }

    [Test]
    public void R7_A_pre_vote_of_a_voter_with_a_lower_term_counts()
    {
        var lone = LoneCore.Follower(7, 6);
        lone.Tick(100);
        lone.Receive(new PreVoteResponse(N(2), N(1), T(3), T(8), true));
        Assert.That(lone.Core.CurrentTerm, Is.EqualTo(T(8)));
    }

    [Test]
    public void R8_A_rejoin_after_isolation_changes_neither_leader_nor_term([Values(3, 5)] int voters)
    {
        var simulation = new Simulation(new SimulationOptions { Voters = voters, Seed = 8 });
        var leader = simulation.Elect();
        var term = leader.Core.CurrentTerm;
        simulation.Isolate(simulation.Nodes.First(node => node != leader));
        simulation.RunFor(20_000_000_000);
        simulation.Heal();
        simulation.RunFor(5_000_000_000);
        Assert.That(simulation.Nodes.Select(node => (node.Core.Leader, node.Core.CurrentTerm)), Is.All.EqualTo((leader.Id, term)));
    }

    [Test]
    public void R9_An_isolated_leader_steps_down_within_one_election_timeout()
    {
        var lone = LoneCore.Leader();
        lone.Tick(49);
        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.Leader));
        lone.Tick();
        Assert.That((lone.Core.Role, lone.Core.Leader), Is.EqualTo((RaftRole.Follower, NodeId.None)));
        Assert.That(lone.Propose().Refusal, Is.EqualTo(RefusalReason.NotLeader));
    }

    [Test]
    public void R9_A_leader_heard_by_a_majority_stays()
    {
        var lone = LoneCore.Leader(5);
        for (var i = 0; i < 100; i++)
        {
            lone.Tick();
            lone.Receive(new HeartbeatResponse(N(2), N(1), lone.Core.CurrentTerm, 0, lone.NowNs));
            lone.Receive(new HeartbeatResponse(N(4), N(1), lone.Core.CurrentTerm, 0, lone.NowNs));
        }

        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.Leader));
    }

    [Test]
    public void R10_A_removed_server_with_the_old_membership_disrupts_nobody_over_100_timeouts()
    {
        var simulation = new Simulation(new SimulationOptions { Voters = 4, Seed = 10 });
        var leader = simulation.Elect();
        var removed = simulation.Nodes.First(node => node != leader);
        simulation.Isolate(removed);
        simulation.Input(leader, (core, now, outputs) => core.ProposeConfiguration(core.Configuration.Without(removed.Id), now, outputs));
        simulation.RunFor(1_000_000_000);
        var term = leader.Core.CurrentTerm;
        simulation.Heal();
        simulation.RunFor(100 * 500_000_000L);
        Assert.That((simulation.Leader, leader.Core.CurrentTerm), Is.EqualTo((leader, term)));
        Assert.That(removed.Core.Configuration.IsVoter(removed.Id), Is.True, "it does not know");
    }

    [Test]
    public void R11_A_non_voter_never_campaigns()
    {
        var configuration = Voters(3).With(Simulation.Member(1, MemberRole.NonVoter));
        var lone = new LoneCore(configuration, default);
        lone.Tick(1000);
        lone.Do((core, now, outputs) => core.Campaign(now, outputs));
        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.Follower));
        Assert.That(lone.Take(), Is.Empty);
    }

    [Test]
    public void A_node_that_may_not_campaign_does_not()
    {
        var lone = LoneCore.Follower(0);
        lone.Core.CanCampaign = false;
        lone.Tick(1000);
        lone.Heartbeat(1);
        lone.Persist();
        lone.Receive(new TimeoutNow(N(2), N(1), T(1), I(0)));
        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.Follower));
    }

    [Test]
    public void A_demotion_that_may_still_roll_back_does_not_keep_the_node_from_campaigning()
    {
        // Dissertation section 4.2.2: it may hold the only log that can win.
        var lone = LoneCore.Follower(1);
        lone.Append(1, 0, 0, 0, Entry(1, 1, Voters(4).Without(N(1))));
        lone.Persist();
        lone.NowNs += 1_000_000_000;
        lone.Tick(100);
        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.PreCandidate));
        lone.Receive(new PreVoteResponse(N(2), N(1), T(1), T(2), true));
        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.PreCandidate), "its own vote does not count");
        lone.Receive(new PreVoteResponse(N(3), N(1), T(1), T(2), true));
        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.Candidate));
    }

    [TestCase(2, 3, true, Description = "same last term, longer")]
    [TestCase(2, 2, true, Description = "same last term, same length")]
    [TestCase(2, 1, false, Description = "same last term, shorter")]
    [TestCase(3, 1, true, Description = "later last term")]
    [TestCase(1, 9, false, Description = "earlier last term")]
    public void Section_5_4_1_A_vote_goes_only_to_a_log_at_least_as_up_to_date(long lastTerm, long lastIndex, bool isGranted)
    {
        var lone = LoneCore.Follower(2, 1, 2);
        lone.Tick();
        lone.NowNs += 1_000_000_000;
        lone.Receive(new VoteRequest(N(3), N(1), T(4), I(lastIndex), T(lastTerm), false));
        lone.PersistState();
        Assert.That(lone.TakeOne<VoteResponse>().Granted, Is.EqualTo(isGranted));
    }

    [Test]
    public void A_vote_is_given_once_per_term_and_repeated_to_the_same_candidate()
    {
        var lone = LoneCore.Follower(0);
        foreach (var from in new[] { 2, 3, 2 })
        {
            lone.Receive(new VoteRequest(N(from), N(1), T(1), I(0), T(0), false));
            lone.PersistState();
        }

        Assert.That(lone.Take().Cast<VoteResponse>().Select(response => response.Granted), Is.EqualTo(new[] { true, false, true }));
    }

    [Test]
    public void A_follower_of_a_live_leader_ignores_votes_and_refuses_pre_votes()
    {
        var lone = LoneCore.Follower(1);
        lone.Heartbeat(1);
        lone.Tick(49);
        lone.Take();
        lone.Receive(new VoteRequest(N(3), N(1), T(2), I(9), T(9), false));
        Assert.That(lone.Take(), Is.Empty);
        Assert.That(lone.Core.CurrentTerm, Is.EqualTo(T(1)));
        lone.Receive(new PreVoteRequest(N(3), N(1), T(2), I(9), T(9)));
        Assert.That(lone.TakeOne<PreVoteResponse>().Granted, Is.False);
        lone.Tick();
        lone.Receive(new PreVoteRequest(N(3), N(1), T(2), I(9), T(9)));
        Assert.That(lone.Take().OfType<PreVoteResponse>().Single().Granted, Is.True, "the minimum timeout has passed, its own timer need not have fired");
    }

    [Test]
    public void A_leader_announces_the_ticks_until_its_next_heartbeat_as_quiet()
    {
        var lone = LoneCore.Leader();
        lone.Persist();
        lone.Ack(2, 1);
        lone.Ack(3, 1);
        lone.Tick(5);
        Assert.That(lone.Take().OfType<HeartbeatRequest>().Count(), Is.EqualTo(2));
        Assert.That(lone.Core.QuietTicks, Is.EqualTo(4));
        lone.Tick(4);
        Assert.That(lone.Take(), Is.Empty);
        Assert.That(lone.Core.QuietTicks, Is.Zero);
        lone.Tick();
        Assert.That(lone.Take(), Is.Not.Empty);
    }

    [Test]
    public void A_follower_announces_the_ticks_until_its_timer_fires_as_quiet()
    {
        var lone = LoneCore.Follower(1);
        lone.Heartbeat(1);
        lone.Take();
        var quiet = lone.Core.QuietTicks;
        Assert.That(quiet, Is.InRange(49, 98));
        lone.Tick(quiet);
        Assert.That(lone.Take(), Is.Empty);
        lone.Tick();
        Assert.That(lone.Take().OfType<PreVoteRequest>().Count(), Is.EqualTo(2));
    }

    [Test]
    public void A_follower_of_a_dead_leader_says_when_the_lease_ends_and_campaigns_then()
    {
        var lone = LoneCore.Follower(1);
        lone.Heartbeat(1);
        lone.Take();
        Assert.That(lone.Core.CampaignAtNs, Is.Null);
        var acknowledgedNs = lone.NowNs;
        lone.NowNs += 1_000_000;
        lone.Do((core, now, outputs) => core.PeerDisconnected(N(2), now, outputs));
        Assert.That(lone.Core.CampaignAtNs, Is.EqualTo(acknowledgedNs + 66_000_000));
        lone.NowNs = acknowledgedNs + 65_999_999;
        lone.Do((core, now, outputs) => core.Campaign(now, outputs));
        Assert.That(lone.Take(), Is.Empty);
        lone.NowNs++;
        lone.Do((core, now, outputs) => core.Campaign(now, outputs));
        Assert.That(lone.Take().OfType<PreVoteRequest>().Count(), Is.EqualTo(2));
        Assert.That(lone.Core.CampaignAtNs, Is.Null);
    }

    [Test]
    public void A_closed_leader_connection_starts_a_pre_vote_at_once_after_the_lease()
    {
        var lone = LoneCore.Follower(1);
        lone.Heartbeat(1);
        lone.Take();
        lone.Do((core, now, outputs) => core.PeerDisconnected(N(2), now, outputs));
        Assert.That(lone.Take(), Is.Empty, "its own vote is a vote too");
        lone.Tick(6);
        Assert.That(lone.Take(), Is.Empty);
        lone.Tick();
        Assert.That(lone.Take().Select(message => message.Kind), Is.EqualTo(new[] { RaftMessageKind.PreVoteRequest, RaftMessageKind.PreVoteRequest }));
    }

    [Test]
    public void The_death_of_a_leaders_process_elects_another_within_a_tenth_of_a_second([Values(3, 5, 7)] int voters, [Range(1, 10)] int seed)
    {
        var simulation = new Simulation(new SimulationOptions { Voters = voters, Seed = (ulong)seed, MaxDiskNs = 1_000_000 });
        var dead = simulation.Elect();
        simulation.RunFor(300_000_000);
        simulation.CrashVisibly(dead);
        Assert.That(simulation.RunUntil(() => simulation.Leader is not null, 100_000_000), Is.True);
    }

    [Test]
    public void Simultaneous_pre_candidates_with_equal_logs_leave_the_field_to_the_lower_id()
    {
        var lone = LoneCore.Follower(0);
        lone.Do((core, now, outputs) => core.Campaign(now, outputs));
        lone.Receive(new PreVoteRequest(N(3), N(1), T(1), I(0), T(0)));
        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.PreCandidate));
        var higher = new RaftCore(
            new RaftOptions { Id = N(3) },
            new RaftInitialState { HardState = default, Configuration = Voters(3), FirstIndex = I(1), PreviousTerm = T(0), Entries = [] });
        higher.Campaign(0, lone.Outputs);
        higher.Receive(new PreVoteRequest(N(1), N(3), T(1), I(0), T(0)), 0, lone.Outputs);
        Assert.That(higher.Role, Is.EqualTo(RaftRole.Follower));
    }

    [Test]
    public void Two_leaders_of_one_term_break_an_invariant()
    {
        var lone = LoneCore.Follower(1);
        lone.Heartbeat(1);
        Assert.That(() => lone.Receive(new HeartbeatRequest(N(3), N(1), T(1), I(0), 0, 0)), Throws.TypeOf<RaftInvariantException>());
    }

    [Test]
    public void R45_A_clock_that_jumps_causes_no_election()
    {
        var lone = LoneCore.Follower(1);
        lone.Heartbeat(1);
        lone.Take();
        lone.NowNs += 3_600_000_000_000;
        lone.Tick(10);
        lone.NowNs -= 7_200_000_000_000;
        lone.Tick(10);
        Assert.That(lone.Take(), Is.Empty);
    }
}
