namespace Dqlite.Raft;

/// <summary>The kind of a <see cref="RaftMessage"/>. The values are sent to peers.</summary>
public enum RaftMessageKind : byte
{
    /// <summary><see cref="PreVoteRequest"/></summary>
    PreVoteRequest = 1,

    /// <summary><see cref="PreVoteResponse"/></summary>
    PreVoteResponse = 2,

    /// <summary><see cref="VoteRequest"/></summary>
    VoteRequest = 3,

    /// <summary><see cref="VoteResponse"/></summary>
    VoteResponse = 4,

    /// <summary><see cref="AppendEntriesRequest"/></summary>
    AppendEntriesRequest = 5,

    /// <summary><see cref="AppendEntriesResponse"/></summary>
    AppendEntriesResponse = 6,

    /// <summary><see cref="HeartbeatRequest"/></summary>
    HeartbeatRequest = 7,

    /// <summary><see cref="HeartbeatResponse"/></summary>
    HeartbeatResponse = 8,

    /// <summary><see cref="TimeoutNow"/></summary>
    TimeoutNow = 9,

    /// <summary><see cref="ReadIndexRequest"/></summary>
    ReadIndexRequest = 10,

    /// <summary><see cref="ReadIndexResponse"/></summary>
    ReadIndexResponse = 11,
}

/// <summary>A message between two Raft cores. <see cref="Term"/> is the sender's current term, except in a
/// <see cref="PreVoteRequest"/>, where it is the term that the sender would campaign in.</summary>
/// <param name="Kind">The concrete type's tag.</param>
/// <param name="From">The sender.</param>
/// <param name="To">The receiver.</param>
/// <param name="Term">See the summary.</param>
public abstract record RaftMessage(RaftMessageKind Kind, NodeId From, NodeId To, Term Term);

/// <summary>Dissertation section 9.6: would you vote for me in <see cref="RaftMessage.Term"/>? Changes no state.</summary>
/// <param name="From">The sender.</param>
/// <param name="To">The receiver.</param>
/// <param name="Term">The term the sender would campaign in.</param>
/// <param name="LastLogIndex">Index of the sender's last entry.</param>
/// <param name="LastLogTerm">Term of the sender's last entry.</param>
public sealed record PreVoteRequest(NodeId From, NodeId To, Term Term, LogIndex LastLogIndex, Term LastLogTerm)
    : RaftMessage(RaftMessageKind.PreVoteRequest, From, To, Term);

/// <summary>Answer to a <see cref="PreVoteRequest"/>.</summary>
/// <param name="From">The sender.</param>
/// <param name="To">The receiver.</param>
/// <param name="Term">The voter's current term.</param>
/// <param name="RequestTerm">The term that was asked for.</param>
/// <param name="Granted">Whether the voter would vote.</param>
public sealed record PreVoteResponse(NodeId From, NodeId To, Term Term, Term RequestTerm, bool Granted)
    : RaftMessage(RaftMessageKind.PreVoteResponse, From, To, Term);

/// <summary>RequestVote of Raft section 5.2.</summary>
/// <param name="From">The candidate.</param>
/// <param name="To">The receiver.</param>
/// <param name="Term">The candidate's term.</param>
/// <param name="LastLogIndex">Index of the candidate's last entry.</param>
/// <param name="LastLogTerm">Term of the candidate's last entry.</param>
/// <param name="LeadershipTransfer">The candidate was told to campaign by <see cref="TimeoutNow"/>: leader stickiness and lease do not apply (dissertation section 4.2.3).</param>
public sealed record VoteRequest(NodeId From, NodeId To, Term Term, LogIndex LastLogIndex, Term LastLogTerm, bool LeadershipTransfer)
    : RaftMessage(RaftMessageKind.VoteRequest, From, To, Term);

/// <summary>Answer to a <see cref="VoteRequest"/>; leaves only after the vote is durable.</summary>
/// <param name="From">The voter.</param>
/// <param name="To">The candidate.</param>
/// <param name="Term">The voter's term.</param>
/// <param name="Granted">Whether it voted for the candidate.</param>
public sealed record VoteResponse(NodeId From, NodeId To, Term Term, bool Granted)
    : RaftMessage(RaftMessageKind.VoteResponse, From, To, Term);

/// <summary>AppendEntries of Raft section 5.3. The core outputs it with <see cref="FirstIndex"/> and <see cref="LastIndex"/> and no
/// entries; whoever sends it fills <see cref="Entries"/> from the log. A receiver gives it to its core with the entries.</summary>
/// <param name="From">The leader.</param>
/// <param name="To">The receiver.</param>
/// <param name="Term">The leader's term.</param>
/// <param name="PrevLogIndex">Index of the entry before the first.</param>
/// <param name="PrevLogTerm">Its term.</param>
/// <param name="FirstIndex">Index of the first entry sent; <c>PrevLogIndex + 1</c>.</param>
/// <param name="LastIndex">Index of the last entry sent; <c>PrevLogIndex</c> for a probe without entries.</param>
/// <param name="LeaderCommit">The leader's commit index.</param>
/// <param name="ReadSequence">Number of the last read round begun before the message was sent; echoed.</param>
/// <param name="SentAtNs">The leader's monotonic time at sending, in nanoseconds; echoed, never compared with another node's clock.</param>
/// <param name="Entries">The entries FirstIndex..LastIndex, or empty in the core's output.</param>
public sealed record AppendEntriesRequest(NodeId From, NodeId To, Term Term, LogIndex PrevLogIndex, Term PrevLogTerm, LogIndex FirstIndex,
    LogIndex LastIndex, LogIndex LeaderCommit, long ReadSequence, long SentAtNs, IReadOnlyList<LogEntry> Entries)
    : RaftMessage(RaftMessageKind.AppendEntriesRequest, From, To, Term);

