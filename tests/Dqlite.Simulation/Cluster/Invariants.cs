using Dqlite.Net;
using Dqlite.Net.Engine;
using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Cluster;

/// <summary>
/// What must hold at every event: the properties of Raft figure 3, durable-before-send, and what this library adds to them. It knows more than
/// any node: everything that was ever sent, appended or committed.
/// </summary>
internal sealed partial class Invariants(SimCluster cluster)
{
    private readonly Dictionary<long, long> _leaders = [];
    private readonly Dictionary<(long Node, long Term), long> _votes = [];
    private readonly Dictionary<(long Index, long Term), (long PreviousTerm, ulong Content)> _entries = [];
    private readonly List<(long Term, long CommittedIn)> _committed = [(0, 0)];
    private readonly Dictionary<(long Database, long Index), (ulong Checksum, uint Pages)> _states = [];
    private readonly Dictionary<SimNode, NodeView> _views = [];

    /// <summary>Term of an entry that is committed, and was never seen in a log.</summary>
    private const long UnknownTerm = -1;

    /// <summary>The first thing that does not hold, or null.</summary>
    public string? Failure { get; private set; }

    /// <summary>Entries that are known to be committed.</summary>
    public long CommittedIndex => _committed.Count - 1;

    /// <summary>How many terms had a leader.</summary>
    public int Leaders => _leaders.Count;

    /// <summary>The highest term that had a leader.</summary>
    public long LastLeaderTerm { get; private set; }

    /// <summary>The term of a committed entry; null when nothing is known to be committed there, or not which one.</summary>
    public long? CommittedTerm(long index) => index < _committed.Count && _committed[(int)index].Term != UnknownTerm ? _committed[(int)index].Term : null;

    /// <summary>Something does not hold.</summary>
    public void Fail(string text)
    {
        if (Failure is null)
        {
            Failure = text;
            cluster.Log.Say("VIOLATION " + text);
        }
    }

    /// <summary>A client was told that its commit is durable.</summary>
    public void OnAcknowledged(SimNode node, CommitId commit)
    {
        if (node.Node is { } context)
        {
            // The step that committed may not have come to its end.
            OnCommit(node, context.Core, ViewOf(node));
        }

        var term = CommittedTerm(commit.Index);
        if (term is null ? commit.Index > CommittedIndex : term != commit.Term)
        {
            Fail($"acknowledged write: node {node.Number} acknowledged a commit at index {commit.Index} of term {commit.Term}, committed there is {(term is null ? "nothing" : "term " + term)}");
        }
    }

    /// <summary>A runtime was put together.</summary>
    public void OnStarted(SimNode node)
    {
        var core = node.Node!.Core;
        var view = ViewOf(node);
        CheckStart(node, core, view);
        view.Restart(core, CommittedIndex);
        // What it committed in a step that came to no end, and its disk knows.
        OnCommit(node, core, view);
        if (core.CurrentTerm.Value < view.HighestTerm && !node.IsDamaged)
        {
            Fail($"terms: node {node.Number} went from term {view.HighestTerm} to {core.CurrentTerm} over a restart");
        }

        cluster.Log.Say($"node {node.Number} runs as {core.Id}: term {core.CurrentTerm}, log {core.FirstIndex}..{core.LastIndex}, commit {core.CommitIndex}");
    }

    /// <summary>A node's disk was replaced: whatever runs on it from now on is another node.</summary>
    public void OnWiped(SimNode node) => _views[node] = ViewOf(node).AfterWipe();

    /// <summary>A node refused to start. Without damage to its disk it has no reason to.</summary>
    public void OnRefused(SimNode node, Exception exception)
    {
        var mayNotJoin = node.IsBlank && exception is DqliteException;
        var isFull = node.Disk.CapacityBytes != long.MaxValue;
        if (!node.IsDamaged && !node.HasDiskErrors && !mayNotJoin && !isFull)
        {
            Fail($"node {node.Number} does not start, and nothing was done to its disk: {exception}");
        }
    }

    /// <summary>After every step of a node.</summary>
    public void OnStep(SimNode node)
    {
        var context = node.Node!;
        var core = context.Core;
        var view = ViewOf(node);
        if (context.Failure is { } failure)
        {
            OnFailure(node, failure);
            return;
        }

        CheckVote(node, core, view);
        OnRole(node, core, view);
        OnCommit(node, core, view);
        if (view.Checked != (core.LastIndex, core.LastTerm, core.ConfigurationIndex))
        {
            view.Checked = (core.LastIndex, core.LastTerm, core.ConfigurationIndex);
            CheckConfiguration(node, core, view);
        }

        CheckRole(node, core, view);
        var applied = context.Applier.LastApplied.Value;
        if (applied < view.Applied)
        {
            Fail($"node {node.Number}: the applied index went from {view.Applied} to {applied}");
        }

        if (applied > core.CommitIndex.Value)
        {
            Fail($"node {node.Number} applied {applied}, committed is {core.CommitIndex}");
        }

        if (applied != view.Applied)
        {
            view.Applied = applied;
            cluster.Log.Add('a', node.Number, applied);
            OnApplied(node, context);
        }
    }

    private NodeView ViewOf(SimNode node)
    {
        if (!_views.TryGetValue(node, out var view))
        {
            _views.Add(node, view = new NodeView());
        }

        return view;
    }

