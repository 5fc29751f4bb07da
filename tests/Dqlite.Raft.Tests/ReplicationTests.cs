using Dqlite.Raft.Tests.Harness;
using static Dqlite.Raft.Tests.Harness.Short;

namespace Dqlite.Raft.Tests;

/// <summary>Raft sections 5.3 and 5.4; R12 to R17, R20, R29, R44.</summary>
public sealed class ReplicationTests
{
    [Test]
    public void A_new_leader_appends_a_no_op_and_commits_it_with_a_majority_of_disks()
    {
        var lone = LoneCore.Leader(3, null, 1, 1);
        Assert.That((lone.Core.LastIndex, lone.Core.CommitIndex, lone.Core.IsTermCommitted), Is.EqualTo((I(3), I(0), false)));
        lone.Ack(2, 3);
        Assert.That((lone.Core.CommitIndex, lone.Core.IsTermCommitted), Is.EqualTo((I(3), true)));
    }

    [Test]
    public void R12_Figure_8_an_entry_of_an_earlier_term_is_not_committed_by_counting_replicas()
    {
        // (c): S1 leads again and has replicated index 2, of term 2, to a majority.
        var lone = LoneCore.Leader(5, null, 1, 2);
        lone.Ack(2, 2);
        lone.Ack(3, 2);
        Assert.That(lone.Core.CommitIndex, Is.EqualTo(I(0)));

        // (e): an entry of its own term on a majority commits both.
        lone.Ack(2, 3);
        lone.Ack(3, 3);
        Assert.That(lone.Core.CommitIndex, Is.EqualTo(I(3)));
    }

    [Test]
    public void R13_A_follower_commits_no_further_than_what_the_message_covers()
    {
        var lone = LoneCore.Follower(2, 1, 1, 1, 1);
        lone.Append(2, 1, 1, 4, Entry(2, 1));
        Assert.That(lone.Core.CommitIndex, Is.EqualTo(I(2)), "entries 3 and 4 may still conflict");
        Assert.That(lone.Core.LastIndex, Is.EqualTo(I(4)));
    }

    [Test]
    public void R14_A_late_shorter_append_removes_nothing()
    {
        var lone = LoneCore.Follower(1);
        lone.Append(1, 0, 0, 0, Entry(1, 1), Entry(2, 1), Entry(3, 1));
        lone.Persist();
        lone.Take();
        lone.Append(1, 0, 0, 0, Entry(1, 1));
        Assert.That(lone.Core.LastIndex, Is.EqualTo(I(3)));
        Assert.That(lone.TakeOne<AppendEntriesResponse>().MatchIndex, Is.EqualTo(I(1)));
    }

    [Test]
    public void R14_A_conflict_at_or_below_commit_stops_the_node()
    {
        var lone = LoneCore.Follower(1);
        lone.Append(1, 0, 0, 2, Entry(1, 1), Entry(2, 1));
        Assert.That(() => lone.Append(2, 0, 0, 0, Entry(1, 2)), Throws.TypeOf<RaftInvariantException>());
        Assert.That(() => lone.Append(2, 1, 2, 0), Throws.TypeOf<RaftInvariantException>());
    }

    [Test]
    public void R15_A_conflict_removes_the_whole_tail()
    {
        var lone = LoneCore.Follower(3, 1, 1, 2, 2, 2);
        lone.Core.Receive(new AppendEntriesRequest(N(2), N(1), T(3), I(2), T(1), I(3), I(3), I(0), 0, 0, [Entry(3, 3)]), lone.NowNs, lone.Outputs);
        Assert.That(lone.Outputs.TruncateFrom, Is.EqualTo(I(3)));
        Assert.That(lone.Outputs.Appends.Select(entry => entry.Index), Is.EqualTo(new[] { I(3) }));
        Assert.That((lone.Core.LastIndex, lone.Core.PersistedIndex, lone.Core.TermAt(I(3))), Is.EqualTo((I(3), I(2), T(3))));
    }

