using System.Globalization;
using Dqlite.Net.Data;
using Dqlite.Net.Storage;
using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>
/// What the parts of one node share, and the reactions that concern several of them. Members belong to the loop unless they say otherwise.
/// </summary>
internal sealed class NodeContext : INodeServices
{
    private readonly List<(LogIndex Index, ClusterConfiguration Configuration)> _configurations;
    private readonly Action<Exception> _onFailure;
    private readonly Func<long> _clock;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly PeerBook _peers;
    private long _appliedIndex;
    private long _publishedLeaseNs;
    private bool _wasBehind;
    private volatile string? _leaderAddress;
    private volatile NodeStatus _status;

    public NodeContext(NodeParts parts, Action<Exception> onFailure)
    {
        _clock = parts.Services.Clock;
        Options = parts.Options;
        Files = parts.Services.Files;
        Threads = parts.Services.Threads;
        PageStores = parts.Services.PageStores;
        Metadata = parts.Metadata;
        ClusterId = parts.Metadata.Identity.ClusterId;
        Address = parts.LogBase.OwnAddress;
        Store = parts.Log;
        Core = parts.Core;
        Transport = parts.Transport;
        Inbox = parts.Inbox;
        Log = parts.Services.Log;
        Observer = parts.Services.Observer;
        Telemetry = new NodeTelemetry(parts.Core.Id.Value);
        _peers = new PeerBook(parts.Core.Id, Address, peers => Transport?.SetPeers(peers));
        _onFailure = onFailure;
        _configurations = [(parts.LogBase.ConfigurationIndex, parts.LogBase.Configuration)];
        _appliedIndex = parts.LogBase.Index.Value;
        _status = new NodeStatus(RaftRole.Follower, parts.Core.CurrentTerm, NodeId.None, null, false, parts.Core.Configuration);
        Cache = new LogCache(Options.LogCacheBytes);
        LogWriter = new LogWriter(Store, Inbox, _clock, Options.SegmentBytes, Telemetry, Fail);
        Databases = new DatabaseSet(this, Path.Combine(Options.DataDirectory, "databases"));
        Applier = new Applier(this, parts.LogBase.Index);
        Replicator = new Replicator(this);
        Reads = new ReadGate(this);
        Requests = new LeaderDesk(this);
        Installs = new Installs(this);
        Checkpoints = new CheckpointPlan(this);
    }

    /// <summary>Raised on the loop when role, term, leader or the right to write changed.</summary>
    public event Action<NodeStatus>? StatusChanged;

    /// <summary>For thread names and logs.</summary>
    public string Name => Core.Id.Value.ToString(CultureInfo.InvariantCulture);

    public DqliteNodeOptions Options { get; }

    public IFileSystem Files { get; }

    public INodeThreads Threads { get; }

    /// <inheritdoc/>
    public IPageStoreFactory PageStores { get; }

    public MetadataFile Metadata { get; }

    public string ClusterId { get; }

    /// <summary>Where this node listens; empty when nowhere.</summary>
    public string Address { get; }

    public string LogBasePath => Path.Combine(Options.DataDirectory, LogBaseFile.FileName);

    public SegmentedLog Store { get; }

    public RaftCore Core { get; }

    public IPeerTransport? Transport { get; }

    public Inbox Inbox { get; }

    public LogCache Cache { get; }

    public LogWriter LogWriter { get; }

    public DatabaseSet Databases { get; }

    public Applier Applier { get; }

    public Replicator Replicator { get; }

    public ReadGate Reads { get; }

    public LeaderDesk Requests { get; }

    public Installs Installs { get; }

    public CheckpointPlan Checkpoints { get; }

    public NodeLog Log { get; }

    public ICoreObserver? Observer { get; }

    public NodeTelemetry Telemetry { get; }

    /// <summary>Any thread.</summary>
    public TimeProvider Time => TimeProvider.System;

    /// <summary>Any thread: the monotonic clock.</summary>
    public long NowNs => _clock();

    /// <summary>The node stops politely: nothing new begins.</summary>
    public bool IsStopping { get; set; }

    /// <summary>Any thread: why the node stopped, or null.</summary>
    public Exception? Failure { get; set; }

    /// <inheritdoc/>
    public bool CanWrite => Replicator.IsOpen;

    /// <inheritdoc/>
    public string? LeaderAddress => _leaderAddress;

    /// <inheritdoc/>
    public long AppliedIndex => Volatile.Read(ref _appliedIndex);

    /// <summary>Any thread.</summary>
    public NodeStatus Status => _status;

    /// <inheritdoc/>
    public void Wait(Task task) => Threads.Wait(task);

    /// <inheritdoc/>
    public void OnDraftsQueued()
    {
        Inbox.Wake();
        CommitEvents.Log.DraftQueued(Core.Id.Value);
    }