    private void OnFailure(SimNode node, Exception failure)
    {
        var view = ViewOf(node);
        if (view.HasFailed || failure is MachineDownException || !node.Machine.IsUp)
        {
            return;
        }

        view.HasFailed = true;
        cluster.Log.Say($"node {node.Number} failed: {failure.GetType().Name}: {failure.Message}");
        if (!node.IsDamaged && !node.HasDiskErrors)
        {
            Fail($"node {node.Number} stopped, and nothing was done to its disk: {failure}");
        }
    }

    private void OnRole(SimNode node, RaftCore core, NodeView view)
    {
        var term = core.CurrentTerm.Value;
        if (term < view.HighestTerm)
        {
            Fail($"terms: node {node.Number} went from term {view.HighestTerm} to {term}");
        }

        if (view.HighestTerm == term && view.Role == core.Role)
        {
            return;
        }

        (view.HighestTerm, view.Role) = (term, core.Role);
        cluster.Log.Say($"node {node.Number} is {core.Role} in term {term}, log ends at {core.LastIndex} of term {core.LastTerm}, commit {core.CommitIndex}");
        if (core.Role == RaftRole.Leader)
        {
            OnLeader(node, core);
        }
    }

    /// <summary>Election safety and leader completeness (Raft figure 3).</summary>
    private void OnLeader(SimNode node, RaftCore core)
    {
        var term = core.CurrentTerm.Value;
        if (!_leaders.TryAdd(term, core.Id.Value) && _leaders[term] != core.Id.Value)
        {
            Fail($"election safety: nodes {_leaders[term]} and {core.Id} lead term {term}");
        }

        CheckLeases(node, core);
        cluster.OnLeader();
        LastLeaderTerm = Math.Max(LastLeaderTerm, term);
        // Removed or demoted by an entry that may still be rolled back it may be needed once more (dissertation section 4.2.2).
        if (core.IsConfigurationCommitted && !core.Configuration.IsVoter(core.Id))
        {
            Fail($"node {core.Id} leads term {term} and is no voter");
        }

        for (var index = 1; index < _committed.Count; index++)
        {
            if (_committed[index].CommittedIn < term && _committed[index].Term != UnknownTerm && core.TermAt(new LogIndex(index))?.Value != _committed[index].Term)
            {
                Fail($"leader completeness: node {node.Number} leads term {term} without entry {index} of term {_committed[index].Term}, committed in term {_committed[index].CommittedIn}; it has term {core.TermAt(new LogIndex(index))} there");
                return;
            }
        }
    }

    private void OnCommit(SimNode node, RaftCore core, NodeView view)
    {
        var commit = core.CommitIndex.Value;
        if (commit == view.Commit)
        {
            return;
        }

        if (commit < view.Commit)
        {
            Fail($"node {node.Number}: the commit index went from {view.Commit} to {commit}");
        }

        if (commit > core.LastIndex.Value)
        {
            Fail($"node {node.Number} committed {commit}, its log ends at {core.LastIndex}");
        }

        cluster.Log.Add('c', node.Number, commit, core.CurrentTerm.Value);
        var isNew = commit >= _committed.Count;
        for (var index = Math.Max(1, view.Commit + 1); index <= commit; index++)
        {
            var term = core.TermAt(new LogIndex(index))?.Value ?? UnknownTerm;
            if (index >= _committed.Count)
            {
                _committed.Add((term, core.CurrentTerm.Value));
                _committedAtNs.Add(cluster.Scheduler.NowNs);
            }
            else if (_committed[(int)index].Term == UnknownTerm)
            {
                _committed[(int)index] = (term, _committed[(int)index].CommittedIn);
            }
            else if (_committed[(int)index].Term != term && term != UnknownTerm)
            {
                Fail($"state machine safety: node {node.Number} committed an entry of term {term} at {index}, where term {_committed[(int)index].Term} was committed before");
            }
        }

        view.Commit = commit;
        if (isNew && core.Role == RaftRole.Leader)
        {
            CheckMajorityHolds(node, core, commit);
        }
    }

    /// <summary>What a leader commits is on the disks of a majority of the voters: on its own, and on those that said so in its term.</summary>
    private void CheckMajorityHolds(SimNode leader, RaftCore core, long commit)
    {
        var holders = 0;
        foreach (var voter in core.Configuration.Voters)
        {
            if (voter == core.Id)
            {
                holders += IsDurable(leader, commit) ? 1 : 0;
            }
            else if (cluster.Nodes.FirstOrDefault(node => node.Machine.NodeId == voter) is { } other)
            {
                holders += ViewOf(other).AcknowledgedIn(core.CurrentTerm.Value) >= commit ? 1 : 0;
            }
        }

        if (holders < core.Configuration.Majority)
        {
            Fail($"commit: node {leader.Number} committed {commit} in term {core.CurrentTerm}, {holders} of {core.Configuration.Voters.Count} voters hold it on disk");
        }
    }

    private void OnApplied(SimNode node, NodeContext context)
    {
        foreach (var database in context.Databases.All)
        {
            if (database.AppliedIndex == database.Id)
            {
                continue;
            }

            var state = database.Pages.State;
            var key = (database.Id, database.AppliedIndex);
            var value = (state.Checksum, state.PageCount);
            if (!_states.TryAdd(key, value) && _states[key] != value)
            {
                Fail($"replicas: database {database.Id} at index {database.AppliedIndex} has checksum {value.Checksum:x16} and {value.PageCount} pages on node {node.Number}, elsewhere {_states[key].Checksum:x16} and {_states[key].Pages}");
            }
        }
    }
}
