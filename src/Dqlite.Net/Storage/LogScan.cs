using System.Globalization;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Storage;

/// <summary>
/// Reads a log directory and tells a torn tail from damage; docs/formats/log.md states the rules. In short: writing of a segment ends
/// where its records end, or at its seal. Where the records end without one, whatever a crash can leave is cut; but when anything
/// behind says that more had been durable, the log is damaged.
/// </summary>
internal sealed partial class LogScan
{
    private readonly IFileSystem _fileSystem;
    private readonly string _directory;
    private readonly SegmentedLogOptions _options;
    private readonly LogIndex _baseIndex;
    private Break? _break;
    private NativeBuffer _buffer = new(0);

    private LogScan(IFileSystem fileSystem, string directory, SegmentedLogOptions options, LogIndex baseIndex)
    {
        _fileSystem = fileSystem;
        _directory = directory;
        _options = options;
        _baseIndex = baseIndex;
    }

    /// <summary>Where the records of a segment end without a seal.</summary>
    private readonly record struct Break(LogSegment Segment, LogIndex NextIndex, bool HasStaleRecords);

    /// <summary>The chain that holds the log, ascending.</summary>
    internal List<LogSegment> Chain { get; } = [];

    /// <summary>Segments behind the chain that hold nothing yet.</summary>
    internal List<LogSegment> Empty { get; } = [];

    /// <summary>Segments before a gap that compaction had begun to drop.</summary>
    internal List<LogSegment> Dropped { get; } = [];

    /// <summary>Files to be used again.</summary>
    internal List<string> Spares { get; } = [];

    /// <summary>The entries that the files hold, ascending without gaps; those at or below the base included.</summary>
    internal List<LogEntryPosition> Entries { get; } = [];

    /// <summary>Index of the entry before the first one of <see cref="Entries"/>.</summary>
    internal LogIndex PreviousIndex { get; private set; }

    /// <summary>Its term, when the files tell.</summary>
    internal Term? PreviousTerm { get; private set; }

    /// <summary>Whether valid records lie behind the end of the log: nothing but a seal may be written there, since a new record could
    /// lead on to them.</summary>
    internal bool HasStaleRecords => _break is { HasStaleRecords: true };

    /// <summary>Whether any record was found; false in a log that is being created.</summary>
    internal bool HasRecords { get; private set; }

    internal LogIndex LastIndex => new(PreviousIndex.Value + Entries.Count);

    private Term? LastTerm => Entries.Count > 0 ? Entries[^1].Term : PreviousTerm;

    /// <summary>Reads the directory.</summary>
    /// <exception cref="LogDamagedException">Something that was durable is missing or different.</exception>
    internal static LogScan Run(IFileSystem fileSystem, string directory, SegmentedLogOptions options, LogIndex baseIndex)
    {
        var scan = new LogScan(fileSystem, directory, options, baseIndex) { PreviousIndex = baseIndex };
        try
        {
            scan.OpenChain();
            foreach (var segment in scan.Chain)
            {
                scan.ReadSegment(segment);
            }

            scan.CheckCoverage();
            scan.SplitOffEmpty();
            return scan;
        }
        catch
        {
            scan.CloseAll();
            throw;
        }
        finally
        {
            scan._buffer.Dispose();
        }
    }

    internal void CloseAll()
    {
        foreach (var segment in Chain.Concat(Empty).Concat(Dropped))
        {
            segment.File.Dispose();
        }
    }

    private void OpenChain()
    {
        foreach (var name in _fileSystem.ListFiles(_directory))
        {
            var path = Path.Combine(_directory, name);
            if (LogSegment.TryParseName(name, out var sequence))
            {
                OpenSegment(path, sequence);
            }
            else if (name.EndsWith(LogSegmentStore.TemporaryExtension, StringComparison.Ordinal))
            {
                _fileSystem.Delete(path); // a preparation that a crash cut short
            }
            else if (name.EndsWith(LogSegmentStore.SpareExtension, StringComparison.Ordinal))
            {
                Spares.Add(path);
            }
        }
    }

