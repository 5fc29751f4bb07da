using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Storage;

/// <summary>
/// The Raft log on disk: a chain of preallocated segments (docs/formats/log.md). Append, Flush, TruncateFrom, Reset and WriteIdleMark
/// belong to one thread, the log thread; reading, Compact and PrepareNext may run beside it on any thread. After a failed write or
/// flush the object is failed for good: the kernel drops the error, so trying again would claim what is not so (Rebello, ATC'20).
/// </summary>
internal sealed partial class SegmentedLog : IDisposable
{
    private const int RewriteChunkBytes = 1 << 20;

    private readonly SegmentedLogOptions _options;
    private readonly LogSegmentStore _store;
    private readonly Lock _lock = new();
    private readonly List<LogSegment> _chain;
    private readonly List<LogEntryPosition> _entries;
    private readonly List<ReadOnlyMemory<byte>> _vectors = [];
    private byte[] _headers = new byte[64 * LogFormat.RecordHeaderBytes];
    private LogSegment _active;
    private LogIndex _baseIndex;
    private Term _baseTerm;
    private long _durableIndex;
    private bool _needsMark;
    private Exception? _failure;

    private SegmentedLog(SegmentedLogOptions options, LogSegmentStore store, List<LogSegment> chain, List<LogEntryPosition> entries,
        LogIndex baseIndex, Term baseTerm)
    {
        _options = options;
        _store = store;
        _chain = chain;
        _entries = entries;
        _active = chain[^1];
        (_baseIndex, _baseTerm) = (baseIndex, baseTerm);
        _durableIndex = LastIndexUnlocked.Value;
        _needsMark = _active.EndOffset > LogFormat.SegmentHeaderBytes;
    }

    /// <summary>Index of the first entry; <see cref="LastIndex"/> + 1 when there is none.</summary>
    internal LogIndex FirstIndex
    {
        get
        {
            lock (_lock)
            {
                return _baseIndex.Next;
            }
        }
    }

    /// <summary>Index of the last entry that was appended.</summary>
    internal LogIndex LastIndex
    {
        get
        {
            lock (_lock)
            {
                return LastIndexUnlocked;
            }
        }
    }

    /// <summary>Entries up to here are on the disk.</summary>
    internal LogIndex DurableIndex => new(Volatile.Read(ref _durableIndex));

    /// <summary>Bytes of the records that the live segments hold.</summary>
    internal long SizeBytes
    {
        get
        {
            lock (_lock)
            {
                return _chain.Sum(segment => segment.EndOffset - LogFormat.SegmentHeaderBytes);
            }
        }
    }

    /// <summary>Bytes of the records written since the log was opened. For the thread that appends.</summary>
    internal long WrittenBytes { get; private set; }

    /// <summary>False when the last attempt to allocate a segment found no room: entries that fit in <see cref="AvailableBytes"/> still
    /// go in, but no new drafts should be taken.</summary>
    internal bool CanGrow => _store.CanGrow;

    /// <summary>Bytes of records that can be appended without allocating, in the running segment or in the prepared one.</summary>
    internal long AvailableBytes => Math.Max(_active.FreeBytes, _store.PreparedBytes);

    private LogIndex LastIndexUnlocked => new(_baseIndex.Value + _entries.Count);

    private Term LastTermUnlocked => _entries.Count > 0 ? _entries[^1].Term : _baseTerm;

    /// <summary>Opens a log, or creates it when the directory does not exist.</summary>
    /// <param name="fileSystem">Where.</param>
    /// <param name="directory">The directory of the segments.</param>
    /// <param name="options">Settings.</param>
    /// <param name="baseIndex">Entries up to here are dropped; the caller has made it durable in the log base file.</param>
    /// <param name="baseTerm">Term of that entry.</param>
    /// <exception cref="LogDamagedException">Something that was durable is missing or different.</exception>
    internal static SegmentedLog Open(IFileSystem fileSystem, string directory, SegmentedLogOptions options, LogIndex baseIndex, Term baseTerm)
    {
        if (!fileSystem.Exists(directory))
        {
            fileSystem.CreateDirectory(directory);
            fileSystem.SyncDirectory(Path.GetDirectoryName(directory)!);
        }

        var scan = LogScan.Run(fileSystem, directory, options, baseIndex);
        var store = new LogSegmentStore(fileSystem, directory, options);
        try
        {
            foreach (var segment in scan.Chain.TakeLast(2))
            {
                MakeDurable(segment);
            }

            scan.Chain.ForEach(segment => segment.DurableOffset = segment.EndOffset);

            fileSystem.SyncDirectory(directory);
            AdoptFiles(scan, store);
            return FromScan(scan, store, options, baseIndex, baseTerm);
        }
        catch
        {
            scan.CloseAll();
            store.Dispose();
            throw;
        }
    }