    /// <inheritdoc/>
    public void OnRot(string database, uint pageNumber)
    {
        Log.PageRot(database, pageNumber);
        Call((nowNs, outputs) => Core.StepDown(nowNs, outputs));
    }

    /// <inheritdoc/>
    public Task BeginReadAsync(ReadConsistency level, long sessionIndex, TimeSpan maxStaleness) => Reads.BeginReadAsync(level, sessionIndex, maxStaleness);

    /// <inheritdoc/>
    public async Task<CommitOutcome> GetOutcomeAsync(CommitId commit, CancellationToken cancellationToken)
    {
        await BeginReadAsync(ReadConsistency.Linearizable, 0, TimeSpan.Zero).WaitAsync(cancellationToken).ConfigureAwait(false);
        var answer = new TaskCompletionSource<CommitOutcome>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!Call((_, _) => answer.TrySetResult(OutcomeOf(new LogIndex(commit.Index), new Term(commit.Term)))))
        {
            throw StoppedError();
        }

        return await UntilEndedAsync(answer.Task).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Any thread: waits for an answer of the loop, which may end without giving it.</summary>
    public async Task<T> UntilEndedAsync<T>(Task<T> answer)
    {
        await Task.WhenAny(answer, _ended.Task).ConfigureAwait(false);
        return answer.IsCompleted ? await answer.ConfigureAwait(false) : throw StoppedError();
    }

    /// <summary>Any thread: completes when the loop has ended, and answers nothing any more.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Loop: it has ended, and answers nothing any more.</summary>
    public void OnEnded() => _ended.TrySetResult();

    /// <summary>Any thread: runs an action on the loop; false when it has ended.</summary>
    public bool Call(Action<long, RaftOutputs> action) => Inbox.Post(new NodeEvent(NodeEventKind.Call, action));

    /// <summary>Any thread: the node cannot go on; it stops, the process lives.</summary>
    public void Fail(Exception exception) => _onFailure(exception);

    /// <summary>Any thread: what those get who come too late.</summary>
    public Exception StoppedError() => DqliteErrors.Stopped(Failure);

    /// <summary>An entry of the log.</summary>
    public LogEntry ReadEntry(LogIndex index) => Cache.Find(index) ?? ReadStore(index, index)[0];

    /// <summary>Entries of the log.</summary>
    public IReadOnlyList<LogEntry> ReadEntries(LogIndex first, LogIndex last)
    {
        var entries = new List<LogEntry>((int)(last.Value - first.Value + 1));
        for (var index = first; index <= last; index = entries[^1].Index.Next)
        {
            if (Cache.Find(index) is { } cached)
            {
                entries.Add(cached);
            }
            else
            {
                // Not beyond the first cached one: what is cached may not have reached the store yet.
                var cacheBegins = Cache.FirstIndex;
                entries.AddRange(ReadStore(index, cacheBegins is { } begin && begin > index && begin <= last ? begin.Previous : last));
            }
        }

        return entries;
    }

    /// <summary>Something waits for the next tick; else several may be counted together, late.</summary>
    public bool NeedsTicks => Reads.NeedsTicks || Checkpoints.NeedsTicks || LogWriter.IsFull;

    /// <summary>Every tick.</summary>
    public void OnTick(long nowNs)
    {
        var holdNs = (long)Options.MaxWriteTransactionHold.TotalNanoseconds;
        var isFull = LogWriter.IsFull;
        foreach (var database in Databases.All)
        {
            database.SetLogFull(isFull);
            database.RevokeSlowWriter(nowNs, holdNs);
            database.ThrowIfBroken();
        }

        Checkpoints.OnTick();
        Installs.Acks.OnTick();
    }

    /// <summary>
    /// What other threads look at. Before messages leave, too: a lease that is dropped (a transfer, a step-down) must be gone for readers
    /// before the message that gives leadership away is on its way; and as soon as a message tells a follower of a commit, somebody may read it there,
    /// so nobody may read here without it.
    /// </summary>
    public void PublishLease()
    {
        Reads.SetCommit(Applier.CommitIndex.Value);
        var leaseNs = !Replicator.IsOpen ? 0 : Core.Configuration.Voters.Count == 1 && Core.Configuration.IsVoter(Core.Id) ? long.MaxValue : Core.LeaseDeadlineNs;
        var isBehind = Applier.LastApplied < Applier.CommitIndex;
#if MUTANTS
        isBehind &= !Mutant.Is("D10");
#endif
        if (leaseNs == _publishedLeaseNs && isBehind == _wasBehind)
        {
            return;
        }

        (_publishedLeaseNs, _wasBehind) = (leaseNs, isBehind);
        Reads.SetLease(leaseNs);
        foreach (var database in Databases.All)
        {
            database.SetPlainLease(leaseNs, isBehind);
        }
    }

    /// <summary>A database appeared: it has to be told of the lease, which may not change any more.</summary>
    public void ForgetPublishedLease() => _publishedLeaseNs = long.MinValue;