    private void OpenSegment(string path, long sequence)
    {
        var file = _fileSystem.OpenForAppends(path);
        try
        {
            Span<byte> bytes = stackalloc byte[LogFormat.SegmentHeaderBytes];
            var read = file.Read(bytes, 0);
            var problem = LogFormat.ReadSegmentHeader(bytes[..read], out var header) ?? ProblemOf(header, sequence, file.Length);
            if (problem is not null)
            {
                throw new LogDamagedException(path, 0, _baseIndex.Next, problem);
            }

            if (Chain.Count > 0 && Chain[^1].Sequence != sequence - 1)
            {
                // Compaction drops from the front without waiting for each rename: legitimate when the rest covers the base,
                // which CheckCoverage demands.
                Dropped.AddRange(Chain);
                Chain.Clear();
            }

            Chain.Add(new LogSegment(path, file, sequence, header.Salt, file.Length));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private string? ProblemOf(in LogSegmentHeader header, long sequence, long length)
    {
        if (header.Sequence != sequence)
        {
            return string.Create(CultureInfo.InvariantCulture, $"the header says segment {header.Sequence}: files were exchanged or renamed");
        }

        if (length < header.SizeBytes)
        {
            return string.Create(CultureInfo.InvariantCulture, $"the file has {length} bytes and had at least {header.SizeBytes}");
        }

        return Chain.Count > 0 && Chain[^1].Sequence == sequence - 1 && Chain[^1].Salt != header.PreviousSalt
            ? "the segment does not belong behind the one before it: files were exchanged"
            : null;
    }

    private void ReadSegment(LogSegment segment)
    {
        var content = ReadContent(segment);
        var offset = (long)LogFormat.SegmentHeaderBytes;
        var isSealed = false;
        while (!isSealed && TryRead(content, segment, offset, out var record))
        {
            AcceptRecord(segment, offset, record);
            offset += record.SizeBytes;
            isSealed = record.Kind == LogRecordKind.Seal;
        }

        segment.EndOffset = offset;
        if (!isSealed)
        {
            var hasStaleRecords = CheckTail(content, segment, offset);
            if (hasStaleRecords)
            {
                RequireNoBreak(segment);
            }

            _break ??= new Break(segment, LastIndex.Next, hasStaleRecords);
        }
    }

    /// <summary>Valid until the next call.</summary>
    private ReadOnlySpan<byte> ReadContent(LogSegment segment)
    {
        var size = checked((int)segment.SizeBytes);
        if (_buffer.Span.Length < size)
        {
            _buffer.Dispose();
            _buffer = new NativeBuffer(size);
        }

        var content = _buffer.Span[..size];
        return content[..segment.File.Read(content, 0)];
    }

    private bool TryRead(ReadOnlySpan<byte> content, LogSegment segment, long offset, out LogRecord record)
    {
        if (offset > content.Length || !LogFormat.TryReadRecord(content[(int)offset..], segment.Salt, out record))
        {
            record = default;
            return false;
        }

        if (record.PayloadBytes > _options.MaxEntryBytes || offset + record.SizeBytes > content.Length)
        {
            throw Damage(segment, offset, "the record is larger than its segment or the configured maximum");
        }

        return true;
    }

    /// <summary>A segment is sealed, durably, before the next one gets a record.</summary>
    private void RequireNoBreak(LogSegment segment)
    {
        if (_break is { } end)
        {
            throw new LogDamagedException(end.Segment.Path, end.Segment.EndOffset, end.NextIndex,
                $"its records end here without a seal, but '{segment.Path}' continues the log");
        }
    }

    /// <summary>Records behind the end were written later. Those of the batch that a crash tore say nothing of it; but when one of them
    /// says that more was durable, what is missing here was promised.</summary>
    private bool CheckTail(ReadOnlySpan<byte> content, LogSegment segment, long end)
    {
        var found = false;
        for (var offset = end + LogFormat.RecordAlignment; offset <= content.Length - LogFormat.RecordHeaderBytes;)
        {
            if (!LogFormat.TryReadRecord(content[(int)offset..], segment.Salt, out var record))
            {
                offset += LogFormat.RecordAlignment;
                continue;
            }

            var wasPromised = record.DurableOffset > end || record.DurableIndex > LastIndex;
#if MUTANTS
            wasPromised &= !Mutant.Is("R18");
#endif
            if (wasPromised)
            {
                throw Damage(segment, end, string.Create(CultureInfo.InvariantCulture,
                    $"no valid record, but the record at offset {offset} says that the log was durable up to index {record.DurableIndex}"));
            }

            found = true;
            offset += record.SizeBytes;
        }

        return found;
    }

    private void CheckCoverage()
    {
        if (Chain.Count == 0)
        {
            if (_options.MustExist || _baseIndex > LogIndex.Zero)
            {
                throw new LogDamagedException(_directory, 0, _baseIndex.Next, "there is no segment at all");
            }

            return;
        }

        // A log is created with a first record, and one durable record is always kept.
        var isNew = !HasRecords && !_options.MustExist && _baseIndex == LogIndex.Zero && Chain[0].Sequence == 1;
        if (!isNew && !(HasRecords && PreviousIndex <= _baseIndex))
        {
            throw new LogDamagedException(Chain[0].Path, 0, _baseIndex.Next,
                HasRecords
                    ? $"the log begins behind index {PreviousIndex}: segments before it are missing"
                    : "no segment has a valid record: the first records or segments are missing");
        }
    }

    /// <summary>The chain ends where the next record goes: in the first segment without a seal.</summary>
    private void SplitOffEmpty()
    {
        if (_break is { } end)
        {
            var behind = Chain.IndexOf(end.Segment) + 1;
            Empty.AddRange(Chain.Skip(behind));
            Chain.RemoveRange(behind, Chain.Count - behind);
        }
        else if (Chain.Count > 0)
        {
            throw new LogDamagedException(_directory, 0, LastIndex.Next, $"'{Chain[^1].Path}' is continued by a segment that is missing");
        }
    }

    private LogDamagedException Damage(LogSegment segment, long offset, string problem) =>
        new(segment.Path, offset, LastIndex.Next, problem);
}
