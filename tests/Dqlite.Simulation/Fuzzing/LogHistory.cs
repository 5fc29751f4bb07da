using Dqlite.Net.Storage;
using Dqlite.Raft;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>
/// What a log has been, record by record: an independent model of what reading it may give. A crash or damage at the end may take the log back
/// to any earlier state, but not behind what an intact record says was durable.
/// </summary>
internal sealed class LogHistory
{
    private readonly List<Record> _records = [];
    private readonly LogIndex _baseIndex;
    private readonly Term _baseTerm;

    public LogHistory(LogSample written)
    {
        (_baseIndex, _baseTerm) = (written.BaseIndex, written.BaseTerm);
        foreach (var (name, content) in written.Files)
        {
            if (LogSegment.TryParseName(name, out _) && LogFormat.ReadSegmentHeader(content, out var header) is null)
            {
                ReadRecords(name, content, header.Salt);
            }
        }
    }

    private readonly record struct Record(string File, int Offset, LogRecord Header, byte[] Bytes)
    {
        public LogEntry Entry => new(Header.Index, Header.Term, (EntryKind)Header.Kind, Bytes.AsMemory(LogFormat.RecordHeaderBytes, Header.PayloadBytes));
    }

    /// <summary>Null when what was read from damaged files is a state that the log may have gone back to; else what is wrong.</summary>
    public string? Judge(IReadOnlyList<FuzzFile> damaged, IReadOnlyList<LogEntry> read)
    {
        var durable = DurableCount(damaged);
        for (var count = _records.Count; count >= durable; count--)
        {
            var state = StateAfter(count);
            if (state.Count == read.Count && state.Zip(read).All(pair => MessageBytes.AreEqual(pair.First, pair.Second)))
            {
                return null;
            }
        }

        return $"entries {_baseIndex.Next} to {_baseIndex.Value + read.Count} were read without complaint: that is no state of this log after its first {durable} of "
            + $"{_records.Count} records, which intact records call durable (the last state has {StateAfter(_records.Count).Count} entries)";
    }

    private void ReadRecords(string name, byte[] content, ulong salt)
    {
        for (long offset = LogFormat.SegmentHeaderBytes; offset < content.Length && LogFormat.TryReadRecord(content.AsSpan((int)offset), salt, out var record);)
        {
            _records.Add(new Record(name, (int)offset, record, content.AsSpan((int)offset, LogFormat.RecordHeaderBytes + record.PayloadBytes).ToArray()));
            offset += record.SizeBytes;
        }
    }

    /// <summary>How many records the intact ones call durable: what precedes in their segment up to the offset that they state, and all earlier segments.</summary>
    private int DurableCount(IReadOnlyList<FuzzFile> damaged)
    {
        var durable = 0;
        for (var i = 0; i < _records.Count; i++)
        {
            var record = _records[i];
            if (IsIntact(record, damaged))
            {
                durable = Math.Max(durable, _records.FindLastIndex(i, other => other.File != record.File || other.Offset < record.Header.DurableOffset) + 1);
            }
        }

        return durable;
    }

    private static bool IsIntact(in Record record, IReadOnlyList<FuzzFile> damaged)
    {
        foreach (var (name, content) in damaged)
        {
            if (name == record.File && content.Length >= record.Offset + record.Bytes.Length)
            {
                return content.AsSpan(record.Offset, record.Bytes.Length).SequenceEqual(record.Bytes);
            }
        }

        return false;
    }

    /// <summary>The entries above the base after so many records.</summary>
    private List<LogEntry> StateAfter(int count)
    {
        var entries = new List<LogEntry>();
        LogIndex? previous = null;
        Term? previousTerm = null;
        foreach (var record in _records.Take(count))
        {
            var (kind, index) = (record.Header.Kind, record.Header.Index);
            if (previous is null || kind == LogRecordKind.Reset || (kind == LogRecordKind.Truncate && index < previous))
            {
                entries.Clear();
                previous = record.Header.IsEntry ? index.Previous : index;
                previousTerm = record.Header.IsEntry ? null : record.Header.Term;
            }

            if (record.Header.IsEntry)
            {
                entries.Add(record.Entry);
            }
            else if (kind == LogRecordKind.Truncate)
            {
                entries.RemoveAll(entry => entry.Index > index);
            }
        }

        return AboveBase(entries, previous ?? _baseIndex, previousTerm);
    }

    /// <summary>A log that ends before the base, or has another term there, is one from before an install: it is emptied.</summary>
    private List<LogEntry> AboveBase(List<LogEntry> entries, LogIndex previous, Term? previousTerm)
    {
        var lastIndex = previous.Value + entries.Count;
        var termAtBase = _baseIndex == previous ? previousTerm : entries.Find(entry => entry.Index == _baseIndex)?.Term;
        return lastIndex < _baseIndex.Value || (termAtBase is { } term && term != _baseTerm) ? [] : entries.FindAll(entry => entry.Index > _baseIndex);
    }
}
