using System.Text;
using System.Text.Json;
using Dqlite.Raft;
using Dqlite.Simulation.Tests.Drive;
using Dqlite.Simulation.Tracing;

namespace Dqlite.Simulation.Tests.Tracing;

/// <summary>Traces of the driver's scenarios obey the laws that any checker starts from: docs/formats/trace.md.</summary>
public sealed class TraceTests
{
    private static IReadOnlyList<string> Scripts => DriveScript.Names;

    [TestCaseSource(nameof(Scripts))]
    public void The_same_script_gives_the_same_trace(string script) => Assert.That(TraceOf(script), Is.EqualTo(TraceOf(script)));

    [TestCaseSource(nameof(Scripts))]
    public void Sequence_numbers_count_the_lines_and_time_never_falls(string script)
    {
        var lines = LinesOf(script);
        Assert.That(lines.Select(line => line.Sequence), Is.EqualTo(Enumerable.Range(1, lines.Count)));
        Assert.That(lines.Select(line => line.TimeNs), Is.Ordered);
    }

    [TestCaseSource(nameof(Scripts))]
    public void What_is_received_was_sent_before(string script)
    {
        // The same message may arrive twice, so it is not taken out.
        var sent = new HashSet<string>();
        foreach (var line in LinesOf(script))
        {
            if (line.Name.StartsWith("Send", StringComparison.Ordinal))
            {
                sent.Add(line.Name[4..] + line.Message);
            }
            else if (line.Name.StartsWith("Receive", StringComparison.Ordinal))
            {
                Assert.That(sent, Does.Contain(line.Name[7..] + line.Message), line.Text);
            }
        }
    }

    [TestCaseSource(nameof(Scripts))]
    public void Terms_and_commit_indexes_never_fall_while_a_node_runs(string script)
    {
        var last = new Dictionary<string, TraceLine>();
        foreach (var line in LinesOf(script))
        {
            // A node that starts again has what it had on disk.
            if (line.Name != "InitState" && last.TryGetValue(line.Node, out var earlier))
            {
                Assert.That(line.Term, Is.GreaterThanOrEqualTo(earlier.Term), line.Text);
                Assert.That(line.Commit, Is.GreaterThanOrEqualTo(earlier.Commit), line.Text);
                Assert.That(line.Commit, Is.LessThanOrEqualTo(line.Log), line.Text);
            }

            last[line.Node] = line;
        }
    }

    [TestCaseSource(nameof(Scripts))]
    public void A_term_has_one_leader_and_a_node_one_vote_in_it(string script)
    {
        var leaders = new Dictionary<string, string>();
        var votes = new Dictionary<string, string>();
        foreach (var line in LinesOf(script))
        {
            var term = $"{line.Cluster} {line.Term}";
            if (line.Role == "StateLeader")
            {
                Assert.That(leaders.TryAdd(term, line.Node) || leaders[term] == line.Node, Is.True, line.Text);
            }

            if (line.Name == "SendRequestVoteResponse" && !line.IsReject)
            {
                var voter = $"{line.Node} in {line.Term}";
                Assert.That(votes.TryAdd(voter, line.To) || votes[voter] == line.To, Is.True, line.Text);
            }
        }
    }

    [TestCaseSource(nameof(Scripts))]
    public void Only_a_leader_sends_entries_and_only_a_candidate_asks_for_votes(string script)
    {
        foreach (var line in LinesOf(script))
        {
            var role = line.Name switch
            {
                "SendAppendEntriesRequest" or "Replicate" or "ChangeConf" => "StateLeader",
                "SendRequestVoteRequest" => "StateCandidate",
                _ => line.Role,
            };
            Assert.That(line.Role, Is.EqualTo(role), line.Text);
        }
    }

    [TestCaseSource(nameof(Scripts))]
    public void A_leader_commits_only_after_its_own_term_began(string script)
    {
        var began = new Dictionary<string, long>();
        foreach (var line in LinesOf(script))
        {
            if (line.Name == "BecomeLeader")
            {
                began[line.Node] = line.Log;
            }
            else if (line is { Name: "Commit", Role: "StateLeader" })
            {
                Assert.That(line.Commit, Is.GreaterThan(began[line.Node]), line.Text);
            }
        }
    }

    [Test]
    public void An_election_is_traced_from_the_own_vote_to_the_first_commit()
    {
        var names = LinesOf("election").Where(line => line is { Tag: "trace", Node: "2" }).Select(line => line.Name).ToArray();
        Assert.That(names.TakeWhile(name => name != "Commit"), Is.EqualTo(new[]
        {
            "InitState", "BecomeCandidate", "SendRequestVoteResponse", "Ready", "ReceiveRequestVoteResponse", "SendRequestVoteRequest",
            "SendRequestVoteRequest", "Ready", "ReceiveRequestVoteResponse", "BecomeLeader", "Replicate", "SendAppendEntriesResponse",
            "SendAppendEntriesRequest", "SendAppendEntriesRequest", "Ready", "Ready", "ReceiveAppendEntriesResponse",
            "ReceiveRequestVoteResponse", "ReceiveAppendEntriesResponse",
        }));
    }

