using Dqlite.Raft.Tests.Harness;
using static Dqlite.Raft.Tests.Harness.Short;

namespace Dqlite.Raft.Tests;

/// <summary>Membership changes: dissertation chapter 4; R21 to R27, R29.</summary>
public sealed class MembershipTests
{
    [Test]
    public void R21_A_change_is_refused_until_an_entry_of_the_own_term_is_committed()
    {
        var lone = LoneCore.Leader();
        var next = lone.Core.Configuration.Without(N(3));
        Assert.That(Change(lone, next), Is.EqualTo(RefusalReason.TermNotCommitted));
        lone.Ack(2, 1);
        Assert.That(Change(lone, next), Is.EqualTo(RefusalReason.None));
    }

    [Test]
    public void R22_One_change_at_a_time()
    {
        var lone = LeaderWithTerm(5);
        Assert.That(Change(lone, lone.Core.Configuration.Without(N(5))), Is.EqualTo(RefusalReason.None));
        Assert.That(Change(lone, lone.Core.Configuration.Without(N(4))), Is.EqualTo(RefusalReason.ChangeInProgress));
        lone.Persist();
        lone.Ack(2, 2);
        lone.Ack(3, 2);
        Assert.That(lone.Core.IsConfigurationCommitted, Is.True);
        Assert.That(Change(lone, lone.Core.Configuration.Without(N(4))), Is.EqualTo(RefusalReason.None));
    }

    [Test]
    public void R22_An_inherited_uncommitted_change_counts_as_in_flight()
    {
        // The no-op commits it along, so the only window is before that: refused for the term's sake.
        var lone = LoneCore.Follower(1);
        lone.Append(1, 0, 0, 0, Entry(1, 1, Voters(4)));
        lone.Persist();
        lone.NowNs += 1_000_000_000;
        lone.Do((core, now, outputs) => core.Campaign(now, outputs));
        lone.Receive(new PreVoteResponse(N(2), N(1), T(1), T(2), true));
        lone.Receive(new PreVoteResponse(N(3), N(1), T(1), T(2), true));
        lone.Persist();
        lone.Receive(new VoteResponse(N(2), N(1), T(2), true));
        lone.Receive(new VoteResponse(N(3), N(1), T(2), true));
        lone.Persist();
        Assert.That((lone.Core.Role, lone.Core.IsConfigurationCommitted), Is.EqualTo((RaftRole.Leader, false)));
        Assert.That(Change(lone, Voters(3)), Is.EqualTo(RefusalReason.TermNotCommitted));
        lone.Ack(2, 2);
        Assert.That(lone.Core.CommitIndex, Is.EqualTo(I(0)), "three of four are needed");
        lone.Ack(4, 2);
        Assert.That(lone.Core.IsConfigurationCommitted, Is.True);
    }

    [Test]
    public void R23_An_uncommitted_change_rolls_back_with_its_entry()
    {
        var lone = LoneCore.Follower(1);
        lone.Append(1, 0, 0, 0, Entry(1, 1), Entry(2, 1, Voters(4)), Entry(3, 1, Voters(5)));
        Assert.That((lone.Core.Configuration.Voters.Count, lone.Core.ConfigurationIndex), Is.EqualTo((5, I(3))));
        lone.Core.Receive(new AppendEntriesRequest(N(3), N(1), T(2), I(2), T(1), I(3), I(3), I(0), 0, 0, [Entry(3, 2)]), lone.NowNs, lone.Outputs);
        Assert.That(lone.Outputs.ConfigurationChanged, Is.True);
        Assert.That((lone.Core.Configuration.Voters.Count, lone.Core.ConfigurationIndex), Is.EqualTo((4, I(2))));
        lone.Core.Receive(new AppendEntriesRequest(N(2), N(1), T(3), I(1), T(1), I(2), I(2), I(0), 0, 0, [Entry(2, 3)]), lone.NowNs, lone.Outputs);
        Assert.That((lone.Core.Configuration.Voters.Count, lone.Core.ConfigurationIndex), Is.EqualTo((3, I(0))), "the initial one");
    }

