using System.Runtime.InteropServices;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Storage;

// How records get to the files.
internal sealed partial class SegmentedLog
{
    private static readonly byte[] Padding = new byte[LogFormat.RecordAlignment];

    /// <summary>Index and term of the last entry, as one: a compaction beside this moves the base and the entries.</summary>
    private (LogIndex Index, Term Term) End()
    {
        lock (_lock)
        {
            return (LastIndexUnlocked, LastTermUnlocked);
        }
    }

    private void CheckSequence(IReadOnlyList<LogEntry> entries)
    {
        var (index, term) = End();
        foreach (var entry in entries)
        {
            if (entry.Index != index.Next || entry.Term < term || entry.Payload.Length > _options.MaxEntryBytes)
            {
                throw new InvalidOperationException(
                    $"Entry {entry.Index} of term {entry.Term} with {entry.Payload.Length} bytes does not fit behind entry {index} of term {term}.");
            }

            (index, term) = (entry.Index, entry.Term);
        }
    }

    private void WriteEntries(IReadOnlyList<LogEntry> entries, int first, int count, long totalBytes)
    {
        var segment = _active;
        EncodeEntries(segment, entries, first, count);
        Guard(() => segment.File.WriteVectored(CollectionsMarshal.AsSpan(_vectors), segment.EndOffset));
        _vectors.Clear();
        WrittenBytes += totalBytes;
        lock (_lock)
        {
            segment.StartIndex ??= entries[first].Index;
            for (var i = first; i < first + count; i++)
            {
                var entry = entries[i];
                _entries.Add(new LogEntryPosition(segment, segment.EndOffset, entry.Payload.Length, entry.Kind, entry.Term));
                segment.EndOffset += LogFormat.RecordSize(entry.Payload.Length);
            }
        }

        _needsMark = true;
    }

    private void EncodeEntries(LogSegment segment, IReadOnlyList<LogEntry> entries, int first, int count)
    {
        if (_headers.Length < count * LogFormat.RecordHeaderBytes)
        {
            _headers = new byte[count * LogFormat.RecordHeaderBytes];
        }

        _vectors.Clear();
        for (var i = 0; i < count; i++)
        {
            var entry = entries[first + i];
            var header = _headers.AsMemory(i * LogFormat.RecordHeaderBytes, LogFormat.RecordHeaderBytes);
            var record = new LogRecord((LogRecordKind)entry.Kind, entry.Payload.Length, entry.Index, entry.Term, DurableIndex, segment.DurableOffset);
            LogFormat.WriteRecordHeader(header.Span, segment.Salt, record, entry.Payload.Span);
            _vectors.Add(header);
            if (!entry.Payload.IsEmpty)
            {
                _vectors.Add(entry.Payload);
                var padding = (int)(record.SizeBytes - LogFormat.RecordHeaderBytes - entry.Payload.Length);
                if (padding > 0)
                {
                    _vectors.Add(Padding.AsMemory(0, padding));
                }
            }
        }
    }

    private void WriteControl(LogRecordKind kind, LogIndex index, Term term)
    {
        var segment = _active;
        Guard(() =>
        {
            Span<byte> header = stackalloc byte[LogFormat.RecordHeaderBytes];
            LogFormat.WriteRecordHeader(header, segment.Salt, new LogRecord(kind, 0, index, term, DurableIndex, segment.DurableOffset), []);
            segment.File.Write(header, segment.EndOffset);
        });
        WrittenBytes += LogFormat.RecordSize(0);
        lock (_lock)
        {
            segment.StartIndex ??= index.Next;
            segment.EndOffset += LogFormat.RecordSize(0);
        }

        _needsMark = true;
    }

    /// <summary>Goes on in the next segment. The order makes every crash readable: the next one exists before the seal names it, and
    /// the seal is durable before the next one gets a record.</summary>
    private void Roll(long recordBytes)
    {
        LogSegment next;
        try
        {
            next = _store.Take(recordBytes);
        }
        catch (DurableIOException exception)
        {
            throw Fail(exception);
        }

        var (lastIndex, lastTerm) = End();
        WriteControl(LogRecordKind.Seal, lastIndex, lastTerm);
        Flush();
        lock (_lock)
        {
            _chain.Add(next);
            _active = next;
        }
    }

    private void DropSegmentsBefore(LogSegment keep)
    {
        List<LogSegment> dropped;
        lock (_lock)
        {
            dropped = _chain.GetRange(0, _chain.IndexOf(keep));
        }

        if (dropped.Count == 0)
        {
            return;
        }

        var spares = new List<string>();
        Guard(() => spares = _store.Retire(dropped));
        lock (_lock)
        {
            _chain.RemoveRange(0, dropped.Count);
        }

        for (var i = 0; i < dropped.Count; i++)
        {
            string? unused;
            lock (_lock)
            {
                dropped[i].SparePath = spares[i];
                unused = Unpin(dropped[i]);
            }

            RecycleIfAny(unused);
        }
    }

    /// <summary>The last one to let go closes the file. Under the lock.</summary>
    /// <returns>The path of a dropped file that may be used again, for <see cref="RecycleIfAny"/> outside the lock.</returns>
    private static string? Unpin(LogSegment segment)
    {
        if (--segment.Pins > 0)
        {
            return null;
        }

        segment.File.Dispose();
        return segment.SparePath;
    }

    private void RecycleIfAny(string? path)
    {
        if (path is not null)
        {
            Guard(() => _store.Recycle(path));
        }
    }

    private void SyncActive()
    {
#if MUTANTS
        if (Mutant.Is("R17b"))
        {
            return;
        }

        try
        {
            _active.File.DataSync();
            return;
        }
        catch (DurableIOException) when (Mutant.Is("R20"))
        {
            // Once more: the kernel takes the pages for clean now.
        }
#endif
        _active.File.DataSync();
    }

    /// <summary>Runs a write; its failure is final.</summary>
    private void Guard(Action write)
    {
        try
        {
            write();
        }
        catch (Exception exception)
        {
            throw Fail(exception);
        }
    }

    private StorageFailedException Fail(Exception exception)
    {
        Interlocked.CompareExchange(ref _failure, exception, null);
        return new StorageFailedException(_store.Directory, exception);
    }

    private void ThrowIfFailed()
    {
        if (Volatile.Read(ref _failure) is { } failure)
        {
            throw new StorageFailedException(_store.Directory, failure);
        }
    }
}
