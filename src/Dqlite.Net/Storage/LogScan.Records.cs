using Dqlite.Raft;

namespace Dqlite.Net.Storage;

// What each kind of record means for the log that is being read.
internal sealed partial class LogScan
{
    private void AcceptRecord(LogSegment segment, long offset, in LogRecord record)
    {
        RequireNoBreak(segment);
        RequirePossible(segment, offset, record);
        switch (record.Kind)
        {
            case LogRecordKind.NoOp or LogRecordKind.Configuration or LogRecordKind.Application:
                AcceptEntry(segment, offset, record);
                break;
            case LogRecordKind.Mark or LogRecordKind.Seal:
                StartAt(record.Index, record.Term);
                RequireEnd(segment, offset, record);
                break;
            case LogRecordKind.Truncate:
                RequireFirst(segment, offset);
                StartAt(record.Index, record.Term);
                Cut(segment, offset, record);
                break;
            case LogRecordKind.Reset:
                RequireFirst(segment, offset);
                Restart(record.Index, record.Term);
                break;
            default:
                throw Damage(segment, offset, $"the record has the unknown kind {(byte)record.Kind}");
        }

        segment.DurableOffset = Math.Max(segment.DurableOffset, record.DurableOffset);
        segment.StartIndex ??= record.IsEntry ? record.Index : record.Index.Next;
    }

    /// <summary>Numbers that no log has, although the checksum is right: what follows from them would be nonsense.</summary>
    private void RequirePossible(LogSegment segment, long offset, in LogRecord record)
    {
        if (record.Index.Value is < 0 or > LogFormat.MaxNumber || record.Term.Value is < 0 or > LogFormat.MaxNumber || record.DurableOffset > offset)
        {
            throw Damage(segment, offset, $"the record has the impossible index {record.Index}, term {record.Term} or durable offset {record.DurableOffset}");
        }
    }

    private void AcceptEntry(LogSegment segment, long offset, in LogRecord record)
    {
        if (!HasRecords)
        {
            Restart(record.Index.Previous, record.Index.Value == 1 ? Term.Zero : null);
        }

        if (record.Index != LastIndex.Next || record.Term < (LastTerm ?? Term.Zero))
        {
            throw Damage(segment, offset, $"the record has index {record.Index} and term {record.Term} behind index {LastIndex} and term {LastTerm}");
        }

        Entries.Add(new LogEntryPosition(segment, offset, record.PayloadBytes, (EntryKind)record.Kind, record.Term));
    }

    /// <summary>The first record of the chain tells where the log begins.</summary>
    private void StartAt(LogIndex previousIndex, Term previousTerm)
    {
        if (!HasRecords)
        {
            Restart(previousIndex, previousTerm);
        }
    }

    private void Restart(LogIndex previousIndex, Term? previousTerm)
    {
        HasRecords = true;
        Entries.Clear();
        (PreviousIndex, PreviousTerm) = (previousIndex, previousTerm);
    }

    private void Cut(LogSegment segment, long offset, in LogRecord record)
    {
        if (record.Index < PreviousIndex)
        {
            // The segments that held the entries before were dropped; CheckCoverage sees whether they were still needed.
            Restart(record.Index, record.Term);
            return;
        }

        if (record.Index > LastIndex)
        {
            throw Damage(segment, offset, $"the log was cut behind index {record.Index}, but the entries before end at {LastIndex}");
        }

        Entries.RemoveRange((int)(record.Index.Value - PreviousIndex.Value), (int)(LastIndex.Value - record.Index.Value));
        RequireEnd(segment, offset, record);
    }

    private void RequireEnd(LogSegment segment, long offset, in LogRecord record)
    {
        PreviousTerm ??= Entries.Count == 0 ? record.Term : null;
        if (record.Index != LastIndex || (LastTerm is { } term && record.Term != term))
        {
            throw Damage(segment, offset, $"the record is for the end at index {record.Index} and term {record.Term}, but the log ends at {LastIndex} and term {LastTerm}");
        }
    }

    private void RequireFirst(LogSegment segment, long offset)
    {
        if (offset != LogFormat.SegmentHeaderBytes)
        {
            throw Damage(segment, offset, "the record may stand at the start of a segment only");
        }
    }
}
