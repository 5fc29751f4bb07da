using System.Text;
using System.Text.Json;
using Dqlite.Raft;

namespace Dqlite.Simulation.Drive;

/// <summary>Nodes, messages and entries as JSON: docs/formats/drive.md.</summary>
internal static class DriveJson
{
    /// <summary>The name of an enum's value in answers.</summary>
    public static string Name<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.CamelCase.ConvertName(value.ToString());

    /// <summary>The line that every answer has for every node.</summary>
    public static void WriteNode(Utf8JsonWriter json, DriveNode node)
    {
        var core = node.Core;
        json.WriteStartObject();
        json.WriteNumber("id", node.Id.Value);
        json.WriteNumber("term", core.CurrentTerm.Value);
        json.WriteNumber("vote", core.VotedFor.Value);
        json.WriteString("role", node.IsUp ? Name(core.Role) : "down");
        json.WriteNumber("leader", core.Leader.Value);
        json.WriteNumber("commit", core.CommitIndex.Value);
        json.WriteNumber("applied", node.Applied.Value);
        json.WriteNumber("lastIndex", core.LastIndex.Value);
        json.WriteNumber("lastTerm", core.LastTerm.Value);
        WriteMembers(json, core.Configuration);
        json.WriteEndObject();
    }

    /// <summary>A membership, as two fields.</summary>
    public static void WriteMembers(Utf8JsonWriter json, ClusterConfiguration configuration)
    {
        WriteIds(json, "voters", configuration, MemberRole.Voter);
        WriteIds(json, "nonVoters", configuration, MemberRole.NonVoter);
    }

    /// <summary>An entry of a log.</summary>
    public static void WriteEntry(Utf8JsonWriter json, LogEntry entry)
    {
        json.WriteStartObject();
        json.WriteNumber("index", entry.Index.Value);
        json.WriteNumber("term", entry.Term.Value);
        json.WriteString("kind", Name(entry.Kind));
        switch (entry.Kind)
        {
            case EntryKind.Application:
                json.WriteString("data", Encoding.UTF8.GetString(entry.Payload.Span));
                break;
            case EntryKind.Configuration:
                WriteMembers(json, ConfigurationCodec.Decode(entry.Payload.Span));
                break;
            default:
                break;
        }

        json.WriteEndObject();
    }

    /// <summary>A message under way.</summary>
    public static void WriteFlight(Utf8JsonWriter json, Flight flight)
    {
        json.WriteStartObject();
        json.WriteNumber("number", flight.Number);
        json.WriteString("type", flight.Message.Type);
        json.WriteNumber("from", flight.Message.From.Value);
        json.WriteNumber("to", flight.Message.To.Value);
        switch (flight.Message)
        {
            case DriveMessage.Raft { Message: var message }:
                json.WriteNumber("term", message.Term.Value);
                WriteFields(json, message);
                break;
            case DriveMessage.InstallSnapshot stream:
                json.WriteNumber("term", stream.LeaderTerm.Value);
                json.WriteNumber("lastIndex", stream.Snapshot.Index.Value);
                json.WriteNumber("lastTerm", stream.Snapshot.Term.Value);
                WriteMembers(json, stream.Snapshot.Configuration);
                break;
            case DriveMessage.InstallSnapshotResponse response:
                json.WriteNumber("lastIndex", response.Index.Value);
                break;
            default:
                throw new ArgumentException($"{flight.Message.GetType()} has no form.", nameof(flight));
        }

        json.WriteEndObject();
    }

    private static void WriteFields(Utf8JsonWriter json, RaftMessage message)
    {
        switch (message)
        {
            case PreVoteRequest m:
                json.WriteNumber("lastLogIndex", m.LastLogIndex.Value);
                json.WriteNumber("lastLogTerm", m.LastLogTerm.Value);
                break;
            case PreVoteResponse m:
                json.WriteNumber("requestTerm", m.RequestTerm.Value);
                json.WriteBoolean("granted", m.Granted);
                break;
            case VoteRequest m:
                json.WriteNumber("lastLogIndex", m.LastLogIndex.Value);
                json.WriteNumber("lastLogTerm", m.LastLogTerm.Value);
                json.WriteBoolean("leadershipTransfer", m.LeadershipTransfer);
                break;
            case VoteResponse m:
                json.WriteBoolean("granted", m.Granted);
                break;
            case AppendEntriesRequest m:
                WriteAppend(json, m);
                break;
            case AppendEntriesResponse m:
                json.WriteBoolean("success", m.Success);
                json.WriteNumber("matchIndex", m.MatchIndex.Value);
                json.WriteNumber("rejectedPrevIndex", m.RejectedPrevIndex.Value);
                json.WriteNumber("conflictTerm", m.ConflictTerm.Value);
                json.WriteNumber("conflictIndex", m.ConflictIndex.Value);
                WriteEcho(json, m.ReadSequence, m.SentAtNs);
                break;
            case HeartbeatRequest m:
                json.WriteNumber("leaderCommit", m.LeaderCommit.Value);
                WriteEcho(json, m.ReadSequence, m.SentAtNs);
                break;
            case HeartbeatResponse m:
                WriteEcho(json, m.ReadSequence, m.SentAtNs);
                break;
            case TimeoutNow m:
                json.WriteNumber("lastLogIndex", m.LastLogIndex.Value);
                break;
            case ReadIndexRequest m:
                json.WriteNumber("requestId", m.RequestId);
                break;
            case ReadIndexResponse m:
                json.WriteNumber("requestId", m.RequestId);
                json.WriteBoolean("success", m.Success);
                json.WriteNumber("readIndex", m.ReadIndex.Value);
                break;
            default:
                throw new ArgumentException($"{message.GetType()} has no form.", nameof(message));
        }
    }

    private static void WriteAppend(Utf8JsonWriter json, AppendEntriesRequest message)
    {
        json.WriteNumber("prevLogIndex", message.PrevLogIndex.Value);
        json.WriteNumber("prevLogTerm", message.PrevLogTerm.Value);
        json.WriteNumber("leaderCommit", message.LeaderCommit.Value);
        WriteEcho(json, message.ReadSequence, message.SentAtNs);
        json.WriteStartArray("entries");
        foreach (var entry in message.Entries)
        {
            WriteEntry(json, entry);
        }

        json.WriteEndArray();
    }

    private static void WriteEcho(Utf8JsonWriter json, long readSequence, long sentAtNs)
    {
        json.WriteNumber("readSequence", readSequence);
        json.WriteNumber("sentAtNs", sentAtNs);
    }

    private static void WriteIds(Utf8JsonWriter json, string name, ClusterConfiguration configuration, MemberRole role)
    {
        json.WriteStartArray(name);
        foreach (var member in configuration.Members.Where(member => member.Role == role))
        {
            json.WriteNumberValue(member.Id.Value);
        }

        json.WriteEndArray();
    }
}
