namespace Dqlite.Raft;

/// <summary>
/// The Raft state machine of one node: inputs are method calls, outputs are collected in a <see cref="RaftOutputs"/>. Pure and
/// synchronous: time is an argument, the seed is configuration, and the same inputs give the same outputs. Not thread-safe; its
/// caller owns it.
/// </summary>
/// <remarks>
/// <code>
///                    timer, closed leader        pre-votes won           votes won
///   Follower --------------------------> PreCandidate ------> Candidate ---------> Leader
///     ^  ^ ^                               |   ^  timer          |                    |
///     |  | +-- leader or term seen, yields-+   +-----------------+                    |
///     |  +---- leader or term seen ------------------------------+                    |
///     +------- term seen, no quorum heard, removed, told to ---------------------------+
///   Follower -- TimeoutNow --> Candidate; a cluster of one passes through all of them on its first tick
/// </code>
/// Raft means Ongaro and Ousterhout's extended paper, "dissertation" Ongaro's thesis.
/// </remarks>
public sealed partial class RaftCore
{
    private readonly RaftOptions _options;
    private readonly RaftLog _log;
    private readonly ConfigurationHistory _configurations;
    private readonly MessageGate _gate = new();
    private readonly ElectionTimer _timer;
    private readonly VoteTally _tally = new();
    private readonly SortedSet<NodeId> _connected = [];
    private readonly SortedSet<NodeId> _seenClosed = [];
    private long _nowNs = long.MinValue;

    /// <summary>Starts a node from what it has on disk, as a follower.</summary>
    /// <param name="options">Settings.</param>
    /// <param name="initial">The durable state.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    /// <exception cref="RaftInvariantException">The durable state contradicts itself.</exception>
    public RaftCore(RaftOptions options, RaftInitialState initial)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(initial);
        Validate(options);
        _options = options;
        _log = new RaftLog(initial);
        _configurations = new ConfigurationHistory(initial.ConfigurationIndex, initial.Configuration);
        foreach (var (index, configuration) in initial.ConfigurationEntries)
        {
            _configurations.Append(index, configuration);
        }

        _timer = new ElectionTimer(options);
        _matchOf = MatchOf;
        _echoOf = EchoOf;
        _confirmedReadOf = ConfirmedReadOf;
        CurrentTerm = initial.HardState.CurrentTerm;
        VotedFor = initial.HardState.VotedFor;
#if MUTANTS
        if (Mutant.Is("R5"))
        {
            (CurrentTerm, VotedFor) = (LastTerm, NodeId.None);
        }
#endif
        CommitIndex = initial.CommitIndex > FirstIndex.Previous ? initial.CommitIndex : FirstIndex.Previous;
        Invariant.Check(CommitIndex <= LastIndex, $"entries up to {CommitIndex} are committed, but the log ends at {LastIndex}");
        Invariant.Check(CurrentTerm >= LastTerm, $"the current term {CurrentTerm} is below the log's {LastTerm}");
    }

    /// <summary>This node.</summary>
    public NodeId Id => _options.Id;

    /// <summary>What it is doing.</summary>
    public RaftRole Role { get; private set; } = RaftRole.Follower;

    /// <summary>Latest term seen; possibly not durable yet.</summary>
    public Term CurrentTerm { get; private set; }

    /// <summary>Who got this node's vote in the current term.</summary>
    public NodeId VotedFor { get; private set; }

    /// <summary>The leader of the current term as far as known, this node included; else none.</summary>
    public NodeId Leader { get; private set; }

    /// <summary>Entries up to here are committed.</summary>
    public LogIndex CommitIndex { get; private set; }

    /// <summary>First entry that the log holds.</summary>
    public LogIndex FirstIndex => _log.FirstIndex;

    /// <summary>Last entry of the log; <c>FirstIndex - 1</c> when it is empty.</summary>
    public LogIndex LastIndex => _log.LastIndex;

    /// <summary>Entries up to here are on this node's disk.</summary>
    public LogIndex PersistedIndex => _log.PersistedIndex;

    /// <summary>Term of the last entry.</summary>
    public Term LastTerm => _log.LastTerm;

    /// <summary>The membership in force: the last one in the log, committed or not (R25).</summary>
    public ClusterConfiguration Configuration =>
