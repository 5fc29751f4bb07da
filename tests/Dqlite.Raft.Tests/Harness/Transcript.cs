using System.Text;
using Dqlite.Raft;
using static Dqlite.Raft.Tests.Harness.Short;

namespace Dqlite.Raft.Tests.Harness;

/// <summary>
/// Runs a script of commands against a cluster whose network and disks move only when told, and writes down what every node does. A
/// transcript is commands, a line "----", and what they printed; see Transcripts/README.md for the commands.
/// </summary>
public sealed class Transcript
{
    private readonly StringBuilder _text = new();
    private readonly SafetyChecker _checker = new();
    private readonly SortedDictionary<long, VirtualNode> _nodes = [];
    private readonly List<RaftMessage> _network = [];
    private readonly HashSet<long> _isolated = [];
    private readonly Dictionary<long, (RaftRole, Term, NodeId)> _states = [];
    private long _nowNs = 1_000_000_000;

    /// <summary>Replays the commands of a transcript and returns it with what they print now.</summary>
    public string Run(string script)
    {
        var result = new StringBuilder();
        foreach (var block in script.ReplaceLineEndings("\n").Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            var lines = block.Trim('\n').Split('\n').TakeWhile(line => line != "----").ToArray();
            foreach (var line in lines)
            {
                if (!line.StartsWith('#'))
                {
                    Execute(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
                }

                result.Append(line).Append('\n');
            }

            if (!lines.All(line => line.StartsWith('#')))
            {
                result.Append("----\n").Append(_text.Length == 0 ? "(nothing)\n" : _text);
            }

            result.Append('\n');
            _text.Clear();
        }

        return result.ToString().TrimEnd('\n') + "\n";
    }

    private void Execute(string[] words)
    {
        var id = words.Length > 1 && long.TryParse(words[1], out var number) ? number : 0;
        switch (words[0])
        {
            case "node":
                AddNode(id, words[2..]);
                break;
            case "time":
                _nowNs += long.Parse(words[1].Replace("ms", "")) * 1_000_000;
                break;
            case "tick":
                for (var i = words.Length > 2 ? int.Parse(words[2]) : 1; i > 0; i--)
                {
                    Step(id, (core, now, outputs) => core.Tick(now, outputs));
                }

                break;
            case "campaign":
                Step(id, (core, now, outputs) => core.Campaign(now, outputs));
                break;
            case "propose":
                Step(id, (core, now, outputs) => Refused(core.Propose(core.CurrentTerm, Encoding.UTF8.GetBytes(words[2]), now, outputs).Refusal));
                break;
            case "read":
                Step(id, (core, now, outputs) => core.Read(long.Parse(words[2]), now, outputs));
                break;
            case "transfer":
                Step(id, (core, now, outputs) => Refused(core.TransferLeadership(N(long.Parse(words[2])), now, outputs)));
                break;
            case "change":
                Step(id, (core, now, outputs) => Refused(core.ProposeConfiguration(Changed(core.Configuration, words[2], int.Parse(words[3])), now, outputs).Refusal));
                break;
            case "stepdown":
                Step(id, (core, now, outputs) => core.StepDown(now, outputs));
                break;
            case "disconnect":
                Step(id, (core, now, outputs) => core.PeerDisconnected(N(long.Parse(words[2])), now, outputs));
                break;
            default:
                ExecuteWorld(words, id);
                break;
        }
    }

    private void ExecuteWorld(string[] words, long id)
    {
        switch (words[0])
        {
            case "deliver":
                Deliver(words.Length > 1 ? words[1] : null);
                break;
            case "drop":
                _network.RemoveAll(message => words.Length == 1 || Link(message) == words[1]);
                break;
            case "isolate":
                _isolated.Add(id);
                _network.RemoveAll(IsCut);
                break;
            case "heal":
                _isolated.Clear();
                break;
            case "disk":
                for (var i = words.Length > 2 ? int.Parse(words[2]) : int.MaxValue; i > 0 && _nodes[id].DiskQueue.Count > 0; i--)
                {
                    _text.Append($"{id}: disk done\n");
                    _nodes[id].NowNs = _nowNs;
                    _nodes[id].CompleteWrite();
                    Collect(_nodes[id]);
                }

                break;
            case "crash":
                _nodes[id].Crash();
                _network.RemoveAll(message => message.From == N(id));
                break;
            case "restart":
                _nodes[id].Start();
                break;
            case "compact":
                _nodes[id].Compact(I(long.Parse(words[2])));
                break;
            case "snapshot":
                SendSnapshot(long.Parse(words[1].Split("->")[0]), long.Parse(words[1].Split("->")[1]));
                break;
            case "state":
                PrintState();
                break;
            default:
                throw new ArgumentException($"Unknown command '{string.Join(' ', words)}'.");
        }
    }

    private void AddNode(long id, string[] settings)
    {
        var values = settings.Select(setting => setting.Split('=')).ToDictionary(pair => pair[0], pair => pair[1]);
        var configuration = values.TryGetValue("voters", out var voters)
            ? new ClusterConfiguration(voters.Split(',').Select(voter => Simulation.Member(int.Parse(voter), MemberRole.Voter)))
            : ClusterConfiguration.Empty;
        var options = new RaftOptions { Id = N(id), LeaseNs = values.GetValueOrDefault("lease") == "off" ? 0 : 60_000_000 };
        var node = new VirtualNode(N(id), configuration, options, _checker) { NowNs = _nowNs };
        if (values.TryGetValue("log", out var log))
        {
            var terms = log.Split(',').Select(long.Parse).ToArray();
            node.Disk.Write(new DiskWrite.Log(null, terms.Select((term, i) => Entry(i + 1, term, $"{i + 1}/{term}")).ToArray()));
        }

        if (values.TryGetValue("term", out var current))
        {
            node.Disk.HardState = new HardState(T(long.Parse(current)), NodeId.None);
        }

        node.Start();
        node.IsDiskInstant = values.GetValueOrDefault("disk") != "slow";
        node.Observer = Print;
        _nodes[id] = node;
        _checker.Nodes.Add(node);
        _states[id] = (node.Core.Role, node.Core.CurrentTerm, node.Core.Leader);
    }

    private void Step(long id, Action<RaftCore, long, RaftOutputs> input)
    {
        var node = _nodes[id];
        node.NowNs = _nowNs;
        node.Step(input);
        Collect(node);
    }

    private void Collect(VirtualNode node)
    {
        _network.AddRange(node.Outbox.Where(message => !IsCut(message)));
        node.Outbox.Clear();
        foreach (var read in node.Reads)
        {
            _text.Append($"{node.Id}: read {read.RequestId} {(read.Success ? $"may proceed at {read.Index}" : "failed")}\n");
        }

        node.Reads.Clear();
    }

    private bool IsCut(RaftMessage message) => _isolated.Contains(message.From.Value) || _isolated.Contains(message.To.Value);

    /// <summary>Delivers in the order of sending until nothing (on this link) is under way.</summary>
    private void Deliver(string? link)
    {
        for (var i = 0; i < 1000; i++)
        {
            var position = _network.FindIndex(message => link is null || Link(message) == link);
            if (position < 0)
            {
                return;
            }

            var next = _network[position];
            _network.RemoveAt(position);
            if (_nodes.TryGetValue(next.To.Value, out var node) && node.IsUp)
            {
                Step(next.To.Value, (core, now, outputs) => core.Receive(next, now, outputs));
            }
        }

        throw new InvalidOperationException("the network does not come to rest");
    }

    private void SendSnapshot(long from, long to)
    {
        var (source, target) = (_nodes[from], _nodes[to]);
        var index = source.Applied;
        var (configuration, configurationIndex) = source.AppliedConfiguration;
        target.NowNs = _nowNs;
        var isReplaced = target.Install(index, source.Core.TermAt(index)!.Value, configuration, configurationIndex, source.Core.TermStarts.ToArray());
        _text.Append($"{to}: snapshot at {index} {(isReplaced ? "installed" : "ignored")}\n");
        Collect(target);
        Step(from, (core, now, outputs) => core.SnapshotSent(N(to), true, index, now, outputs));
    }

    private static ClusterConfiguration Changed(ClusterConfiguration configuration, string what, int id) => what switch
    {
        "add" => configuration.With(Simulation.Member(id, MemberRole.NonVoter)),
        "promote" => configuration.With(Simulation.Member(id, MemberRole.Voter)),
        "demote" => configuration.With(Simulation.Member(id, MemberRole.NonVoter)),
        "remove" => configuration.Without(N(id)),
        _ => throw new ArgumentException($"Unknown change '{what}'."),
    };

    private static string Link(RaftMessage message) => $"{message.From}->{message.To}";

    private void Refused(RefusalReason refusal)
    {
        if (refusal != RefusalReason.None)
        {
            _text.Append($"refused: {refusal}\n");
        }
    }

    private void Print(VirtualNode node, RaftOutputs outputs)
    {
        var core = node.Core;
        var state = (core.Role, core.CurrentTerm, core.Leader);
        if (state != _states[node.Id.Value])
        {
            _text.Append($"{node.Id}: {core.Role}, term {core.CurrentTerm}, leader {(core.Leader == NodeId.None ? "unknown" : core.Leader)}\n");
            _states[node.Id.Value] = state;
        }

        if (outputs.HardState is { } hardState)
        {
            _text.Append($"{node.Id}: writes term {hardState.CurrentTerm}, vote {(hardState.VotedFor == NodeId.None ? "none" : hardState.VotedFor)}\n");
        }

        if (outputs.TruncateFrom is { } from)
        {
            _text.Append($"{node.Id}: cuts its log at {from}\n");
        }

        foreach (var entry in outputs.Appends)
        {
            _text.Append($"{node.Id}: writes entry {TranscriptText.Of(entry)}\n");
        }

        foreach (var message in outputs.Messages)
        {
            _text.Append($"{message.From}->{message.To}: {TranscriptText.Of(message)}\n");
        }

        if (outputs.CommitIndex is { } commit)
        {
            _text.Append($"{node.Id}: commits up to {commit}\n");
        }

        foreach (var peer in outputs.SnapshotsNeeded)
        {
            _text.Append($"{node.Id}: needs a snapshot sent to {peer}\n");
        }

        if (outputs.ConfigurationChanged)
        {
            _text.Append($"{node.Id}: members {TranscriptText.Of(core.Configuration)}\n");
        }
    }

    private void PrintState()
    {
        foreach (var node in _nodes.Values)
        {
            var core = node.Core;
            var log = Enumerable.Range(1, (int)core.LastIndex.Value).Select(i => $"{core.TermAt(I(i))}");
            _text.Append(node.IsUp
                ? $"{node.Id}: {core.Role}, term {core.CurrentTerm}, log [{string.Join(' ', log)}], first {core.FirstIndex}, durable {core.PersistedIndex}, commit {core.CommitIndex}\n"
                : $"{node.Id}: down\n");
        }
    }
}

/// <summary>Messages and entries as a transcript shows them.</summary>
public static class TranscriptText
{
    public static string Of(LogEntry entry) => $"{entry.Index} of term {entry.Term}: " + entry.Kind switch
    {
        EntryKind.NoOp => "no-op",
        EntryKind.Configuration => $"members {Of(ConfigurationCodec.Decode(entry.Payload.Span))}",
        EntryKind.Application => Encoding.UTF8.GetString(entry.Payload.Span),
    };

