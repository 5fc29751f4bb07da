using System.Runtime.InteropServices;
using Dqlite.Raft;

namespace Dqlite.Net.Storage;

// Reading, from any thread while the log thread appends.
internal sealed partial class SegmentedLog
{
    /// <summary>What the core must know of the entries, from <see cref="FirstIndex"/> on.</summary>
    internal IReadOnlyList<EntryInfo> EntryInfos()
    {
        lock (_lock)
        {
            return _entries.ConvertAll(entry => new EntryInfo(entry.Term, entry.Kind, entry.PayloadBytes));
        }
    }

    /// <summary>The configuration entries of the log, ascending.</summary>
    internal IReadOnlyList<LogEntry> ConfigurationEntries()
    {
        List<LogIndex> indexes = [];
        lock (_lock)
        {
            for (var i = 0; i < _entries.Count; i++)
            {
                if (_entries[i].Kind == EntryKind.Configuration)
                {
                    indexes.Add(new LogIndex(_baseIndex.Value + i + 1));
                }
            }
        }

        return indexes.ConvertAll(index => Read(index, index, 1)![0]);
    }

    /// <summary>Term of an entry; known for the one before <see cref="FirstIndex"/> too.</summary>
    /// <returns>Null when the log does not have it.</returns>
    internal Term? TermAt(LogIndex index)
    {
        lock (_lock)
        {
            if (index == _baseIndex)
            {
                return _baseTerm;
            }

            return index > _baseIndex && index <= LastIndexUnlocked ? PositionOf(index).Term : null;
        }
    }

    /// <summary>Reads entries. They share one buffer per segment run, so memory is bounded by what is asked for.</summary>
    /// <param name="first">The first one.</param>
    /// <param name="last">The last one that is wanted.</param>
    /// <param name="maxBytes">Bound of the payloads together; at least one entry is returned.</param>
    /// <returns>Entries from <paramref name="first"/> on, fewer when the bound is met or the log was cut meanwhile; null when the first
    /// one is compacted.</returns>
    /// <exception cref="LogDamagedException">The file holds other bytes than were written.</exception>
    internal IReadOnlyList<LogEntry>? Read(LogIndex first, LogIndex last, long maxBytes)
    {
        List<LogEntryPosition> positions;
        lock (_lock)
        {
            if (first <= _baseIndex)
            {
                return null;
            }

            positions = SelectAndPin(first, last, maxBytes);
        }

        try
        {
            var result = new List<LogEntry>(positions.Count);
            for (var next = 0; next < positions.Count;)
            {
                next += ReadRun(CollectionsMarshal.AsSpan(positions)[next..], new LogIndex(first.Value + next), result);
            }

            return result;
        }
        finally
        {
            Release(positions);
        }
    }

    private LogEntryPosition PositionOf(LogIndex index) => _entries[(int)(index.Value - _baseIndex.Value - 1)];

    /// <summary>A pinned segment's file is not used for anything else. Under the lock.</summary>
    private List<LogEntryPosition> SelectAndPin(LogIndex first, LogIndex last, long maxBytes)
    {
        var positions = new List<LogEntryPosition>();
        var bytes = 0L;
        LogSegment? pinned = null;
        for (var index = first; index <= last && index <= LastIndexUnlocked; index = index.Next)
        {
            var position = PositionOf(index);
            bytes += position.PayloadBytes;
            if (positions.Count > 0 && bytes > maxBytes)
            {
                break;
            }

            if (position.Segment != pinned)
            {
                pinned = position.Segment;
                pinned.Pins++;
            }

            positions.Add(position);
        }

        return positions;
    }

    private void Release(List<LogEntryPosition> positions)
    {
        for (var i = 0; i < positions.Count; i++)
        {
            if (i == 0 || positions[i].Segment != positions[i - 1].Segment)
            {
                string? unused;
                lock (_lock)
                {
                    unused = Unpin(positions[i].Segment);
                }

                RecycleIfAny(unused);
            }
        }
    }

    /// <summary>Reads the entries of one segment with one call.</summary>
    /// <returns>How many.</returns>
    private static int ReadRun(ReadOnlySpan<LogEntryPosition> positions, LogIndex first, List<LogEntry> result)
    {
        var segment = positions[0].Segment;
        var count = 1;
        while (count < positions.Length && positions[count].Segment == segment)
        {
            count++;
        }

        var start = positions[0].Offset;
        var buffer = GC.AllocateUninitializedArray<byte>(checked((int)(positions[count - 1].EndOffset - start)));
        var read = segment.File.Read(buffer, start);
        for (var i = 0; i < count; i++)
        {
            var index = new LogIndex(first.Value + i);
            var offset = (int)(positions[i].Offset - start);
            if (!LogFormat.TryReadRecord(buffer.AsSpan(Math.Min(offset, read)..read), segment.Salt, out var record)
                || record.Index != index || record.Term != positions[i].Term || record.PayloadBytes != positions[i].PayloadBytes)
            {
                throw new LogDamagedException(segment.Path, positions[i].Offset, index, "the record is not the one that was written");
            }

            result.Add(new LogEntry(index, record.Term, positions[i].Kind, buffer.AsMemory(offset + LogFormat.RecordHeaderBytes, record.PayloadBytes)));
        }

        return count;
    }

    /// <summary>Where the record of an entry is; null when the log does not hold it.</summary>
    internal (string Path, long Offset, long Length)? Locate(LogIndex index)
    {
        lock (_lock)
        {
            if (index <= _baseIndex || index > LastIndexUnlocked)
            {
                return null;
            }

            var entry = _entries[(int)(index.Value - _baseIndex.Value) - 1];
            return (entry.Segment.File.Path, entry.Offset, entry.EndOffset - entry.Offset);
        }
    }
}