    /// <summary>What was read may be in the kernel's memory only, when just the process had stopped; and after a failed flush the kernel
    /// takes it for clean, so that a flush alone would do nothing. Written again, it is flushed or it fails.</summary>
    private static void MakeDurable(LogSegment segment)
    {
        var buffer = new byte[(int)Math.Min(RewriteChunkBytes, segment.EndOffset - segment.DurableOffset)];
        for (var offset = segment.DurableOffset; offset < segment.EndOffset; offset += buffer.Length)
        {
            var chunk = buffer.AsSpan(0, (int)Math.Min(buffer.Length, segment.EndOffset - offset));
            segment.File.Write(chunk[..segment.File.Read(chunk, offset)], offset);
        }

        segment.File.DataSync();
    }

    private static void AdoptFiles(LogScan scan, LogSegmentStore store)
    {
        var spares = scan.Dropped.Count > 0 ? store.Retire(scan.Dropped) : [];
        scan.Dropped.ForEach(segment => segment.File.Dispose());
        scan.Dropped.Clear();
        var last = scan.Empty.Concat(scan.Chain).MaxBy(segment => segment.Sequence);
        store.Adopt(scan.Empty, scan.Spares.Concat(spares), last?.Sequence ?? 0, last?.Salt ?? 0);
        if (scan.Chain.Count == 0)
        {
            scan.Chain.Add(store.Take(0));
        }
    }

    private static SegmentedLog FromScan(LogScan scan, LogSegmentStore store, SegmentedLogOptions options, LogIndex baseIndex, Term baseTerm)
    {
        var skipped = (int)Math.Min(scan.Entries.Count, baseIndex.Value - scan.PreviousIndex.Value);
        var termAtBase = skipped > 0 ? scan.Entries[skipped - 1].Term : scan.PreviousTerm;
        // The base moves before the log is reset after an install: a log that ends before it, or has another term there, is of before.
        var isStale = scan.LastIndex < baseIndex || (termAtBase is { } term && term != baseTerm);
        var log = isStale
            ? new SegmentedLog(options, store, scan.Chain, scan.Entries, scan.PreviousIndex, scan.PreviousTerm ?? Term.Zero)
            : new SegmentedLog(options, store, scan.Chain, scan.Entries.Skip(skipped).ToList(), baseIndex, baseTerm);
        if (!scan.HasRecords)
        {
            // With a first record an empty log can be told from a lost one.
            log.WriteControl(LogRecordKind.Reset, LogIndex.Zero, Term.Zero);
            log.Flush();
            log._needsMark = false;
        }
        else if (isStale)
        {
            log.Reset(baseIndex, baseTerm);
        }
        else if (scan.HasStaleRecords)
        {
            log.Roll(0);
        }

        return log;
    }

    /// <summary>Appends entries: one vectored write per segment, payloads are not copied. Not durable before <see cref="Flush"/>.</summary>
    /// <param name="entries">Consecutive, the first one behind <see cref="LastIndex"/>.</param>
    /// <exception cref="LogFullException">The next segment cannot be allocated. What fitted before it is appended; a caller that keeps
    /// within <see cref="AvailableBytes"/> while <see cref="CanGrow"/> is false never sees this.</exception>
    internal void Append(IReadOnlyList<LogEntry> entries)
    {
        ThrowIfFailed();
        CheckSequence(entries);
        for (var next = 0; next < entries.Count;)
        {
            var size = LogFormat.RecordSize(entries[next].Payload.Length);
            if (size > _active.FreeBytes)
            {
                Roll(size);
            }

            var count = 0;
            var total = 0L;
            do
            {
                total += size;
                count++;
                size = next + count < entries.Count ? LogFormat.RecordSize(entries[next + count].Payload.Length) : long.MaxValue;
            }
            while (size <= _active.FreeBytes - total);
            WriteEntries(entries, next, count, total);
            next += count;
        }
    }

