namespace Dqlite.Raft;

/// <summary>What a node is doing.</summary>
public enum RaftRole : byte
{
    /// <summary>Follows a leader, or waits for one.</summary>
    Follower = 1,

    /// <summary>Asks whether an election could be won.</summary>
    PreCandidate = 2,

    /// <summary>Campaigns.</summary>
    Candidate = 3,

    /// <summary>Leads its term.</summary>
    Leader = 4,
}

/// <summary>Settings of the core. Ticks are the caller's unit of time for elections; nanoseconds are for the lease.</summary>
public sealed record RaftOptions
{
    /// <summary>This node.</summary>
    public required NodeId Id { get; init; }

    /// <summary>Minimum election timeout; the actual one is drawn from [this, 2 x this).</summary>
    public int ElectionTimeoutTicks { get; init; } = 50;

    /// <summary>A leader sends heartbeats at this interval.</summary>
    public int HeartbeatTicks { get; init; } = 5;

    /// <summary>Length of the leader lease, from the send of the acknowledged message; 0 turns it off.</summary>
    public long LeaseNs { get; init; } = 60_000_000;

    /// <summary>Bound of the clocks' relative drift; a voter protects an acknowledged lease for LeaseNs x (1 + this).</summary>
    public double MaxClockDrift { get; init; } = 0.1;

    /// <summary>Payload bytes of one AppendEntries message, at least one entry.</summary>
    public int MaxAppendBytes { get; init; } = 1 << 20;

    /// <summary>Unacknowledged AppendEntries messages per follower.</summary>
    public int MaxInflightMessages { get; init; } = 64;

    /// <summary>Unacknowledged payload bytes per follower.</summary>
    public long MaxInflightBytes { get; init; } = 16 << 20;

    /// <summary>
    /// Whether followers hear of a commit with the next entries, a read that they ask for, or the next tick, instead of in a message of its own at once.
    /// Under a stream of proposals that message is of no use, and with its answer costs as much as the entries'.
    /// </summary>
    public bool DefersCommit { get; init; }

    /// <summary>Seed of the election jitter; the core has no randomness of its own.</summary>
    public ulong Seed { get; init; }
}

/// <summary>Term and vote: one atomic record on disk (Raft figure 2, persistent state).</summary>
/// <param name="CurrentTerm">Latest term seen.</param>
/// <param name="VotedFor">Who got this node's vote in that term, or <see cref="NodeId.None"/>.</param>
public readonly record struct HardState(Term CurrentTerm, NodeId VotedFor);

/// <summary>What a node knows when it starts; all of it is durable.</summary>
public sealed record RaftInitialState
{
    /// <summary>Term and vote.</summary>
    public required HardState HardState { get; init; }

    /// <summary>The configuration before <see cref="FirstIndex"/>: of the bootstrap or of the last snapshot or compaction.</summary>
    public required ClusterConfiguration Configuration { get; init; }

    /// <summary>Index of the entry that put <see cref="Configuration"/> in force; zero for the bootstrap.</summary>
    public LogIndex ConfigurationIndex { get; init; }

    /// <summary>Index of the first entry that the log holds; entries before it are in the snapshot.</summary>
    public required LogIndex FirstIndex { get; init; }

    /// <summary>Term of the entry before <see cref="FirstIndex"/>; zero when FirstIndex is 1.</summary>
    public required Term PreviousTerm { get; init; }

    /// <summary>The entries from FirstIndex on.</summary>
    public required IReadOnlyList<EntryInfo> Entries { get; init; }

    /// <summary>The configuration entries among them, ascending.</summary>
    public IReadOnlyList<(LogIndex Index, ClusterConfiguration Configuration)> ConfigurationEntries { get; init; } = [];

    /// <summary>Term starts before FirstIndex, ascending.</summary>
    public IReadOnlyList<TermStart> TermStarts { get; init; } = [];

    /// <summary>Entries up to here are known to be committed (a checkpoint or snapshot covers them).</summary>
    public LogIndex CommitIndex { get; init; }
}

/// <summary>Why a proposal, transfer or change was refused. A refusal has no effect.</summary>
public enum RefusalReason : byte
{
    /// <summary>Not refused.</summary>
    None = 0,