/// <summary>Answer to <see cref="AppendEntriesRequest"/>; a success leaves only after the entries up to <see cref="MatchIndex"/> are durable.</summary>
/// <param name="From">The follower.</param>
/// <param name="To">The leader.</param>
/// <param name="Term">The follower's term.</param>
/// <param name="Success">Whether the previous entry matched.</param>
/// <param name="MatchIndex">On success: up to here the follower's durable log equals the leader's.</param>
/// <param name="RejectedPrevIndex">On failure: the PrevLogIndex that was refused.</param>
/// <param name="ConflictTerm">On failure: the follower's term at <paramref name="ConflictIndex"/>, for the fast back-off of Raft section 5.3.</param>
/// <param name="ConflictIndex">On failure: the follower's last entry at or before RejectedPrevIndex whose term is at most the request's
/// PrevLogTerm; nothing behind it can match, so it is the next PrevLogIndex to try. Zero when there is none.</param>
/// <param name="ReadSequence">Echo.</param>
/// <param name="SentAtNs">Echo.</param>
public sealed record AppendEntriesResponse(NodeId From, NodeId To, Term Term, bool Success, LogIndex MatchIndex, LogIndex RejectedPrevIndex,
    Term ConflictTerm, LogIndex ConflictIndex, long ReadSequence, long SentAtNs)
    : RaftMessage(RaftMessageKind.AppendEntriesResponse, From, To, Term);

/// <summary>Keeps leadership alive and confirms reads and the lease, independently of any disk.</summary>
/// <param name="From">The leader.</param>
/// <param name="To">The receiver.</param>
/// <param name="Term">The leader's term.</param>
/// <param name="LeaderCommit">At most what the receiver is known to match.</param>
/// <param name="ReadSequence">Number of the last read round begun before the message was sent; echoed.</param>
/// <param name="SentAtNs">The leader's monotonic time at sending; echoed.</param>
public sealed record HeartbeatRequest(NodeId From, NodeId To, Term Term, LogIndex LeaderCommit, long ReadSequence, long SentAtNs)
    : RaftMessage(RaftMessageKind.HeartbeatRequest, From, To, Term);

/// <summary>Answer to <see cref="HeartbeatRequest"/>.</summary>
/// <param name="From">The follower.</param>
/// <param name="To">The leader.</param>
/// <param name="Term">The follower's term.</param>
/// <param name="ReadSequence">Echo.</param>
/// <param name="SentAtNs">Echo.</param>
public sealed record HeartbeatResponse(NodeId From, NodeId To, Term Term, long ReadSequence, long SentAtNs)
    : RaftMessage(RaftMessageKind.HeartbeatResponse, From, To, Term);

/// <summary>Leadership transfer (dissertation section 3.10): campaign at once. The leader has dropped its lease before it sends this.</summary>
/// <param name="From">The leader.</param>
/// <param name="To">The target.</param>
/// <param name="Term">The leader's term; another current term at the target voids the message.</param>
/// <param name="LastLogIndex">The leader's last index; a target that lacks it ignores the message.</param>
public sealed record TimeoutNow(NodeId From, NodeId To, Term Term, LogIndex LastLogIndex)
    : RaftMessage(RaftMessageKind.TimeoutNow, From, To, Term);

/// <summary>A follower asks the leader for a read index (dissertation section 6.4).</summary>
/// <param name="From">The follower.</param>
/// <param name="To">The leader.</param>
/// <param name="Term">The follower's term.</param>
/// <param name="RequestId">Chosen by the follower; echoed.</param>
public sealed record ReadIndexRequest(NodeId From, NodeId To, Term Term, long RequestId)
    : RaftMessage(RaftMessageKind.ReadIndexRequest, From, To, Term);

/// <summary>Answer to <see cref="ReadIndexRequest"/>.</summary>
/// <param name="From">The leader.</param>
/// <param name="To">The follower.</param>
/// <param name="Term">The leader's term.</param>
/// <param name="RequestId">Echo.</param>
/// <param name="Success">False when the receiver is not (or no longer) the leader.</param>
/// <param name="ReadIndex">The follower may read once it has applied this.</param>
public sealed record ReadIndexResponse(NodeId From, NodeId To, Term Term, long RequestId, bool Success, LogIndex ReadIndex)
    : RaftMessage(RaftMessageKind.ReadIndexResponse, From, To, Term);
