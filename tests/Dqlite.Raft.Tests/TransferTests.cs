using Dqlite.Raft.Tests.Harness;
using static Dqlite.Raft.Tests.Harness.Short;

namespace Dqlite.Raft.Tests;

/// <summary>Leadership transfer: dissertation section 3.10; R39, R41 to R43.</summary>
public sealed class TransferTests
{
    [Test]
    public void R41_A_transfer_waits_until_the_target_has_the_whole_log()
    {
        var lone = LoneCore.Leader();
        lone.Ack(2, 1);
        lone.Propose();
        lone.Take();
        Assert.That(Transfer(lone, 2), Is.EqualTo(RefusalReason.None));
        Assert.That(lone.Take(), Is.Empty);
        Assert.That(lone.Propose().Refusal, Is.EqualTo(RefusalReason.TransferInProgress));
        lone.Ack(2, 2);
        Assert.That(lone.Take().OfType<TimeoutNow>().Single(), Is.EqualTo(new TimeoutNow(N(1), N(2), lone.Core.CurrentTerm, I(2))));
    }

    [Test]
    public void R41_An_aborted_transfer_accepts_proposals_again_after_one_election_timeout()
    {
        var lone = LoneCore.Leader();
        lone.Ack(2, 1);
        lone.Propose();
        Transfer(lone, 3);
        for (var i = 0; i < 50; i++)
        {
            Assert.That(lone.Propose().Refusal, Is.EqualTo(RefusalReason.TransferInProgress));
            lone.Tick();
            lone.Ack(2, 1);
        }

        Assert.That(lone.Propose().Refusal, Is.EqualTo(RefusalReason.None));
    }

    [Test]
    public void R41_Under_load_leadership_moves_to_the_target([Values(2, 3, 5)] int voters)
    {
        var simulation = new Simulation(new SimulationOptions { Voters = voters, Seed = 41, MaxDiskNs = 2_000_000 });
        var leader = simulation.Elect();
        var target = simulation.Nodes.Last(node => node != leader);
        for (var i = 0; i < 200; i++)
        {
            simulation.Propose(leader, $"{i}");
            if (i == 100)
            {
                simulation.Input(leader, (core, now, outputs) => core.TransferLeadership(target.Id, now, outputs));
            }
        }

        Assert.That(simulation.RunUntil(() => target.Core.IsTermCommitted, 450_000_000), Is.True);
    }

    [Test]
    public void R42_A_transfer_to_a_wrong_target_or_a_second_one_is_refused_without_effect()
    {
        var lone = LoneCore.Leader();
        lone.Ack(2, 1);
        lone.Do((core, now, outputs) => core.ProposeConfiguration(core.Configuration.With(Simulation.Member(4, MemberRole.NonVoter)), now, outputs));
        Assert.That(Transfer(lone, 4), Is.EqualTo(RefusalReason.InvalidTarget));
        Assert.That(Transfer(lone, 9), Is.EqualTo(RefusalReason.InvalidTarget));
        Assert.That(Transfer(lone, 1), Is.EqualTo(RefusalReason.InvalidTarget));
        Assert.That(lone.Core.IsTransferInProgress, Is.False);
        Assert.That(Transfer(lone, 3), Is.EqualTo(RefusalReason.None));
        Assert.That(Transfer(lone, 2), Is.EqualTo(RefusalReason.TransferInProgress));
        Assert.That(LoneCore.Follower(1).Do((core, now, outputs) => core.TransferLeadership(N(2), now, outputs)), Is.EqualTo(RefusalReason.NotLeader));
    }

    [Test]
    public void A_transfer_to_nobody_in_particular_goes_to_the_voter_with_the_most_log()
    {
        var lone = LoneCore.Leader();
        lone.Propose();
        lone.Ack(2, 1);
        lone.Ack(3, 2);
        lone.Take();
        Assert.That(Transfer(lone, 0), Is.EqualTo(RefusalReason.None));
        Assert.That(lone.TakeOne<TimeoutNow>().To, Is.EqualTo(N(3)));
    }

    [Test]
    public void R43_The_target_skips_pre_vote_and_voters_skip_stickiness_and_lease()
    {
        var lone = LoneCore.Follower(1, 1);
        lone.Heartbeat(1);
        lone.Take();
        lone.Receive(new TimeoutNow(N(2), N(1), T(1), I(1)));
        lone.PersistState();
        Assert.That(lone.Take().Cast<VoteRequest>().Select(request => request.LeadershipTransfer), Is.EqualTo(new[] { true, true }));

        var voter = LoneCore.Follower(1, 1);
        voter.Heartbeat(1);
        voter.Take();
        voter.Receive(new VoteRequest(N(3), N(1), T(2), I(1), T(1), true));
        voter.PersistState();
        Assert.That(voter.TakeOne<VoteResponse>().Granted, Is.True);
    }

    [TestCase(1, 2)]
    [TestCase(1, 0)]
    [TestCase(2, 1)]
    public void R39_A_delayed_TimeoutNow_of_another_term_or_log_is_void(long term, long lastIndex)
    {
        var lone = LoneCore.Follower(1, 1);
        lone.Heartbeat(1);
        lone.Take();
        lone.Receive(new TimeoutNow(N(2), N(1), T(term), I(lastIndex)));
        lone.PersistState();
        Assert.That((lone.Core.Role, lone.Core.CurrentTerm), Is.EqualTo((RaftRole.Follower, T(1))));
        Assert.That(lone.Take(), Is.Empty);
    }

    [Test]
    public void R39_The_lease_is_dropped_before_TimeoutNow_leaves_and_back_only_after_a_later_commit()
    {
        var lone = LoneCore.Leader();
        lone.Ack(2, 1);
        Assert.That(lone.Core.LeaseDeadlineNs, Is.GreaterThan(0));
        Transfer(lone, 2);
        Assert.That(lone.Core.LeaseDeadlineNs, Is.Zero);
        for (var i = 0; i < 50; i++)
        {
            lone.Tick();
            lone.Ack(2, 1);
        }

        Assert.That(lone.Core.IsTransferInProgress, Is.False);
        Assert.That(lone.Core.LeaseDeadlineNs, Is.Zero, "the message may still arrive");
        Assert.That(lone.Core.LastIndex, Is.EqualTo(I(2)), "a no-op makes it void");
        lone.Persist();
        lone.Ack(3, 2);
        Assert.That(lone.Core.CommitIndex, Is.EqualTo(I(2)));
        Assert.That(lone.Core.LeaseDeadlineNs, Is.GreaterThan(0));
    }

    [Test]
    public void A_target_that_disconnects_aborts_the_transfer()
    {
        var lone = LoneCore.Leader();
        lone.Ack(2, 1);
        Transfer(lone, 3);
        lone.Do((core, now, outputs) => core.PeerDisconnected(N(3), now, outputs));
        Assert.That(lone.Propose().Refusal, Is.EqualTo(RefusalReason.None));
    }

    private static RefusalReason Transfer(LoneCore lone, int target) =>
        lone.Do((core, now, outputs) => core.TransferLeadership(N(target), now, outputs));
}