    [Test]
    public void A_membership_is_proposed_in_force_and_applied_in_this_order()
    {
        var lines = LinesOf("membership").Where(line => line.Node == "1" && line.Name is "ChangeConf" or "ApplyConfChange" or "AdoptConf").ToArray();
        Assert.That(lines.Where(line => line.Node == "1").Take(4).Select(line => line.Name), Is.EqualTo(new[] { "ChangeConf", "ApplyConfChange", "ChangeConf", "ApplyConfChange" }));
        Assert.That(lines.Where(line => line.Name == "ChangeConf").Select(line => line.Property), Is.EqualTo(new[]
        {
            """{"cc":{"changes":[{"nid":"2","action":"AddLearner"}]}}""",
            """{"cc":{"changes":[{"nid":"2","action":"AddNewServer"}]}}""",
            """{"cc":{"changes":[{"nid":"3","action":"AddLearner"}]}}""",
            """{"cc":{"changes":[{"nid":"3","action":"AddNewServer"}]}}""",
            """{"cc":{"changes":[{"nid":"3","action":"AddLearner"}]}}""",
        }));
    }

    [Test]
    public void What_the_specification_of_etcd_does_not_know_has_another_tag()
    {
        var own = LinesOf("pre_vote").Where(line => line.Tag == "dqlite").Select(line => line.Name).Distinct().Order();
        Assert.That(own, Is.EqualTo(new[]
        {
            "BecomeFollower", "BecomePreCandidate", "Commit", "IgnoreRequestVoteRequest", "ReceivePreVoteRequest", "ReceivePreVoteResponse", "SendPreVoteRequest", "SendPreVoteResponse",
        }));
    }

    [Test]
    public void A_leader_that_steps_down_with_its_last_messages_sends_them_as_leader()
    {
        // Node 2 removes itself: one step commits that, tells the followers and names a successor.
        var lines = LinesOf("membership");
        var last = lines.FindLastIndex(line => line is { Node: "2", Name: "Commit", Role: "StateLeader" });
        var names = lines.Skip(last).TakeWhile(line => line.Name != "BecomeFollower").Select(line => line.Name);
        Assert.That(names, Is.EqualTo(new[] { "Commit", "SendAppendEntriesRequest", "SendAppendEntriesRequest", "SendTimeoutNow" }));
    }

    [Test]
    public void An_observer_that_sees_two_inputs_at_once_writes_what_happened_between_them()
    {
        var stream = new MemoryStream();
        using var writer = new TraceWriter(stream, () => 1);
        var observer = writer.Observe();
        var id = new NodeId(1);
        var members = new ClusterConfiguration([new ClusterMember(id, "node1:1", "", MemberRole.Voter)]);
        var core = new RaftCore(new RaftOptions { Id = id, LeaseNs = 0 }, new RaftInitialState
        {
            HardState = default,
            Configuration = members,
            FirstIndex = new LogIndex(1),
            PreviousTerm = Term.Zero,
            Entries = [],
        });
        var outputs = new RaftOutputs();
        observer.OnStart(core);
        observer.OnInput(core, CoreInput.Other);
        core.Tick(1, outputs);
        observer.OnInput(core, CoreInput.HardStatePersisted(outputs.HardState!.Value));
        core.HardStatePersisted(outputs.HardState.Value, 1, outputs);
        observer.OnOutputs(core, outputs);
        Assert.That(Parse(stream).Select(line => line.Name), Is.EqualTo(new[]
        {
            "InitState", "BecomeCandidate", "SendRequestVoteResponse", "Ready", "ReceiveRequestVoteResponse", "BecomeLeader", "Replicate",
            "SendAppendEntriesResponse",
        }));
    }

    private static string TraceOf(string script)
    {
        using var stream = new MemoryStream();
        DriveScript.Run(script, stream);
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static List<TraceLine> LinesOf(string script)
    {
        using var stream = new MemoryStream();
        DriveScript.Run(script, stream);
        return Parse(stream);
    }

    private static List<TraceLine> Parse(MemoryStream stream) =>
        [.. Encoding.UTF8.GetString(stream.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(TraceLine.Parse)];

    /// <summary>What the laws need of a line.</summary>
    private sealed record TraceLine(string Text, string Tag, long Sequence, long TimeNs, string Name, string Node, long Term, long Commit, string Role, long Log,
        string Message, string To, bool IsReject, string Property)
    {
        /// <summary>A script's second cluster has ids of two digits.</summary>
        public int Cluster => Node.Length;

        public static TraceLine Parse(string text)
        {
            using var document = JsonDocument.Parse(text);
            var line = document.RootElement;
            var e = line.GetProperty("event");
            var state = e.GetProperty("state");
            var hasMessage = e.TryGetProperty("msg", out var message);
            return new TraceLine(
                text,
                line.GetProperty("tag").GetString()!,
                line.GetProperty("seq").GetInt64(),
                line.GetProperty("time").GetInt64(),
                e.GetProperty("name").GetString()!,
                e.GetProperty("nid").GetString()!,
                state.GetProperty("term").GetInt64(),
                state.GetProperty("commit").GetInt64(),
                e.GetProperty("role").GetString()!,
                e.GetProperty("log").GetInt64(),
                hasMessage ? message.GetRawText() : "",
                hasMessage ? message.GetProperty("to").GetString()! : "",
                hasMessage && message.GetProperty("reject").GetBoolean(),
                e.TryGetProperty("prop", out var property) ? property.GetRawText() : "");
        }
    }
}