    /// <summary>This node does not lead.</summary>
    NotLeader,

    /// <summary>This node leads another term than the proposal was made for.</summary>
    OtherTerm,

    /// <summary>A leadership transfer is going on; retry on the next leader.</summary>
    TransferInProgress,

    /// <summary>No entry of the own term is committed yet (the single-server change bug, raft-dev 2015).</summary>
    TermNotCommitted,

    /// <summary>Another configuration change is uncommitted.</summary>
    ChangeInProgress,

    /// <summary>The change is not one step from the configuration in force, or leaves no voter.</summary>
    InvalidChange,

    /// <summary>The node is not a member, or has the wrong role.</summary>
    InvalidTarget,

    /// <summary>The non-voting member has not caught up yet.</summary>
    NotCaughtUp,
}

/// <summary>Answer to a proposal.</summary>
/// <param name="Refusal">None when it was appended.</param>
/// <param name="Index">Where it was appended.</param>
/// <param name="Term">In which term.</param>
public readonly record struct ProposalResult(RefusalReason Refusal, LogIndex Index, Term Term);

/// <summary>A read that may proceed once <see cref="Index"/> is applied, or was refused.</summary>
/// <param name="RequestId">As given to the core.</param>
/// <param name="Success">False: this node does not lead, or lost leadership before the read was confirmed, or no leader is known; ask again.</param>
/// <param name="Index">The read index.</param>
public readonly record struct ReadState(long RequestId, bool Success, LogIndex Index);

/// <summary>
/// Everything that one or more steps ask of the caller, in the order in which it must be done. The core withholds by itself every
/// message that depends on durability until the caller reports it (<c>HardStatePersisted</c>, <c>EntriesPersisted</c>), so
/// <see cref="Messages"/> may always leave at once, and the caller may write the log in the background.
/// </summary>
public sealed class RaftOutputs
{
    /// <summary>1. To be made durable, then reported by HardStatePersisted. Null when unchanged.</summary>
    public HardState? HardState { get; set; }

    /// <summary>2. When set, the log is cut first: entries from this index on are dropped (Raft section 5.3, conflict).</summary>
    public LogIndex? TruncateFrom { get; internal set; }

    /// <summary>3. Entries to append, in order; then made durable and reported by EntriesPersisted with the last one's index and term.</summary>
    public List<LogEntry> Appends { get; } = [];

    /// <summary>4. Messages that may leave now. An <see cref="AppendEntriesRequest"/> carries no entries: fill them in from the log.</summary>
    public List<RaftMessage> Messages { get; } = [];

    /// <summary>5. The commit index, when it advanced: apply up to here.</summary>
    public LogIndex? CommitIndex { get; internal set; }

    /// <summary>6. Reads that were decided.</summary>
    public List<ReadState> Reads { get; } = [];

    /// <summary>7. Peers whose next entry is no longer in the log: stream them a snapshot, then call SnapshotSent.</summary>
    public List<NodeId> SnapshotsNeeded { get; } = [];

    /// <summary>Role, term or leader changed; read them from the core.</summary>
    public bool StateChanged { get; internal set; }

    /// <summary>The configuration in force changed; read it from the core.</summary>
    public bool ConfigurationChanged { get; internal set; }

    /// <summary>Whether there is nothing to do.</summary>
    public bool IsEmpty => HardState is null && TruncateFrom is null && Appends.Count == 0 && Messages.Count == 0 && CommitIndex is null
        && Reads.Count == 0 && SnapshotsNeeded.Count == 0 && !StateChanged && !ConfigurationChanged;

    /// <summary>Empties the object, to use it again.</summary>
    public void Clear()
    {
        HardState = null;
        TruncateFrom = null;
        Appends.Clear();
        Messages.Clear();
        CommitIndex = null;
        Reads.Clear();
        SnapshotsNeeded.Clear();
        StateChanged = false;
        ConfigurationChanged = false;
    }
}

/// <summary>An invariant of Raft does not hold: the node must stop (it fails over); the process goes on.</summary>
/// <param name="message">Which one, with the values.</param>
public sealed class RaftInvariantException(string message) : Exception(message);