    [Test]
    public void A_truncation_takes_entries_of_the_same_outputs_with_it()
    {
        var lone = LoneCore.Follower(1, 1, 1);
        void Receive(long term, long prev, long prevTerm, params LogEntry[] entries) => lone.Core.Receive(
            new AppendEntriesRequest(N(term == 1 ? 2 : 3), N(1), T(term), I(prev), T(prevTerm), I(prev + 1), I(prev + entries.Length), I(0), 0, 0, entries),
            lone.NowNs,
            lone.Outputs);
        Receive(1, 2, 1, Entry(3, 1), Entry(4, 1), Entry(5, 1));
        Receive(2, 3, 1, Entry(4, 2));
        Assert.That(lone.Outputs.TruncateFrom, Is.EqualTo(I(4)));
        Assert.That(lone.Outputs.Appends.Select(entry => (entry.Index, entry.Term)), Is.EqualTo(new[] { (I(3), T(1)), (I(4), T(2)) }));
        Receive(2, 1, 1, Entry(2, 2));
        Assert.That(lone.Outputs.TruncateFrom, Is.EqualTo(I(2)));
        Assert.That(lone.Outputs.Appends.Select(entry => (entry.Index, entry.Term)), Is.EqualTo(new[] { (I(2), T(2)) }));
    }

    [Test]
    public void R16_A_late_report_of_an_overwritten_entry_acknowledges_nothing()
    {
        var lone = LoneCore.Follower(1);
        lone.Append(1, 0, 0, 0, Entry(1, 1), Entry(2, 1));
        lone.Receive(new AppendEntriesRequest(N(3), N(1), T(2), I(1), T(1), I(2), I(2), I(0), 0, 0, [Entry(2, 2)]));
        lone.PersistState();
        lone.PersistOneWrite();
        Assert.That(lone.Core.PersistedIndex, Is.EqualTo(I(1)), "entry 1 is common to both");
        Assert.That(lone.Take(), Is.Empty);
        lone.PersistOneWrite();
        Assert.That(lone.TakeOne<AppendEntriesResponse>().MatchIndex, Is.EqualTo(I(2)));
    }

    [Test]
    public void R16_An_entry_that_comes_back_is_acknowledged_by_its_second_write_only()
    {
        // Figure 8: (2, term 2) is overwritten by term 3 and comes back with the leader of term 4.
        var lone = LoneCore.Follower(2, 1);
        lone.Append(2, 1, 1, 0, Entry(2, 2));
        lone.Receive(new AppendEntriesRequest(N(3), N(1), T(3), I(1), T(1), I(2), I(2), I(0), 0, 0, [Entry(2, 3)]));
        lone.Append(4, 1, 1, 0, Entry(2, 2));
        lone.PersistState();
        lone.PersistOneWrite();
        Assert.That(lone.Core.PersistedIndex, Is.EqualTo(I(1)), "that was the first write; the cut is still to come");
        lone.PersistOneWrite();
        Assert.That(lone.Core.PersistedIndex, Is.EqualTo(I(1)));
        lone.PersistOneWrite();
        Assert.That(lone.Core.PersistedIndex, Is.EqualTo(I(2)));
    }

    [Test]
    public void R17_A_single_node_commits_only_after_its_own_flush()
    {
        var lone = LoneCore.Leader(1);
        lone.Propose();
        Assert.That(lone.Core.CommitIndex, Is.EqualTo(I(1)));
        lone.PersistOneWrite();
        Assert.That(lone.Core.CommitIndex, Is.EqualTo(I(2)));
    }

    [Test]
    public void R17_A_leader_sends_before_its_own_flush_and_counts_itself_after()
    {
        var lone = LoneCore.Leader();
        lone.Ack(2, 1);
        lone.Take();
        lone.Propose();
        Assert.That(lone.Take().OfType<AppendEntriesRequest>().Select(request => request.To), Does.Contain(N(2)));
        lone.Ack(2, 2);
        Assert.That(lone.Core.CommitIndex, Is.EqualTo(I(1)));
        lone.Ack(3, 2);
        Assert.That(lone.Core.CommitIndex, Is.EqualTo(I(2)), "two followers are a majority without its disk");
    }

