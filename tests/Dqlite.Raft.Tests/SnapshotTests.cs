using Dqlite.Raft.Tests.Harness;
using static Dqlite.Raft.Tests.Harness.Short;

namespace Dqlite.Raft.Tests;

/// <summary>Snapshots and compaction: Raft section 7; R30, R31, R33.</summary>
public sealed class SnapshotTests
{
    [Test]
    public void R30_A_stale_snapshot_is_ignored()
    {
        var lone = LoneCore.Follower(1);
        lone.Append(1, 0, 0, 2, Entry(1, 1), Entry(2, 1), Entry(3, 1));
        Assert.That(Install(lone, 2, 1), Is.False);
        Assert.That((lone.Core.CommitIndex, lone.Core.FirstIndex, lone.Core.LastIndex), Is.EqualTo((I(2), I(1), I(3))));
    }

    [Test]
    public void A_snapshot_whose_last_entry_the_log_holds_keeps_the_log_and_advances_commit()
    {
        // Raft figure 13, step 6: what lies behind may be acknowledged already.
        var lone = LoneCore.Follower(1);
        lone.Append(1, 0, 0, 0, Entry(1, 1), Entry(2, 1), Entry(3, 1));
        Assert.That(Install(lone, 2, 1), Is.False);
        Assert.That((lone.Core.CommitIndex, lone.Core.LastIndex), Is.EqualTo((I(2), I(3))));
    }

    [Test]
    public void A_snapshot_replaces_the_log_and_is_acknowledged()
    {
        var lone = LoneCore.Follower(2, 1, 1, 1);
        lone.Heartbeat(2);
        lone.Take();
        Assert.That(Install(lone, 9, 2, new TermStart(T(1), I(1)), new TermStart(T(2), I(4)), new TermStart(T(3), I(30))), Is.True);
        Assert.That(
            (lone.Core.FirstIndex, lone.Core.LastIndex, lone.Core.LastTerm, lone.Core.CommitIndex, lone.Core.PersistedIndex),
            Is.EqualTo((I(10), I(9), T(2), I(9), I(9))));
        Assert.That((lone.Core.TermAt(I(3)), lone.Core.TermAt(I(4)), lone.Core.TermAt(I(10))), Is.EqualTo(((Term?)T(1), (Term?)T(2), (Term?)null)));
        Assert.That(lone.Core.Configuration.Voters, Has.Count.EqualTo(5));
        Assert.That(lone.TakeOne<AppendEntriesResponse>().MatchIndex, Is.EqualTo(I(9)));
        lone.Append(2, 9, 2, 9, Entry(10, 2));
        Assert.That(lone.Core.LastIndex, Is.EqualTo(I(10)));
    }

    [Test]
    public void R31_A_late_report_of_a_write_from_before_the_snapshot_acknowledges_nothing()
    {
        var lone = LoneCore.Follower(1);
        lone.Append(1, 0, 0, 0, Entry(1, 1), Entry(2, 1), Entry(3, 1), Entry(4, 1));
        Install(lone, 2, 2, new TermStart(T(2), I(1)));
        lone.Append(2, 2, 2, 2, Entry(3, 2), Entry(4, 2));
        lone.Do((core, now, outputs) => core.EntriesPersisted(I(4), T(1), now, outputs));
        Assert.That(lone.Core.PersistedIndex, Is.EqualTo(I(2)));
        lone.Do((core, now, outputs) => core.EntriesPersisted(I(4), T(2), now, outputs));
        Assert.That(lone.Core.PersistedIndex, Is.EqualTo(I(4)));
    }

    [Test]
    public void R31_Two_snapshots_back_to_back_and_an_append_between()
    {
        var lone = LoneCore.Follower(1);
        Assert.That(Install(lone, 5, 1, new TermStart(T(1), I(1))), Is.True);
        lone.Append(1, 5, 1, 5, Entry(6, 1));
        Assert.That(Install(lone, 9, 1, new TermStart(T(1), I(1))), Is.True);
        Assert.That(Install(lone, 5, 1, new TermStart(T(1), I(1))), Is.False);
        Assert.That((lone.Core.FirstIndex, lone.Core.CommitIndex), Is.EqualTo((I(10), I(9))));
    }