#if MUTANTS
        Mutant.Is("R25") ? _configurations.CommittedAt(CommitIndex) :
#endif
        _configurations.Current;

    /// <summary>Index of the entry that put it in force; zero for the bootstrap.</summary>
    public LogIndex ConfigurationIndex => _configurations.CurrentIndex;

    /// <summary>Whether the membership in force is known to be committed.</summary>
    public bool IsConfigurationCommitted => ConfigurationIndex <= CommitIndex;

    /// <summary>The first index of each term's entries, ascending, for ever. A live view: copy it to keep it.</summary>
    public IReadOnlyList<TermStart> TermStarts => _log.TermStarts;

    /// <summary>Whether this node may campaign; false while an install is unfinished.</summary>
    public bool CanCampaign { get; set; } = true;

    /// <summary>The term of the entry at an index, compacted ones included; null above <see cref="LastIndex"/> or unknown.</summary>
    /// <param name="index">The index.</param>
    public Term? TermAt(LogIndex index) => _log.TermAt(index);

    /// <summary>So many of the next ticks will only be counted, unless another input comes between them. Whoever calls may sleep through them and hand
    /// them over late, before the next input.</summary>
    public int QuietTicks => _forwarded.Count > 0 ? 0 : Role switch
    {
        RaftRole.Leader => QuietLeaderTicks(),
        RaftRole.Follower when !_isCampaignDue && !(Configuration.Voters.Count == 1 && Configuration.IsVoter(Id)) => _timer.TicksToCount,
        _ => 0,
    };

    /// <summary>Time passes by one tick.</summary>
    /// <param name="nowNs">Monotonic time in nanoseconds.</param>
    /// <param name="outputs">What is to be done is added to it.</param>
    public void Tick(long nowNs, RaftOutputs outputs)
    {
        Begin(nowNs, outputs);
        ExpireForwardedReads(outputs);
        if (Role == RaftRole.Leader)
        {
            TickLeader(outputs);
        }
        else
        {
            TickElection(outputs);
        }
    }

    /// <summary>A message arrived.</summary>
    /// <param name="message">The message; an AppendEntriesRequest with its entries.</param>
    /// <param name="nowNs">Monotonic time in nanoseconds.</param>
    /// <param name="outputs">What is to be done is added to it.</param>
    public void Receive(RaftMessage message, long nowNs, RaftOutputs outputs)
    {
        ArgumentNullException.ThrowIfNull(message);
        Invariant.Check(message.To == Id && message.From != Id, $"node {Id} received a message from {message.From} to {message.To}");
        Begin(nowNs, outputs);
        if (message is PreVoteRequest preVote)
        {
            OnPreVoteRequest(preVote, outputs);
            return;
        }

        // A voter that lags behind in terms grants pre-votes all the same: the answer's RequestTerm says whether it is current.
        if (message.Term < CurrentTerm && message is not PreVoteResponse)
        {
#if MUTANTS
            if (Mutant.Is("R39b") && message is TimeoutNow late)
            {
                OnTimeoutNow(late, outputs);
            }
#endif
            AnswerStale(message, outputs);
            return;
        }

        if (message.Term > CurrentTerm && !AdoptTerm(message, outputs))
        {
            return;
        }

        Dispatch(message, outputs);
    }

    private static void Validate(RaftOptions options)
    {
        if (options.Id.Value <= 0 || options.ElectionTimeoutTicks < 2 || options.HeartbeatTicks < 1
            || options.HeartbeatTicks >= options.ElectionTimeoutTicks || options.LeaseNs < 0 || !(options.MaxClockDrift >= 0)
            || options.MaxAppendBytes < 1 || options.MaxInflightMessages < 1 || options.MaxInflightBytes < 1)
        {
            throw new ArgumentException($"A setting is out of range: {options}.", nameof(options));
        }
    }

    private void Begin(long nowNs, RaftOutputs outputs)
    {
        ArgumentNullException.ThrowIfNull(outputs);
        if (_nowNs == long.MinValue)
        {
            ProtectLeaseOfEarlierRun(nowNs);
        }

        // Monotonic by contract; a step back is ignored rather than trusted (R45).
        _nowNs = Math.Max(_nowNs, nowNs);
    }

    private void Dispatch(RaftMessage message, RaftOutputs outputs)
    {
        switch (message)
        {
            case PreVoteResponse response:
                OnPreVoteResponse(response, outputs);
                break;
            case VoteRequest request:
                OnVoteRequest(request, outputs);
                break;
            case VoteResponse response:
                OnVoteResponse(response, outputs);
                break;
            case AppendEntriesRequest request:
                OnAppendEntries(request, outputs);
                break;
            case AppendEntriesResponse response:
                OnAppendEntriesResponse(response, outputs);
                break;
            case HeartbeatRequest request:
                OnHeartbeat(request, outputs);
                break;
            case HeartbeatResponse response:
                OnHeartbeatResponse(response, outputs);
                break;
            case TimeoutNow request:
                OnTimeoutNow(request, outputs);
                break;
            case ReadIndexRequest request:
                OnReadIndexRequest(request, outputs);
                break;
            case ReadIndexResponse response:
                OnReadIndexResponse(response, outputs);
                break;
            default:
                throw new ArgumentException($"Unknown message {message.Kind}.", nameof(message));
        }
    }

    /// <summary>A newer term was seen (Raft section 5.1). Returns whether the message is to be handled.</summary>
    private bool AdoptTerm(RaftMessage message, RaftOutputs outputs)
    {
        switch (message)
        {
            case VoteRequest { LeadershipTransfer: false } when !MayDisturbLeader():
                return false; // dissertation section 4.2.3: a live leader's followers don't even adopt the term
            case TimeoutNow:
                return false; // made for a term that this node was not part of (R39)
            default:
                BecomeFollower(message.Term, NodeId.None, outputs);
                return true;
        }
    }

    /// <summary>Tells the sender of a request of an older term which term it is (Raft section 5.1).</summary>
    private void AnswerStale(RaftMessage message, RaftOutputs outputs)
    {
        switch (message)
        {
            case VoteRequest request:
                Send(new VoteResponse(Id, request.From, CurrentTerm, Granted: false), outputs);
                break;
            case AppendEntriesRequest request:
                Send(
                    new AppendEntriesResponse(Id, request.From, CurrentTerm, false, LogIndex.Zero, request.PrevLogIndex, LastTerm, LastIndex, 0, 0),
                    outputs);
                break;
            case HeartbeatRequest request:
                Send(new HeartbeatResponse(Id, request.From, CurrentTerm, 0, 0), outputs);
                break;
            case ReadIndexRequest request:
                Send(new ReadIndexResponse(Id, request.From, CurrentTerm, request.RequestId, false, LogIndex.Zero), outputs);
                break;
            default:
                break; // an answer to something that is over
        }
    }

    private void SetCommit(LogIndex index, RaftOutputs outputs)
    {
        Invariant.Check(index > CommitIndex && index <= LastIndex, $"commit moves from {CommitIndex} to {index}, the log ends at {LastIndex}");
#if MUTANTS
        var isConfigurationNew = Mutant.Is("R25") && ConfigurationIndex > CommitIndex && ConfigurationIndex <= index;
#endif
        CommitIndex = index;
        outputs.CommitIndex = index;
#if MUTANTS
        if (isConfigurationNew)
        {
            OnConfigurationCommitted(outputs);
        }
#endif
    }
}