    [Test]
    public void R20_A_leader_whose_disk_fails_steps_down_and_names_a_successor()
    {
        var lone = LoneCore.Leader();
        lone.Ack(3, 1);
        lone.Take();
        lone.Do((core, now, outputs) => core.StepDown(now, outputs));
        Assert.That(lone.TakeOne<TimeoutNow>(), Is.EqualTo(new TimeoutNow(N(1), N(3), lone.Core.CurrentTerm, I(1))));
        Assert.That(lone.Core.LeaseDeadlineNs, Is.Zero);
    }

    [Test]
    public void R29_A_node_that_lost_what_it_acknowledged_stops()
    {
        var lone = LoneCore.Follower(1, 1);
        Assert.That(() => lone.Heartbeat(1, 2), Throws.TypeOf<RaftInvariantException>());
        Assert.That(
            () => new RaftCore(
                new RaftOptions { Id = N(1) },
                new RaftInitialState
                {
                    HardState = default,
                    Configuration = Voters(1),
                    FirstIndex = I(1),
                    PreviousTerm = T(0),
                    Entries = [],
                    CommitIndex = I(5),
                }),
            Throws.TypeOf<RaftInvariantException>());
    }

    [Test]
    public void An_acknowledgement_waits_for_the_disk_and_covers_all_that_became_durable()
    {
        var lone = LoneCore.Follower(1);
        lone.Append(1, 0, 0, 0, Entry(1, 1));
        lone.Append(1, 1, 1, 0, Entry(2, 1));
        lone.Append(1, 2, 1, 0, Entry(3, 1));
        Assert.That(lone.Take(), Is.Empty);
        lone.Do((core, now, outputs) => core.EntriesPersisted(I(2), T(1), now, outputs));
        Assert.That(lone.TakeOne<AppendEntriesResponse>().MatchIndex, Is.EqualTo(I(2)));
        lone.Do((core, now, outputs) => core.EntriesPersisted(I(3), T(1), now, outputs));
        Assert.That(lone.TakeOne<AppendEntriesResponse>().MatchIndex, Is.EqualTo(I(3)));
    }

    [Test]
    public void A_heartbeat_is_answered_whatever_the_disk_does()
    {
        var lone = LoneCore.Follower(1);
        lone.Append(1, 0, 0, 0, Entry(1, 1));
        lone.Heartbeat(1);
        Assert.That(lone.TakeOne<HeartbeatResponse>().SentAtNs, Is.EqualTo(lone.NowNs));
    }

    [Test]
    public void A_heartbeat_carries_no_more_than_the_followers_match()
    {
        var lone = LoneCore.Leader(3, null, 1, 1);
        lone.Ack(2, 3);
        lone.Take();
        lone.Tick(5);
        Assert.That(
            lone.Take().OfType<HeartbeatRequest>().Select(heartbeat => (heartbeat.To, heartbeat.LeaderCommit)),
            Is.EqualTo(new[] { (N(2), I(3)), (N(3), I(0)) }));
    }

    [Test]
    public void A_commit_travels_at_once_to_followers_that_get_no_entries_in_the_same_step()
    {
        var lone = LoneCore.Leader();
        lone.Ack(2, 1);
        lone.Ack(3, 1);
        lone.Propose();
        lone.Persist();
        lone.Take();
        lone.Ack(2, 2);
        var sent = lone.Take().Cast<AppendEntriesRequest>().ToArray();
        Assert.That(sent.Select(request => (request.To, request.LeaderCommit, request.PrevLogIndex, request.LastIndex)),
            Is.EqualTo(new[] { (N(2), I(2), I(2), I(2)), (N(3), I(2), I(2), I(2)) }));
        lone.Ack(3, 2);
        Assert.That(lone.Take(), Is.Empty);
    }