    [Test]
    public void R31_A_snapshot_of_a_newer_term_brings_the_term()
    {
        var lone = LoneCore.Follower(1);
        Install(lone, 5, 4, new TermStart(T(4), I(1)));
        Assert.That(lone.Core.CurrentTerm, Is.EqualTo(T(4)));
    }

    [Test]
    public void R33_A_follower_behind_the_compacted_log_needs_a_snapshot()
    {
        var lone = LoneCore.Leader(3, null, 1, 1, 1);
        lone.Ack(2, 4);
        lone.Core.Compact(I(4));
        Assert.That(lone.Core.TermAt(I(2)), Is.EqualTo(T(1)), "terms stay known");
        lone.Core.Receive(new AppendEntriesResponse(N(3), N(1), lone.Core.CurrentTerm, false, I(0), I(3), T(1), I(1), 0, lone.NowNs), lone.NowNs, lone.Outputs);
        Assert.That(lone.Outputs.SnapshotsNeeded, Is.EqualTo(new[] { N(3) }));
        Assert.That(lone.Core.ProgressOf(N(3))!.Value.State, Is.EqualTo(ReplicationState.Snapshot));
        lone.Outputs.Clear();
        lone.Take();

        lone.Propose();
        Assert.That(lone.Take().Select(message => message.To), Is.EqualTo(new[] { N(2) }), "nothing is sent meanwhile");
        lone.Do((core, now, outputs) => core.SnapshotSent(N(3), true, I(4), now, outputs));
        Assert.That(lone.TakeOne<AppendEntriesRequest>().FirstIndex, Is.EqualTo(I(5)));
    }

    [Test]
    public void R33_A_failed_snapshot_is_tried_again_at_the_next_sign_of_life()
    {
        var lone = LoneCore.Leader(3, null, 1, 1, 1);
        lone.Ack(2, 4);
        lone.Core.Compact(I(4));
        lone.Receive(new AppendEntriesResponse(N(3), N(1), lone.Core.CurrentTerm, false, I(0), I(3), T(1), I(1), 0, lone.NowNs));
        lone.Core.SnapshotSent(N(3), false, I(4), lone.NowNs, lone.Outputs);
        Assert.That(lone.Outputs.SnapshotsNeeded, Is.Empty);
        lone.Core.Receive(new HeartbeatResponse(N(3), N(1), lone.Core.CurrentTerm, 0, lone.NowNs), lone.NowNs, lone.Outputs);
        Assert.That(lone.Outputs.SnapshotsNeeded, Is.EqualTo(new[] { N(3) }));
    }

    [Test]
    public void Only_committed_entries_can_be_compacted()
    {
        var lone = LoneCore.Leader();
        Assert.That(() => lone.Core.Compact(I(1)), Throws.TypeOf<RaftInvariantException>());
    }

    [Test]
    public void R10_A_candidate_whose_snapshot_says_that_it_is_no_voter_stands_back()
    {
        // The stream began before the node lost its leader, and ends after that.
        var lone = LoneCore.Follower(1);
        lone.NowNs += 1_000_000_000;
        lone.Tick(100);
        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.PreCandidate));
        lone.Do((core, now, outputs) => core.SnapshotInstalled(I(9), T(1), Voters(4).Without(N(1)), I(4), [new TermStart(T(1), I(1))], now, outputs));
        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.Follower));
        lone.NowNs += 1_000_000_000;
        lone.Tick(100);
        Assert.That(lone.Core.Role, Is.EqualTo(RaftRole.Follower), "nor does it campaign again");
    }

    private static bool Install(LoneCore lone, long index, long term, params TermStart[] starts) => lone.Do((core, now, outputs) =>
        core.SnapshotInstalled(I(index), T(term), Voters(5), I(1), starts, now, outputs));
}
