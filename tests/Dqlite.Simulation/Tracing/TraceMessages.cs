using System.Globalization;
using System.Text.Json;
using Dqlite.Raft;

namespace Dqlite.Simulation.Tracing;

/// <summary>How a kind of message appears in a trace.</summary>
/// <param name="Tag">The tag of its lines.</param>
/// <param name="Send">The event of its sender.</param>
/// <param name="Receive">The event of its receiver.</param>
/// <param name="Type">The name that etcd/raft has for it, or would have.</param>
internal sealed record TracedKind(string Tag, string Send, string Receive, string Type);

/// <summary>Messages with the names and fields of etcd/raft's trace validation: docs/formats/trace.md.</summary>
internal static class TraceMessages
{
    /// <summary>The type of a snapshot stream, which is no message of the core.</summary>
    public const string SnapshotType = "MsgSnap";

    private static readonly TracedKind PreVoteRequest = Own("PreVoteRequest", "MsgPreVote");
    private static readonly TracedKind PreVoteResponse = Own("PreVoteResponse", "MsgPreVoteResp");
    private static readonly TracedKind VoteRequest = Common("RequestVoteRequest", "MsgVote");
    private static readonly TracedKind VoteResponse = Common("RequestVoteResponse", "MsgVoteResp");
    private static readonly TracedKind AppendRequest = Common("AppendEntriesRequest", "MsgApp");
    private static readonly TracedKind AppendResponse = Common("AppendEntriesResponse", "MsgAppResp");
    private static readonly TracedKind HeartbeatRequest = Common("AppendEntriesRequest", "MsgHeartbeat");
    private static readonly TracedKind HeartbeatResponse = Common("AppendEntriesResponse", "MsgHeartbeatResp");
    private static readonly TracedKind TimeoutNow = Own("TimeoutNow", "MsgTimeoutNow");
    private static readonly TracedKind ReadIndexRequest = Own("ReadIndexRequest", "MsgReadIndex");
    private static readonly TracedKind ReadIndexResponse = Own("ReadIndexResponse", "MsgReadIndexResp");

    /// <summary>A snapshot stream; etcd/raft takes it for an AppendEntries.</summary>
    public static TracedKind Snapshot { get; } = Common("AppendEntriesRequest", SnapshotType);

