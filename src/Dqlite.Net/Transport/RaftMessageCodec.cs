using Dqlite.Raft;

namespace Dqlite.Net.Transport;

/// <summary>The header of a Raft message: an array of kind, sender, receiver, term and the kind's own fields in the record's order.</summary>
internal static class RaftMessageCodec
{
    /// <summary>Entries that one message may carry.</summary>
    public const int MaxEntries = 1 << 16;

    private const int CommonFields = 4;

    /// <summary>Writes a message; the payloads of its entries are the caller's business.</summary>
    /// <exception cref="ArgumentException">The entries do not fit the message's indexes.</exception>
    public static void Write(ref MessagePackWriter writer, RaftMessage message)
    {
        writer.WriteArrayHeader(FieldCount(message.Kind));
        writer.Write((byte)message.Kind);
        writer.Write(message.From.Value);
        writer.Write(message.To.Value);
        writer.Write(message.Term.Value);
        switch (message)
        {
            case PreVoteRequest m:
                writer.Write(m.LastLogIndex.Value);
                writer.Write(m.LastLogTerm.Value);
                break;
            case PreVoteResponse m:
                writer.Write(m.RequestTerm.Value);
                writer.Write(m.Granted);
                break;
            case VoteRequest m:
                writer.Write(m.LastLogIndex.Value);
                writer.Write(m.LastLogTerm.Value);
                writer.Write(m.LeadershipTransfer);
                break;
            case VoteResponse m:
                writer.Write(m.Granted);
                break;
            case AppendEntriesRequest m:
                WriteAppend(ref writer, m);
                break;
            case AppendEntriesResponse m:
                writer.Write(m.Success);
                writer.Write(m.MatchIndex.Value);
                writer.Write(m.RejectedPrevIndex.Value);
                writer.Write(m.ConflictTerm.Value);
                writer.Write(m.ConflictIndex.Value);
                writer.Write(m.ReadSequence);
                writer.Write(m.SentAtNs);
                break;
            case HeartbeatRequest m:
                writer.Write(m.LeaderCommit.Value);
                writer.Write(m.ReadSequence);
                writer.Write(m.SentAtNs);
                break;
            case HeartbeatResponse m:
                writer.Write(m.ReadSequence);
                writer.Write(m.SentAtNs);
                break;
            case TimeoutNow m:
                writer.Write(m.LastLogIndex.Value);
                break;
            case ReadIndexRequest m:
                writer.Write(m.RequestId);
                break;
            case ReadIndexResponse m:
                writer.Write(m.RequestId);
                writer.Write(m.Success);
                writer.Write(m.ReadIndex.Value);
                break;
            default:
                throw new ArgumentException($"{message.GetType()} does not travel.", nameof(message));
        }
    }

    /// <summary>Reads a message.</summary>
    /// <param name="reader">Stands at the message.</param>
    /// <param name="payload">The payloads of its entries, one behind the other; the result refers to them.</param>
    /// <exception cref="MessagePackSerializationException">It is not a message.</exception>
    public static RaftMessage Read(ref MessagePackReader reader, ReadOnlyMemory<byte> payload)
    {
        var fieldCount = reader.ReadArrayHeader();
        var kind = fieldCount > 0 ? (RaftMessageKind)reader.ReadByte() : 0;
        if (fieldCount != FieldCount(kind) || (payload.Length > 0 && kind != RaftMessageKind.AppendEntriesRequest))
        {
            throw new MessagePackSerializationException($"A Raft message of kind {(byte)kind}, {fieldCount} fields and {payload.Length} bytes does not exist.");
        }

        NodeId from = new(ReadNumber(ref reader)), to = new(ReadNumber(ref reader));
        var term = ReadTerm(ref reader);
        return kind switch
        {
            RaftMessageKind.PreVoteRequest => new PreVoteRequest(from, to, term, ReadIndex(ref reader), ReadTerm(ref reader)),
            RaftMessageKind.PreVoteResponse => new PreVoteResponse(from, to, term, ReadTerm(ref reader), reader.ReadBoolean()),
            RaftMessageKind.VoteRequest => new VoteRequest(from, to, term, ReadIndex(ref reader), ReadTerm(ref reader), reader.ReadBoolean()),
            RaftMessageKind.VoteResponse => new VoteResponse(from, to, term, reader.ReadBoolean()),
            RaftMessageKind.AppendEntriesRequest => ReadAppend(ref reader, from, to, term, payload),
            RaftMessageKind.AppendEntriesResponse => new AppendEntriesResponse(from, to, term, reader.ReadBoolean(), ReadIndex(ref reader),
                ReadIndex(ref reader), ReadTerm(ref reader), ReadIndex(ref reader), reader.ReadInt64(), reader.ReadInt64()),
            RaftMessageKind.HeartbeatRequest => new HeartbeatRequest(from, to, term, ReadIndex(ref reader), reader.ReadInt64(), reader.ReadInt64()),
            RaftMessageKind.HeartbeatResponse => new HeartbeatResponse(from, to, term, reader.ReadInt64(), reader.ReadInt64()),
            RaftMessageKind.TimeoutNow => new TimeoutNow(from, to, term, ReadIndex(ref reader)),
            RaftMessageKind.ReadIndexRequest => new ReadIndexRequest(from, to, term, reader.ReadInt64()),
            RaftMessageKind.ReadIndexResponse => new ReadIndexResponse(from, to, term, reader.ReadInt64(), reader.ReadBoolean(), ReadIndex(ref reader)),
        };
    }