    /// <summary>Role, term or leader changed.</summary>
    public void OnStateChanged()
    {
        UpdatePeers();
        Log.StateChanged(Core.Id.Value, Core.Role.ToString(), Core.CurrentTerm.Value, Core.Leader.Value);
        PublishStatus();
    }

    /// <summary>Drafting was opened or closed.</summary>
    public void OnDraftingChanged() => PublishStatus();

    /// <summary>The configuration in force changed.</summary>
    public void OnConfigurationChanged()
    {
        var members = Core.Configuration.Members;
        Log.ConfigurationChanged(string.Join(", ", members.Select(member => $"{member.Id}={member.Address} ({member.Role})")));
        UpdatePeers();
        PublishStatus();
    }

    /// <summary>A node of this cluster has dialled this one, and says where it can be dialled itself.</summary>
    public void OnAccepted(NodeId id, string address) => _peers.OnAccepted(id, address);

    /// <summary>This node votes for another one, or would.</summary>
    public void OnVoteGranted(NodeId candidate) => _peers.OnVoteGranted(candidate);

    private void UpdatePeers() => _peers.Set(Core.Configuration, Core.Leader);

    /// <summary>Entries were applied.</summary>
    public void OnApplied(long nowNs, RaftOutputs outputs)
    {
        var applied = Applier.LastApplied.Value;
        Volatile.Write(ref _appliedIndex, applied);
        Reads.OnApplied(applied);
    }

    /// <summary>A configuration entry was applied.</summary>
    public void OnConfigurationApplied(LogIndex index, ClusterConfiguration configuration) => _configurations.Add((index, configuration));

    /// <summary>The configuration in force at an applied index.</summary>
    public (LogIndex Index, ClusterConfiguration Configuration) ConfigurationAt(LogIndex index) => _configurations.FindLast(known => known.Index <= index);

    /// <summary>Entries up to here left the log.</summary>
    public void OnCompacted(LogIndex index)
    {
        var inForce = ConfigurationAt(index);
        _configurations.RemoveAll(known => known.Index < inForce.Index);
        Log.Compacted(index.Value);
    }

    /// <summary>A snapshot took the place of the log and the databases.</summary>
    public void OnInstalled(LogBase logBase, long nowNs, RaftOutputs outputs)
    {
        _configurations.Clear();
        _configurations.Add((logBase.ConfigurationIndex, logBase.Configuration));
        Checkpoints.OnInstalled(logBase.Index);
        Log.SnapshotInstalled(logBase.Index.Value);
        OnApplied(nowNs, outputs);
    }

    private IReadOnlyList<LogEntry> ReadStore(LogIndex first, LogIndex last)
    {
        var entries = Store.Read(first, last, long.MaxValue);
        return entries?.Count == last.Value - first.Value + 1
            ? entries
            : throw new RaftInvariantException($"The log does not hold the entries {first} to {last} that the core thinks it has.");
    }

    /// <summary>The node has ended: whoever looks sees no leader.</summary>
    public void PublishStopped()
    {
        _leaderAddress = null;
        _status = _status with { Role = RaftRole.Follower, Leader = NodeId.None, LeaderAddress = null, CanWrite = false };
        StatusChanged?.Invoke(_status);
    }

    /// <summary>What became of the entry that was proposed at an index in a term, as far as this node knows.</summary>
    public CommitOutcome OutcomeOf(LogIndex index, Term term)
    {
        if (index <= Applier.LastApplied)
        {
            return Core.TermAt(index) == term ? CommitOutcome.Committed : CommitOutcome.NotCommitted;
        }

        // Nothing is applied at the index yet, but a later term may already begin below it: see LogDecision.
        return Core.TermAt(Applier.LastApplied) > term ? CommitOutcome.NotCommitted : CommitOutcome.Undecided;
    }

    private void PublishStatus()
    {
        var leader = Core.Leader == NodeId.None ? null : Core.Configuration.Find(Core.Leader);
        _leaderAddress = leader?.Address;
        var status = new NodeStatus(Core.Role, Core.CurrentTerm, Core.Leader, leader?.Address, Replicator.IsOpen, Core.Configuration);
        if (status != _status)
        {
            _status = status;
            StatusChanged?.Invoke(status);
        }
    }
}

/// <summary>What a node says of itself to other threads.</summary>
internal sealed record NodeStatus(RaftRole Role, Term Term, NodeId Leader, string? LeaderAddress, bool CanWrite, ClusterConfiguration Configuration);

/// <summary>What a node is put together from.</summary>
internal sealed record NodeParts(DqliteNodeOptions Options, NodeServices Services, MetadataFile Metadata, LogBase LogBase, SegmentedLog Log, RaftCore Core,
    IPeerTransport? Transport, Inbox Inbox);

/// <summary>Names in the data directory.</summary>
internal static class NodeFiles
{
    public const string LogDirectoryName = "log";
    public const string DatabaseDirectoryName = "databases";
}