    [Test]
    public void A_deferred_commit_travels_with_the_next_entries_or_the_next_tick()
    {
        var lone = LoneCore.Leader(options: new RaftOptions { Id = N(1), DefersCommit = true });
        lone.Ack(2, 1);
        Assert.That(lone.Take().OfType<AppendEntriesRequest>().Select(request => (request.To, request.LeaderCommit)), Does.Contain((N(2), I(1))), "a new leader says at once what is committed");
        lone.Ack(3, 1);
        lone.Tick();
        lone.Take();
        lone.Propose();
        lone.Persist();
        lone.Take();
        lone.Ack(2, 2);
        Assert.That((lone.Core.CommitIndex, lone.Take().Count), Is.EqualTo((I(2), 0)));
        lone.Propose();
        var carried = lone.Take().Cast<AppendEntriesRequest>().Select(request => (request.To, request.LeaderCommit, request.LastIndex));
        Assert.That(carried, Is.EqualTo(new[] { (N(2), I(2), I(3)), (N(3), I(2), I(3)) }));
        lone.Persist();
        lone.Ack(3, 3);
        Assert.That(lone.Take(), Is.Empty);
        lone.Tick();
        var told = lone.Take().OfType<AppendEntriesRequest>().Select(request => (request.To, request.LeaderCommit, request.PrevLogIndex, request.LastIndex));
        Assert.That(told, Is.EqualTo(new[] { (N(2), I(3), I(3), I(3)), (N(3), I(3), I(3), I(3)) }));
        lone.Tick();
        Assert.That(lone.Take().OfType<AppendEntriesRequest>(), Is.Empty);
    }

    [Test]
    public void A_deferred_commit_travels_ahead_of_the_read_index_that_a_follower_asks_for()
    {
        var lone = LoneCore.Leader(options: new RaftOptions { Id = N(1), DefersCommit = true });
        lone.Ack(2, 1);
        lone.Ack(3, 1);
        lone.Propose();
        lone.Persist();
        lone.Ack(2, 2);
        lone.Tick(0);
        lone.Take();
        lone.Receive(new ReadIndexRequest(N(3), N(1), lone.Core.CurrentTerm, 7));
        lone.Ack(2, 2, readSequence: 1);
        var sent = lone.Take().Where(message => message.To == N(3)).ToList();
        var commit = sent.FindIndex(message => message is AppendEntriesRequest { LeaderCommit.Value: 2 });
        var answer = sent.FindIndex(message => message is ReadIndexResponse { Success: true, ReadIndex.Value: 2 });
        Assert.That((commit >= 0, answer > commit), Is.EqualTo((true, true)));
    }

    // Raft figure 7: the leader of term 8, and the logs (a) to (f) that followers may have.
    [TestCase("a", 1, 1, 1, 4, 4, 5, 5, 6, 6)]
    [TestCase("b", 1, 1, 1, 4)]
    [TestCase("c", 1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6)]
    [TestCase("d", 1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7)]
    [TestCase("e", 1, 1, 1, 4, 4, 4, 4)]
    [TestCase("f", 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3)]
    public void Figure_7_every_log_comes_to_equal_the_leaders_within_few_rounds(string name, params int[] terms)
    {
        var leader = LoneCore.LeaderAfter(7, 3, null, 1, 1, 1, 4, 4, 5, 5, 6, 6, 6);
        var follower = new RaftCore(
            new RaftOptions { Id = N(2) },
            new RaftInitialState
            {
                HardState = new HardState(T(7), NodeId.None),
                Configuration = Voters(3),
                FirstIndex = I(1),
                PreviousTerm = T(0),
                Entries = terms.Select(term => new EntryInfo(T(term), EntryKind.Application, 1)).ToArray(),
            });
        var outputs = new RaftOutputs();
        leader.NowNs += 1;
        leader.Do((core, now, o) => core.PeerConnected(N(2), now, o));
        var rounds = 0;
        while (follower.LastIndex != leader.Core.LastIndex || follower.LastTerm != leader.Core.LastTerm)
        {
            Assert.That(++rounds, Is.LessThan(8), "rounds");
            Exchange(leader, follower, outputs);
        }

        Assert.That(leader.Core.TermStarts, Is.EqualTo(follower.TermStarts), name);
        TestContext.Out.WriteLine($"({name}) {rounds} rounds");
    }