    [Test]
    public void R24_A_snapshot_brings_the_membership_and_a_restart_rebuilds_it_with_its_non_voters()
    {
        var simulation = new Simulation(new SimulationOptions { Voters = 3, Spares = 1, Seed = 24 });
        var leader = simulation.Elect();
        var joiner = simulation[4];
        for (var i = 0; i < 20; i++)
        {
            simulation.Propose(leader, $"{i}");
        }

        simulation.RunFor(200_000_000);
        simulation.Compact(leader, leader.Core.CommitIndex);
        simulation.Input(leader, (core, now, outputs) =>
            core.ProposeConfiguration(core.Configuration.With(Simulation.Member(4, MemberRole.NonVoter)), now, outputs));
        simulation.RunFor(1_000_000_000);
        Assert.That(joiner.Applied, Is.EqualTo(leader.Applied));
        Assert.That(joiner.StateHash, Is.EqualTo(leader.StateHash));
        simulation.Compact(joiner, joiner.Applied);
        simulation.Crash(joiner);
        simulation.Restart(joiner);
        Assert.That(joiner.Core.Configuration.Members, Is.EqualTo(leader.Core.Configuration.Members));
        Assert.That(joiner.Core.ConfigurationIndex, Is.EqualTo(leader.Core.ConfigurationIndex));
        Assert.That(joiner.Core.TermStarts, Is.EqualTo(leader.Core.TermStarts));
    }

    [Test]
    public void R25_The_membership_in_force_is_the_last_one_in_the_log_not_the_last_applied()
    {
        var lone = LeaderWithTerm(3);
        Change(lone, lone.Core.Configuration.Without(N(3)));
        Assert.That(lone.Core.Configuration.Voters, Is.EqualTo(new[] { N(1), N(2) }));
        Assert.That(lone.Core.IsConfigurationCommitted, Is.False);
        Assert.That(lone.Core.ProgressOf(N(3)), Is.Null);
        lone.Persist();
        lone.Receive(new AppendEntriesResponse(N(3), N(1), lone.Core.CurrentTerm, true, I(2), I(0), T(0), I(0), 0, lone.NowNs));
        Assert.That(lone.Core.CommitIndex, Is.EqualTo(I(1)), "a removed voter's disk does not count");
    }

    [Test]
    public void R26_A_non_voter_is_promoted_only_after_it_caught_up()
    {
        var lone = LeaderWithTerm(3);
        Assert.That(Change(lone, lone.Core.Configuration.With(Simulation.Member(4, MemberRole.Voter))), Is.EqualTo(RefusalReason.NotCaughtUp));
        Change(lone, lone.Core.Configuration.With(Simulation.Member(4, MemberRole.NonVoter)));
        lone.Persist();
        lone.Ack(2, 2);
        var promotion = lone.Core.Configuration.With(Simulation.Member(4, MemberRole.Voter));
        Assert.That(Change(lone, promotion), Is.EqualTo(RefusalReason.NotCaughtUp));
        lone.Ack(4, 1);
        Assert.That(Change(lone, promotion), Is.EqualTo(RefusalReason.NotCaughtUp), "one round has to end");
        lone.Ack(4, 2);
        Assert.That(Change(lone, promotion), Is.EqualTo(RefusalReason.None));
        Assert.That(lone.Core.Configuration.Voters, Has.Count.EqualTo(4));
    }

    [Test]
    public void R26_Under_load_a_member_that_ends_its_rounds_in_time_counts_as_caught_up()
    {
        var lone = LeaderWithTerm(3);
        Change(lone, lone.Core.Configuration.With(Simulation.Member(4, MemberRole.NonVoter)));
        lone.Persist();
        lone.Ack(2, 2);
        for (var i = 3; i < 20; i++)
        {
            lone.Propose();
            lone.Persist();
            lone.Ack(2, i);
            lone.Ack(4, i - 1);
            lone.Tick();
        }

        Assert.That(lone.Core.ProgressOf(N(4))!.Value.MatchIndex, Is.LessThan(lone.Core.LastIndex));
        Assert.That(Change(lone, lone.Core.Configuration.With(Simulation.Member(4, MemberRole.Voter))), Is.EqualTo(RefusalReason.None));
    }