    /// <summary>The names of a kind.</summary>
    public static TracedKind NamesOf(RaftMessageKind kind) => kind switch
    {
        RaftMessageKind.PreVoteRequest => PreVoteRequest,
        RaftMessageKind.PreVoteResponse => PreVoteResponse,
        RaftMessageKind.VoteRequest => VoteRequest,
        RaftMessageKind.VoteResponse => VoteResponse,
        RaftMessageKind.AppendEntriesRequest => AppendRequest,
        RaftMessageKind.AppendEntriesResponse => AppendResponse,
        RaftMessageKind.HeartbeatRequest => HeartbeatRequest,
        RaftMessageKind.HeartbeatResponse => HeartbeatResponse,
        RaftMessageKind.TimeoutNow => TimeoutNow,
        RaftMessageKind.ReadIndexRequest => ReadIndexRequest,
        RaftMessageKind.ReadIndexResponse => ReadIndexResponse,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, null),
    };

    /// <summary>An id as etcd/raft writes it.</summary>
    public static string Text(NodeId id) => id.Value.ToString(CultureInfo.InvariantCulture);

    /// <summary>Writes the field "msg" for a message of the core.</summary>
    /// <param name="json">Stands inside the event.</param>
    /// <param name="message">The message; of its entries only the number is written.</param>
    public static void Write(Utf8JsonWriter json, RaftMessage message)
    {
        var type = NamesOf(message.Kind).Type;
        switch (message)
        {
            case PreVoteRequest m:
                Begin(json, type, m, index: m.LastLogIndex, logTerm: m.LastLogTerm);
                break;
            case PreVoteResponse m:
                Begin(json, type, m, reject: !m.Granted);
                json.WriteNumber("requestTerm", m.RequestTerm.Value);
                break;
            case VoteRequest m:
                Begin(json, type, m, index: m.LastLogIndex, logTerm: m.LastLogTerm);
                json.WriteBoolean("transfer", m.LeadershipTransfer);
                break;
            case VoteResponse m:
                Begin(json, type, m, reject: !m.Granted);
                break;
            case AppendEntriesRequest m:
                // The specification's commit index ends with the entries sent, as what the receiver takes from it does (R13).
                var commit = m.LeaderCommit < m.LastIndex ? m.LeaderCommit : m.LastIndex;
                Begin(json, type, m, m.PrevLogIndex, m.PrevLogTerm, entries: m.LastIndex.Value - m.PrevLogIndex.Value, commit: commit);
                json.WriteNumber("leaderCommit", m.LeaderCommit.Value);
                WriteEcho(json, m.ReadSequence, m.SentAtNs);
                break;
            case AppendEntriesResponse m:
                Begin(json, type, m, m.Success ? m.MatchIndex : m.RejectedPrevIndex, m.ConflictTerm, reject: !m.Success, rejectHint: m.ConflictIndex);
                WriteEcho(json, m.ReadSequence, m.SentAtNs);
                break;
            case HeartbeatRequest m:
                Begin(json, type, m, commit: m.LeaderCommit);
                WriteEcho(json, m.ReadSequence, m.SentAtNs);
                break;
            case HeartbeatResponse m:
                // Only the answer to a heartbeat of an older term has no echo; etcd/raft and its specification refuse there by MsgAppResp.
                var isRefusal = m.SentAtNs == 0;
                Begin(json, isRefusal ? AppendResponse.Type : type, m, reject: isRefusal);
                WriteEcho(json, m.ReadSequence, m.SentAtNs);
                break;
            case TimeoutNow m:
                Begin(json, type, m, index: m.LastLogIndex);
                break;
            case ReadIndexRequest m:
                Begin(json, type, m);
                json.WriteNumber("requestId", m.RequestId);
                break;
            case ReadIndexResponse m:
                Begin(json, type, m, index: m.ReadIndex, reject: !m.Success);
                json.WriteNumber("requestId", m.RequestId);
                break;
            default:
                throw new ArgumentException($"{message.GetType()} is not traced.", nameof(message));
        }

        json.WriteEndObject();
    }

    /// <summary>Writes the field "msg" for a snapshot stream; as in etcd/raft, "entries" is the last entry that it includes.</summary>
    public static void WriteSnapshot(Utf8JsonWriter json, NodeId from, NodeId to, Term term, LogIndex index)
    {
        Begin(json, SnapshotType, from, to, term, default, default, index.Value, default, reject: false, default);
        json.WriteEndObject();
    }

    private static void Begin(Utf8JsonWriter json, string type, RaftMessage message, LogIndex index = default, Term logTerm = default,
        long entries = 0, LogIndex commit = default, bool reject = false, LogIndex rejectHint = default) =>
        Begin(json, type, message.From, message.To, message.Term, index, logTerm, entries, commit, reject, rejectHint);

    private static void Begin(Utf8JsonWriter json, string type, NodeId from, NodeId to, Term term, LogIndex index, Term logTerm, long entries,
        LogIndex commit, bool reject, LogIndex rejectHint)
    {
        json.WriteStartObject("msg");
        json.WriteString("type", type);
        json.WriteNumber("term", term.Value);
        json.WriteString("from", Text(from));
        json.WriteString("to", Text(to));
        json.WriteNumber("entries", entries);
        json.WriteNumber("logTerm", logTerm.Value);
        json.WriteNumber("index", index.Value);
        json.WriteNumber("commit", commit.Value);
        json.WriteBoolean("reject", reject);
        json.WriteNumber("rejectHint", rejectHint.Value);
    }

    private static void WriteEcho(Utf8JsonWriter json, long readSequence, long sentAtNs)
    {
        json.WriteNumber("readSequence", readSequence);
        json.WriteNumber("sentAt", sentAtNs);
    }

    private static TracedKind Common(string name, string type) => new(TraceWriter.CommonTag, "Send" + name, "Receive" + name, type);

    private static TracedKind Own(string name, string type) => new(TraceWriter.OwnTag, "Send" + name, "Receive" + name, type);
}