    [Test]
    public void R44_A_lost_append_is_found_by_the_next_heartbeat()
    {
        var lone = LoneCore.Leader();
        lone.Ack(2, 1);
        lone.Propose();
        lone.Take();
        lone.Tick(5);
        lone.Take();
        lone.Receive(new HeartbeatResponse(N(2), N(1), lone.Core.CurrentTerm, 0, lone.NowNs));
        var probe = lone.TakeOne<AppendEntriesRequest>();
        Assert.That((probe.PrevLogIndex, probe.LastIndex), Is.EqualTo((I(2), I(2))));
        lone.Receive(new AppendEntriesResponse(N(2), N(1), lone.Core.CurrentTerm, false, I(0), I(2), lone.Core.CurrentTerm, I(1), 0, lone.NowNs));
        Assert.That(lone.TakeOne<AppendEntriesRequest>().FirstIndex, Is.EqualTo(I(2)), "sent again");
    }

    [Test]
    public void R44_The_window_limits_messages_and_bytes_and_reopens_on_acknowledgement()
    {
        var lone = LoneCore.Leader(3, new RaftOptions { Id = N(1), MaxInflightMessages = 2, MaxAppendBytes = 4 });
        lone.Ack(2, 1);
        lone.Take();
        for (var i = 0; i < 10; i++)
        {
            lone.Propose("ab");
        }

        Assert.That(ToTwo().Select(request => (request.FirstIndex, request.LastIndex)), Is.EqualTo(new[] { (I(2), I(2)), (I(3), I(3)) }));
        lone.Ack(2, 3);
        Assert.That(ToTwo().Select(request => (request.FirstIndex, request.LastIndex)), Is.EqualTo(new[] { (I(4), I(5)), (I(6), I(7)) }), "batched");
        Assert.That(lone.Core.ProgressOf(N(2))!.Value.InflightMessages, Is.EqualTo(2));

        IEnumerable<AppendEntriesRequest> ToTwo() =>
            lone.Take().OfType<AppendEntriesRequest>().Where(request => request.To == N(2) && request.LastIndex >= request.FirstIndex).ToArray();
    }

    [Test]
    public void R44_A_window_of_bytes_lets_one_large_entry_pass()
    {
        var lone = LoneCore.Leader(3, new RaftOptions { Id = N(1), MaxInflightBytes = 4, MaxAppendBytes = 4 });
        lone.Ack(2, 1);
        lone.Propose(new string('x', 100));
        Assert.That(lone.Core.ProgressOf(N(2))!.Value.NextIndex, Is.EqualTo(I(3)));
        lone.Propose("y");
        Assert.That(lone.Core.ProgressOf(N(2))!.Value.NextIndex, Is.EqualTo(I(3)));
        lone.Ack(2, 2);
        Assert.That(lone.Core.ProgressOf(N(2))!.Value.NextIndex, Is.EqualTo(I(4)));
    }

    [Test]
    public void R44_A_disconnected_peer_is_probed_when_it_is_back()
    {
        var lone = LoneCore.Leader();
        lone.Ack(2, 1);
        lone.Propose();
        lone.Do((core, now, outputs) => core.PeerDisconnected(N(2), now, outputs));
        lone.Propose();
        lone.Take();
        Assert.That(lone.Core.ProgressOf(N(2))!.Value.State, Is.EqualTo(ReplicationState.Probe));
        lone.Do((core, now, outputs) => core.PeerConnected(N(2), now, outputs));
        var sent = lone.Take();
        Assert.That(sent.OfType<HeartbeatRequest>().Count(), Is.EqualTo(1));
        Assert.That(sent.OfType<AppendEntriesRequest>().Single().FirstIndex, Is.EqualTo(I(2)));
    }