    public static string Of(ClusterConfiguration configuration) => string.Join(
        ',',
        configuration.Members.Select(member => member.Role == MemberRole.Voter ? $"{member.Id}" : $"({member.Id})"));

    public static string Of(RaftMessage message) => $"{message.Kind} term {message.Term}" + message switch
    {
        PreVoteRequest m => $", log ends at {m.LastLogIndex} of term {m.LastLogTerm}",
        PreVoteResponse m => $", for term {m.RequestTerm}: {(m.Granted ? "yes" : "no")}",
        VoteRequest m => $", log ends at {m.LastLogIndex} of term {m.LastLogTerm}{(m.LeadershipTransfer ? ", by transfer" : "")}",
        VoteResponse m => $": {(m.Granted ? "yes" : "no")}",
        AppendEntriesRequest m => $", behind {m.PrevLogIndex} of term {m.PrevLogTerm}: {(m.LastIndex < m.FirstIndex ? "nothing" : $"{m.FirstIndex}..{m.LastIndex}")}, commit {m.LeaderCommit}",
        AppendEntriesResponse { Success: true } m => $": matches up to {m.MatchIndex}",
        AppendEntriesResponse m => $": refuses {m.RejectedPrevIndex}, try {m.ConflictIndex} of term {m.ConflictTerm}",
        HeartbeatRequest m => $", commit {m.LeaderCommit}{(m.ReadSequence > 0 ? $", read round {m.ReadSequence}" : "")}",
        HeartbeatResponse m => m.ReadSequence > 0 ? $", read round {m.ReadSequence}" : "",
        TimeoutNow m => $", log ends at {m.LastLogIndex}",
        ReadIndexRequest m => $", read {m.RequestId}",
        ReadIndexResponse m => $", read {m.RequestId}: {(m.Success ? $"at {m.ReadIndex}" : "no")}",
        _ => "",
    };
}
