using Dqlite.Raft;

namespace Dqlite.Raft.Tests.Harness;

/// <summary>The five properties of Raft figure 3, and what this library adds to them, checked at every step of every node.</summary>
public sealed class SafetyChecker
{
    private readonly Dictionary<Term, NodeId> _leaders = [];
    private readonly Dictionary<(NodeId Voter, Term Term), NodeId> _votes = [];
    private readonly Dictionary<(LogIndex Index, Term Term), (Term Previous, long Content)> _entries = [];
    private readonly List<(Term Term, long Content, long StateHash)> _committed = [];
    private readonly List<Term> _committedIn = [];
    private readonly Dictionary<NodeId, Term> _sentTerms = [];

    public List<VirtualNode> Nodes { get; } = [];

    /// <summary>Commits that some leader has announced: what a client may know of.</summary>
    public LogIndex Acknowledged { get; private set; }

    /// <summary>How many distinct terms had a leader.</summary>
    public int LeaderCount => _leaders.Count;

    public static long Chain(long hash, LogEntry entry)
    {
        var h = (ulong)hash;
        h = Mix(h, (ulong)entry.Index.Value);
        h = Mix(h, (ulong)entry.Term.Value);
        h = Mix(h, (ulong)entry.Kind);
        foreach (var value in entry.Payload.Span)
        {
            h = Mix(h, value);
        }

        return (long)h;
    }

    public long StateHashAt(LogIndex index) => index.Value == 0 ? 0 : _committed[(int)index.Value - 1].StateHash;

    public void OnStep(VirtualNode node, RaftOutputs outputs)
    {
        var core = node.Core;
        foreach (var message in outputs.Messages)
        {
            CheckMessage(node, message);
        }

        foreach (var entry in outputs.Appends)
        {
            CheckEntry(node, entry);
        }

        if (core.Role == RaftRole.Leader)
        {
            if (_leaders.TryAdd(core.CurrentTerm, core.Id))
            {
                CheckLeaderCompleteness(core);
            }

            Require(_leaders[core.CurrentTerm] == core.Id, $"election safety: {_leaders[core.CurrentTerm]} and {core.Id} lead term {core.CurrentTerm}");
        }

        if (outputs.CommitIndex is { } commit && core.Role == RaftRole.Leader && commit > Acknowledged)
        {
            CheckMajorityHolds(core, commit);
        }

        CheckTerm(node);
    }

    public void OnApplied(VirtualNode node, LogEntry entry, long stateHash)
    {
        var content = Chain(0, entry);
        if (entry.Index.Value > _committed.Count)
        {
            Require(entry.Index.Value == _committed.Count + 1, $"node {node.Id} applied {entry.Index}, the cluster had applied {_committed.Count}");
            _committed.Add((entry.Term, content, stateHash));
            _committedIn.Add(node.Core.CurrentTerm);
        }

        var known = _committed[(int)entry.Index.Value - 1];
        Require(
            known == (entry.Term, content, stateHash),
            $"state machine safety: node {node.Id} applied another entry at {entry.Index} (term {entry.Term}, the cluster's has {known.Term})");
        if (node.Core.Role == RaftRole.Leader && entry.Index > Acknowledged)
        {
            Acknowledged = entry.Index;
        }
    }

    /// <summary>A leader that believes in its lease must know every acknowledged commit.</summary>
    public void CheckLease(VirtualNode node)
    {
        if (node.Core.LeaseDeadlineNs > node.NowNs)
        {
            Require(
                node.Core.CommitIndex >= Acknowledged,
                $"stale lease: node {node.Id} of term {node.Core.CurrentTerm} would read at {node.Core.CommitIndex}, {Acknowledged} is acknowledged");
        }
    }

    /// <summary>Logs that agree on (index, term) agree on all before (Raft figure 3); called now and then, it costs the whole log.</summary>
    public void CheckLogMatching()
    {
        foreach (var node in Nodes.Where(node => node.IsUp))
        {
            var previous = node.Core.TermAt(node.Core.FirstIndex.Previous);
            for (var index = node.Core.FirstIndex; index <= node.Core.LastIndex; index = index.Next)
            {
                var entry = node.EntryAt(index);
                Require(_entries.TryGetValue((index, entry.Term), out var known), $"node {node.Id} has an entry {index} that nobody appended");
                Require(known == (previous, Chain(0, entry)), $"log matching: node {node.Id} differs at {index}");
                Require(node.Core.TermAt(index) == entry.Term, $"node {node.Id}: the core has term {node.Core.TermAt(index)} at {index}, the log {entry.Term}");
                previous = entry.Term;
            }
        }
    }