    [Test]
    public void A_stale_rejection_changes_nothing()
    {
        var lone = LoneCore.Leader(3, null, 1, 1);
        lone.Ack(2, 3);
        lone.Propose();
        lone.Take();
        lone.Receive(new AppendEntriesResponse(N(2), N(1), lone.Core.CurrentTerm, false, I(0), I(2), T(0), I(0), 0, lone.NowNs));
        Assert.That(lone.Core.ProgressOf(N(2))!.Value.State, Is.EqualTo(ReplicationState.Replicate));
        Assert.That(lone.Take(), Is.Empty);
    }

    [Test]
    public void A_proposal_of_another_term_is_refused_without_effect()
    {
        var lone = LoneCore.Leader();
        var result = lone.Do((core, now, outputs) => core.Propose(core.CurrentTerm.Next, "x"u8.ToArray(), now, outputs));
        Assert.That(result.Refusal, Is.EqualTo(RefusalReason.OtherTerm));
        Assert.That(lone.Core.LastIndex, Is.EqualTo(I(1)));
        Assert.That(lone.Take(), Is.Empty);
    }

    [Test]
    public void A_leader_that_sees_a_newer_term_follows()
    {
        var lone = LoneCore.Leader();
        lone.Receive(new HeartbeatResponse(N(2), N(1), T(9), 0, 0));
        Assert.That((lone.Core.Role, lone.Core.CurrentTerm, lone.Core.VotedFor), Is.EqualTo((RaftRole.Follower, T(9), NodeId.None)));
    }

    [Test]
    public void A_stale_leader_is_told_the_newer_term()
    {
        var lone = LoneCore.Follower(5, 1);
        lone.Append(3, 1, 1, 0);
        Assert.That(lone.TakeOne<AppendEntriesResponse>(), Has.Property("Term").EqualTo(T(5)).And.Property("Success").False);
        lone.Heartbeat(3);
        Assert.That(lone.TakeOne<HeartbeatResponse>().Term, Is.EqualTo(T(5)));
        Assert.That(lone.Core.Leader, Is.EqualTo(NodeId.None));
    }

    [Test]
    public void A_malformed_append_stops_the_node_before_it_touches_the_log()
    {
        var lone = LoneCore.Follower(1);
        Assert.That(() => lone.Append(1, 0, 0, 0, Entry(2, 1)), Throws.TypeOf<RaftInvariantException>());
        Assert.That(() => lone.Append(1, 0, 0, 0, Entry(1, 1), Entry(2, 2)), Throws.TypeOf<RaftInvariantException>());
        Assert.That(lone.Core.LastIndex, Is.EqualTo(I(0)));
    }

    private static void Exchange(LoneCore leader, RaftCore follower, RaftOutputs outputs)
    {
        foreach (var request in leader.Take().OfType<AppendEntriesRequest>().Where(request => request.To == N(2)))
        {
            var entries = new List<LogEntry>();
            for (var index = request.FirstIndex; index <= request.LastIndex; index = index.Next)
            {
                entries.Add(Entry(index.Value, leader.Core.TermAt(index)!.Value.Value));
            }

            follower.Receive(request with { Entries = entries }, leader.NowNs, outputs);
            if (outputs.HardState is { } state)
            {
                follower.HardStatePersisted(state, leader.NowNs, outputs);
            }

            follower.EntriesPersisted(follower.LastIndex, follower.LastTerm, leader.NowNs, outputs);
            var responses = outputs.Messages.ToArray();
            outputs.Clear();
            foreach (var response in responses)
            {
                leader.Receive(response);
            }
        }
    }
}