    /// <summary>Number of fields of a kind; -1 for a kind that does not exist.</summary>
    private static int FieldCount(RaftMessageKind kind) => kind switch
    {
        RaftMessageKind.PreVoteRequest => CommonFields + 2,
        RaftMessageKind.PreVoteResponse => CommonFields + 2,
        RaftMessageKind.VoteRequest => CommonFields + 3,
        RaftMessageKind.VoteResponse => CommonFields + 1,
        RaftMessageKind.AppendEntriesRequest => CommonFields + 7,
        RaftMessageKind.AppendEntriesResponse => CommonFields + 7,
        RaftMessageKind.HeartbeatRequest => CommonFields + 3,
        RaftMessageKind.HeartbeatResponse => CommonFields + 2,
        RaftMessageKind.TimeoutNow => CommonFields + 1,
        RaftMessageKind.ReadIndexRequest => CommonFields + 1,
        RaftMessageKind.ReadIndexResponse => CommonFields + 3,
        _ => -1,
    };

    /// <summary>The first index follows from the previous one, and each entry's index from the first: they do not travel.</summary>
    private static void WriteAppend(ref MessagePackWriter writer, AppendEntriesRequest message)
    {
        if (message.FirstIndex != message.PrevLogIndex.Next || message.LastIndex.Value - message.PrevLogIndex.Value != message.Entries.Count
            || message.Entries.Count > MaxEntries)
        {
            throw new ArgumentException($"AppendEntries {message.PrevLogIndex}, {message.FirstIndex}..{message.LastIndex} does not fit its "
                + $"{message.Entries.Count} entries (at most {MaxEntries}).", nameof(message));
        }

        writer.Write(message.PrevLogIndex.Value);
        writer.Write(message.PrevLogTerm.Value);
        writer.Write(message.LastIndex.Value);
        writer.Write(message.LeaderCommit.Value);
        writer.Write(message.ReadSequence);
        writer.Write(message.SentAtNs);
        writer.WriteArrayHeader(3 * message.Entries.Count);
        for (var i = 0; i < message.Entries.Count; i++)
        {
            var entry = message.Entries[i];
            if (entry.Index.Value != message.FirstIndex.Value + i)
            {
                throw new ArgumentException($"Entry {entry.Index} stands where {message.FirstIndex.Value + i} belongs.", nameof(message));
            }

            writer.Write(entry.Term.Value);
            writer.Write((byte)entry.Kind);
            writer.Write(entry.Payload.Length);
        }
    }

    private static AppendEntriesRequest ReadAppend(ref MessagePackReader reader, NodeId from, NodeId to, Term term, ReadOnlyMemory<byte> payload)
    {
        var prevLogIndex = ReadIndex(ref reader);
        var prevLogTerm = ReadTerm(ref reader);
        var lastIndex = ReadIndex(ref reader);
        var leaderCommit = ReadIndex(ref reader);
        long readSequence = reader.ReadInt64(), sentAtNs = reader.ReadInt64();
        var numberCount = reader.ReadArrayHeader();
        var entryCount = numberCount / 3;
        if (numberCount % 3 != 0 || entryCount > MaxEntries || lastIndex.Value - prevLogIndex.Value != entryCount)
        {
            throw new MessagePackSerializationException($"AppendEntries after {prevLogIndex} up to {lastIndex} carries {numberCount} numbers for its entries.");
        }

        var entries = entryCount == 0 ? [] : new LogEntry[entryCount];
        for (var i = 0; i < entries.Length; i++)
        {
            var entryTerm = ReadTerm(ref reader);
            var kind = (EntryKind)reader.ReadByte();
            var sizeBytes = ReadNumber(ref reader);
            if (kind is < EntryKind.NoOp or > EntryKind.Application || sizeBytes > payload.Length)
            {
                throw new MessagePackSerializationException($"An entry has kind {(byte)kind} and {sizeBytes} bytes, with {payload.Length} left.");
            }

            entries[i] = new LogEntry(new LogIndex(prevLogIndex.Value + 1 + i), entryTerm, kind, payload[..(int)sizeBytes]);
            payload = payload[(int)sizeBytes..];
        }

        return payload.IsEmpty
            ? new AppendEntriesRequest(from, to, term, prevLogIndex, prevLogTerm, prevLogIndex.Next, lastIndex, leaderCommit, readSequence, sentAtNs, entries)
            : throw new MessagePackSerializationException($"{payload.Length} bytes follow the last entry.");
    }

    private static Term ReadTerm(ref MessagePackReader reader) => new(ReadNumber(ref reader));

    private static LogIndex ReadIndex(ref MessagePackReader reader) => new(ReadNumber(ref reader));

    /// <summary>Ids, terms and indexes are never negative, and leave room to count on.</summary>
    private static long ReadNumber(ref MessagePackReader reader)
    {
        var value = reader.ReadInt64();
        return value is >= 0 and <= long.MaxValue / 2 ? value : throw new MessagePackSerializationException($"{value} is no id, term, index or size.");
    }
}