    private void CheckMessage(VirtualNode node, RaftMessage message)
    {
        Require(
            message is PreVoteRequest || message.Term <= node.Disk.HardState.CurrentTerm,
            $"node {node.Id} sent {message.Kind} of term {message.Term} before that term was durable");
        _sentTerms[node.Id] = message is PreVoteRequest ? _sentTerms.GetValueOrDefault(node.Id) : message.Term;
        switch (message)
        {
            case VoteRequest request:
                CheckVote(node, request.Term, node.Id);
                break;
            case VoteResponse { Granted: true } response:
                CheckVote(node, response.Term, response.To);
                break;
            case AppendEntriesResponse { Success: true } response:
                Require(
                    response.MatchIndex <= node.Disk.LastIndex,
                    $"node {node.Id} acknowledged {response.MatchIndex}, its disk ends at {node.Disk.LastIndex}");
                break;
            case AppendEntriesRequest request:
                Require(request.LeaderCommit <= node.Core.LastIndex, $"leader commit {request.LeaderCommit} is above the log");
                break;
        }
    }

    private void CheckTerm(VirtualNode node)
    {
        var sent = _sentTerms.GetValueOrDefault(node.Id);
        Require(node.Core.CurrentTerm >= sent, $"node {node.Id} went from term {sent} to {node.Core.CurrentTerm}");
    }

    private void CheckVote(VirtualNode node, Term term, NodeId candidate)
    {
        _votes.TryAdd((node.Id, term), candidate);
        Require(_votes[(node.Id, term)] == candidate, $"node {node.Id} voted for {_votes[(node.Id, term)]} and {candidate} in term {term}");
        Require(
            node.Disk.HardState.CurrentTerm > term || node.Disk.HardState == new HardState(term, candidate),
            $"node {node.Id} voted in term {term} before that was durable: {node.Disk.HardState}");
    }

    private void CheckEntry(VirtualNode node, LogEntry entry)
    {
        var previous = node.Core.TermAt(entry.Index.Previous) ?? Term.Zero;
        var value = (previous, Chain(0, entry));
        _entries.TryAdd((entry.Index, entry.Term), value);
        Require(_entries[(entry.Index, entry.Term)] == value, $"log matching: node {node.Id} appended another entry ({entry.Index}, {entry.Term})");
    }

    /// <summary>Raft figure 3: what was committed in an earlier term is in the log of every later leader. (A node that was stopped may win
    /// its election of long ago while a later leader commits.)</summary>
    private void CheckLeaderCompleteness(RaftCore core)
    {
        for (var i = 0; i < _committed.Count && _committedIn[i] < core.CurrentTerm; i++)
        {
            Require(
                core.TermAt(new LogIndex(i + 1)) == _committed[i].Term,
                $"leader completeness: node {core.Id} leads term {core.CurrentTerm} without entry {i + 1}, committed in term {_committedIn[i]}");
        }
    }

    private void CheckMajorityHolds(RaftCore leader, LogIndex commit)
    {
        var term = leader.TermAt(commit) ?? Term.Zero;
        var holders = leader.Configuration.Voters.Count(voter => Nodes.Any(node => node.Id == voter && node.Disk.Holds(commit, term)));
        Require(
            holders >= leader.Configuration.Majority,
            $"node {leader.Id} committed {commit} of term {term}, {holders} of {leader.Configuration.Voters.Count} disks hold it");
    }

    private static ulong Mix(ulong hash, ulong value) => (hash ^ value) * 0x9E3779B97F4A7C15UL ^ (hash >> 29);

    private static void Require(bool holds, string text)
    {
        if (!holds)
        {
            throw new SafetyViolationException(text);
        }
    }
}

public sealed class SafetyViolationException(string message) : Exception(message);