    [Test]
    public void R27_A_leader_that_removes_itself_replicates_until_that_is_committed_and_does_not_count_itself()
    {
        var lone = LeaderWithTerm(3);
        Change(lone, lone.Core.Configuration.Without(N(1)));
        lone.Persist();
        lone.Ack(2, 2);
        Assert.That((lone.Core.Role, lone.Core.CommitIndex), Is.EqualTo((RaftRole.Leader, I(1))), "two of {2, 3} are needed");
        lone.Take();
        lone.Ack(3, 2);
        var sent = lone.Take();
        Assert.That((lone.Core.Role, lone.Core.CommitIndex), Is.EqualTo((RaftRole.Follower, I(2))));
        Assert.That(sent.OfType<AppendEntriesRequest>().Select(request => (request.To, request.LeaderCommit)), Is.EqualTo(new[] { (N(2), I(2)), (N(3), I(2)) }));
        Assert.That(sent.OfType<TimeoutNow>().Count(), Is.EqualTo(1), "its successor need not wait for a timeout");
        lone.Tick(1000);
        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.Follower));
    }

    [Test]
    public void R27_The_cluster_goes_on_without_the_leader_that_removed_itself([Values(2, 3, 5)] int voters)
    {
        var simulation = new Simulation(new SimulationOptions { Voters = voters, Seed = 27 });
        var leader = simulation.Elect();
        simulation.Input(leader, (core, now, outputs) => core.ProposeConfiguration(core.Configuration.Without(leader.Id), now, outputs));
        Assert.That(simulation.RunUntil(() => simulation.Leader is { Core.IsTermCommitted: true } next && next != leader, 100_000_000), Is.True);
    }

    [Test]
    public void R29_Another_incarnation_under_a_known_id_is_refused()
    {
        var lone = LeaderWithTerm(3);
        var reborn = Simulation.Member(3, MemberRole.Voter) with { Incarnation = "another" };
        Assert.That(Change(lone, lone.Core.Configuration.With(reborn)), Is.EqualTo(RefusalReason.InvalidChange));
        var moved = Simulation.Member(3, MemberRole.Voter) with { Address = "elsewhere:1" };
        Assert.That(Change(lone, lone.Core.Configuration.With(moved)), Is.EqualTo(RefusalReason.None));
    }

    [Test]
    public void R29_A_node_that_knows_no_membership_votes_for_nobody()
    {
        var lone = new LoneCore(ClusterConfiguration.Empty, default);
        lone.Receive(new PreVoteRequest(N(2), N(1), T(2), I(9), T(1)));
        lone.Receive(new VoteRequest(N(2), N(1), T(2), I(9), T(1), false));
        lone.PersistState();
        var answers = lone.Take();
        Assert.That(answers.OfType<PreVoteResponse>().Single().Granted, Is.False);
        Assert.That(answers.OfType<VoteResponse>().Single().Granted, Is.False);
    }

    [Test]
    public void A_change_of_two_members_of_none_or_without_a_voter_left_is_refused()
    {
        var lone = LeaderWithTerm(3);
        var configuration = lone.Core.Configuration;
        Assert.That(Change(lone, configuration.Without(N(2)).Without(N(3))), Is.EqualTo(RefusalReason.InvalidChange));
        Assert.That(Change(lone, configuration), Is.EqualTo(RefusalReason.InvalidChange));
        Assert.That(Change(lone, ClusterConfiguration.Empty), Is.EqualTo(RefusalReason.InvalidChange));
        var single = LoneCore.Leader(1);
        Assert.That(Change(single, single.Core.Configuration.With(Simulation.Member(1, MemberRole.NonVoter))), Is.EqualTo(RefusalReason.InvalidChange));
    }

    [Test]
    public void A_cluster_grows_from_one_to_seven_and_shrinks_to_one()
    {
        var simulation = new Simulation(new SimulationOptions { Voters = 1, Spares = 6, Seed = 17, MaxDiskNs = 1_000_000 });
        simulation.Elect();
        for (var i = 2; i <= 7; i++)
        {
            ChangeUntilDone(simulation, configuration => configuration.With(Simulation.Member(i, MemberRole.NonVoter)));
            ChangeUntilDone(simulation, configuration => configuration.With(Simulation.Member(i, MemberRole.Voter)));
        }

        for (var i = 1; i <= 6; i++)
        {
            ChangeUntilDone(simulation, configuration => configuration.Without(N(i)));
        }

        Assert.That(simulation.Elect().Id, Is.EqualTo(N(7)));
        Assert.That(simulation[7].Core.Configuration.Voters, Is.EqualTo(new[] { N(7) }));
    }

    private static void ChangeUntilDone(Simulation simulation, Func<ClusterConfiguration, ClusterConfiguration> change)
    {
        for (var attempt = 0; attempt < 100; attempt++)
        {
            var leader = simulation.Elect();
            simulation.Propose(leader, "load");
            var refusal = RefusalReason.None;
            simulation.Input(leader, (core, now, outputs) => refusal = core.ProposeConfiguration(change(core.Configuration), now, outputs).Refusal);
            simulation.RunFor(50_000_000);
            if (refusal == RefusalReason.None)
            {
                return;
            }
        }

        Assert.Fail("the change was refused a hundred times");
    }

    private static LoneCore LeaderWithTerm(int voters)
    {
        var lone = LoneCore.Leader(voters);
        for (var i = 2; i <= (voters / 2) + 1; i++)
        {
            lone.Ack(i, 1);
        }

        Assert.That(lone.Core.IsTermCommitted, Is.True);
        return lone;
    }

    private static RefusalReason Change(LoneCore lone, ClusterConfiguration next) =>
        lone.Do((core, now, outputs) => core.ProposeConfiguration(next, now, outputs)).Refusal;
}