    /// <summary>Makes what was appended durable.</summary>
    internal void Flush()
    {
        ThrowIfFailed();
        if (_active.DurableOffset == _active.EndOffset)
        {
            return;
        }

        Guard(SyncActive);
        lock (_lock)
        {
            _active.DurableOffset = _active.EndOffset;
            Volatile.Write(ref _durableIndex, LastIndexUnlocked.Value);
        }
    }

    /// <summary>Says once more, durably, what is durable, so that damage to the last batch is recognized. For an idle log; does nothing
    /// when it was said already.</summary>
    internal void WriteIdleMark()
    {
        Flush();
        if (!_needsMark)
        {
            return;
        }

        if (_active.FreeBytes < LogFormat.RecordSize(0))
        {
            if (!CanGrow)
            {
                return; // the seal of this segment will say it
            }

            Roll(LogFormat.RecordSize(0));
        }

        var (lastIndex, lastTerm) = End();
        WriteControl(LogRecordKind.Mark, lastIndex, lastTerm);
        Flush();
        _needsMark = false;
    }

    /// <summary>Drops the entries from an index on (Raft section 5.3, conflict). Durable when it returns; no byte behind the cut is ever
    /// rewritten: the log goes on in a new segment, whose first record says where the old ones end.</summary>
    /// <param name="index">The first entry to go; not one that is compacted.</param>
    internal void TruncateFrom(LogIndex index)
    {
        ThrowIfFailed();
        ArgumentOutOfRangeException.ThrowIfLessThan(index.Value, FirstIndex.Value, nameof(index));
        if (index > LastIndex)
        {
            return;
        }

        Roll(LogFormat.RecordSize(0));
        lock (_lock)
        {
            _entries.RemoveRange((int)(index.Value - _baseIndex.Next.Value), (int)(LastIndexUnlocked.Value - index.Value) + 1);
            Volatile.Write(ref _durableIndex, LastIndexUnlocked.Value);
        }

        var (lastIndex, lastTerm) = End();
        WriteControl(LogRecordKind.Truncate, lastIndex, lastTerm);
        Flush();
    }

    /// <summary>Empties the log after an install: the next entry is index + 1. Durable when it returns. The caller has made the new base
    /// durable before; a crash in between is finished by <see cref="Open"/>.</summary>
    /// <param name="index">Index of the last entry that the installed state contains.</param>
    /// <param name="term">Its term.</param>
    internal void Reset(LogIndex index, Term term)
    {
        ThrowIfFailed();
        Roll(LogFormat.RecordSize(0));
        lock (_lock)
        {
            _entries.Clear();
            (_baseIndex, _baseTerm) = (index, term);
            Volatile.Write(ref _durableIndex, index.Value);
        }

        WriteControl(LogRecordKind.Reset, index, term);
        Flush();
        DropSegmentsBefore(_active);
    }

    /// <summary>Drops the entries up to an index, and every segment that holds nothing else. Any thread. The caller has made the new
    /// base durable before.</summary>
    /// <param name="upTo">At most <see cref="DurableIndex"/>.</param>
    internal void Compact(LogIndex upTo)
    {
        ThrowIfFailed();
        ArgumentOutOfRangeException.ThrowIfGreaterThan(upTo.Value, DurableIndex.Value, nameof(upTo));
        LogSegment? keep;
        lock (_lock)
        {
            if (upTo <= _baseIndex)
            {
                return;
            }

            var count = (int)(upTo.Value - _baseIndex.Value);
            _baseTerm = _entries[count - 1].Term;
            _entries.RemoveRange(0, count);
            _baseIndex = upTo;
            // One durable record must stay, so that an empty log can be told from a lost one.
            keep = _chain.FindLast(segment => segment.DurableOffset > LogFormat.SegmentHeaderBytes && segment.StartIndex <= upTo.Next);
        }

        DropSegmentsBefore(keep!);
    }

    /// <summary>Prepares the next segment. Any thread; slow when there is no spare file. Sets <see cref="CanGrow"/>.</summary>
    internal void PrepareNext()
    {
        ThrowIfFailed();
        try
        {
            _store.Prepare();
        }
        catch (LogFullException)
        {
            // CanGrow says so; what is prepared already still takes entries.
        }
        catch (DurableIOException exception)
        {
            throw Fail(exception);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _chain.ForEach(segment => Unpin(segment));
            _chain.Clear();
        }

        _store.Dispose();
    }
}
