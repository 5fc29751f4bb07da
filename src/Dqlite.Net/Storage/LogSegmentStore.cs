using Dqlite.Sqlite;

namespace Dqlite.Net.Storage;

/// <summary>
/// The files of a log: prepares segments ahead and takes dropped ones back. A file under a segment's name always has a durable
/// header: it is prepared under another name, fsynced, renamed, and the directory fsynced before anyone writes a record to it.
/// A dropped file is renamed, and the directory fsynced, before it is used again. Thread-safe; one thread takes.
/// </summary>
internal sealed class LogSegmentStore(IFileSystem fileSystem, string directory, SegmentedLogOptions options) : IDisposable
{
    internal const string SpareExtension = ".spare";
    internal const string TemporaryExtension = ".tmp";
    private const int ZeroChunkBytes = 1 << 20;

    private readonly Lock _preparing = new(); // held for as long as a preparation takes
    private readonly Lock _lock = new();      // guards the queue and the spares, and is never held over I/O
    private readonly Queue<LogSegment> _prepared = new();
    private readonly Stack<string> _spares = new();
    private long _lastSequence;
    private ulong _lastSalt;
    private Exception? _lastAllocationFailure;

    /// <summary>Whether the last attempt to prepare a segment found room.</summary>
    internal bool CanGrow => Volatile.Read(ref _lastAllocationFailure) is null;

    /// <summary>Bytes of records that the prepared segments can take; 0 when none is prepared.</summary>
    internal long PreparedBytes => TryPeek()?.FreeBytes ?? 0;

    internal string Directory => directory;

    /// <summary>After the scan: the segments that hold nothing yet, and where the chain ends.</summary>
    internal void Adopt(IEnumerable<LogSegment> empty, IEnumerable<string> spares, long lastSequence, ulong lastSalt)
    {
        foreach (var segment in empty)
        {
            _prepared.Enqueue(segment);
        }

        foreach (var path in spares)
        {
            Recycle(path);
        }

        (_lastSequence, _lastSalt) = (lastSequence, lastSalt);
    }

    /// <summary>Makes sure that the next segment exists. Any thread; slow when there is no spare file.</summary>
    internal void Prepare()
    {
        lock (_preparing)
        {
            if (TryPeek() is null)
            {
                var segment = Create();
                lock (_lock)
                {
                    _prepared.Enqueue(segment);
                }
            }
        }
    }

    /// <summary>The next segment of the chain, with room for a record of this size.</summary>
    internal LogSegment Take(long recordBytes)
    {
        var segment = TryPeek();
        while (segment is null)
        {
            Prepare();
            segment = TryPeek();
        }

        if (segment.FreeBytes < recordBytes)
        {
            Enlarge(segment, recordBytes);
        }

        lock (_lock)
        {
            return _prepared.Dequeue();
        }
    }

    /// <summary>Takes files out of the chain, durably.</summary>
    /// <returns>Their new paths, for <see cref="Recycle"/>.</returns>
    internal List<string> Retire(IReadOnlyList<LogSegment> segments)
    {
        var spares = new List<string>(segments.Count);
        foreach (var segment in segments)
        {
            var spare = Path.ChangeExtension(segment.Path, SpareExtension);
            fileSystem.Rename(segment.Path, spare);
            spares.Add(spare);
        }

        fileSystem.SyncDirectory(directory);
        return spares;
    }

    /// <summary>Gets a retired file that nobody uses any more.</summary>
    internal void Recycle(string sparePath)
    {
        lock (_lock)
        {
            if (_spares.Count < options.MaxSpareSegments)
            {
                _spares.Push(sparePath);
                return;
            }
        }

        fileSystem.Delete(sparePath);
    }

    private LogSegment? TryPeek()
    {
        lock (_lock)
        {
            return _prepared.TryPeek(out var segment) ? segment : null;
        }
    }

    private string? TryTakeSpare()
    {
        lock (_lock)
        {
            return _spares.TryPop(out var path) ? path : null;
        }
    }

    private LogSegment Create()
    {
        var sequence = _lastSequence + 1;
        var salt = options.NextSalt();
        var path = Path.Combine(directory, LogSegment.NameOf(sequence));
        var spare = TryTakeSpare();
        var source = spare ?? Path.ChangeExtension(path, TemporaryExtension);
        IDurableFile? file = null;
        try
        {
            file = fileSystem.Open(source, DurableFileMode.Read | DurableFileMode.Write | DurableFileMode.Create | (spare is null ? DurableFileMode.Truncate : 0));
            var size = Math.Max(options.SegmentSizeBytes, LogFormat.SegmentHeaderBytes + (2 * LogFormat.RecordSize(0)));
            FitSize(file, size);
            Span<byte> header = stackalloc byte[LogFormat.SegmentHeaderBytes];
            LogFormat.WriteSegmentHeader(header, new LogSegmentHeader(sequence, salt, _lastSalt, size));
            file.Write(header, 0);
            file.Sync();
            file.Dispose();
            fileSystem.Rename(source, path);
            fileSystem.SyncDirectory(directory);
            file = fileSystem.OpenForAppends(path); // under its own name, so that its errors name the right path
            var segment = new LogSegment(path, file, sequence, salt, size);
            (_lastSequence, _lastSalt) = (sequence, salt);
            Volatile.Write(ref _lastAllocationFailure, null);
            return segment;
        }
        catch (DurableIOException exception) when (exception.IsDiskFull)
        {
            file?.Dispose();
            if (fileSystem.Exists(source))
            {
                fileSystem.Delete(source);
            }

            Volatile.Write(ref _lastAllocationFailure, exception);
            throw new LogFullException(directory, exception);
        }
        catch
        {
            file?.Dispose();
            throw;
        }
    }

    /// <summary>A spare file has all its blocks; a new one is filled with zeros once, so that a later fdatasync has no metadata to write.</summary>
    private static void FitSize(IDurableFile file, long size)
    {
        var length = file.Length;
        if (length > size)
        {
            file.Truncate(size);
        }
        else if (length < size)
        {
            Extend(file, length, size);
        }
    }

    private void Enlarge(LogSegment segment, long recordBytes)
    {
        var size = segment.SizeBytes + recordBytes - segment.FreeBytes;
        try
        {
            Extend(segment.File, segment.SizeBytes, size);
            segment.File.Sync();
            segment.SizeBytes = size;
        }
        catch (DurableIOException exception) when (exception.IsDiskFull)
        {
            Volatile.Write(ref _lastAllocationFailure, exception);
            throw new LogFullException(directory, exception);
        }
    }

    private static void Extend(IDurableFile file, long from, long to)
    {
        file.Allocate(from, to - from);
        var zeros = new byte[Math.Min(ZeroChunkBytes, to - from)];
        for (var offset = from; offset < to; offset += zeros.Length)
        {
            file.Write(zeros.AsSpan(0, (int)Math.Min(zeros.Length, to - offset)), offset);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            while (_prepared.TryDequeue(out var segment))
            {
                segment.File.Dispose();
            }
        }
    }
}
