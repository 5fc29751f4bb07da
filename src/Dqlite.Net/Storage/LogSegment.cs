using System.Globalization;
using Dqlite.Raft;

namespace Dqlite.Net.Storage;

/// <summary>One segment file that belongs to the log. The log thread alone changes it.</summary>
internal sealed class LogSegment(string path, IDurableFile file, long sequence, ulong salt, long sizeBytes)
{
    internal const string Extension = ".segment";

    internal string Path { get; } = path;

    internal IDurableFile File { get; } = file;

    /// <summary>Its place in the chain; also its name.</summary>
    internal long Sequence { get; } = sequence;

    /// <summary>Enters every CRC, so that records of an earlier use of the file are never taken for records of this one.</summary>
    internal ulong Salt { get; } = salt;

    internal long SizeBytes { get; set; } = sizeBytes;

    /// <summary>Where the next record goes.</summary>
    internal long EndOffset { get; set; } = LogFormat.SegmentHeaderBytes;

    /// <summary>Everything before it is durable.</summary>
    internal long DurableOffset { get; set; } = LogFormat.SegmentHeaderBytes;

    /// <summary>First index that the chain holds when it begins with this segment; null while it has no record.</summary>
    internal LogIndex? StartIndex { get; set; }

    /// <summary>Where the file is once the segment was dropped.</summary>
    internal string? SparePath { get; set; }

    /// <summary>Readers at work on the file, and one for the chain; the file is used again or closed at zero. Guarded by the log's lock.</summary>
    internal int Pins { get; set; } = 1;

    /// <summary>Room for records; a seal always fits behind them.</summary>
    internal long FreeBytes => SizeBytes - EndOffset - LogFormat.RecordSize(0);

    internal static string NameOf(long sequence) => sequence.ToString("D16", CultureInfo.InvariantCulture) + Extension;

    internal static bool TryParseName(string name, out long sequence)
    {
        sequence = 0;
        return name.Length == 16 + Extension.Length
            && name.EndsWith(Extension, StringComparison.Ordinal)
            && long.TryParse(name.AsSpan(0, 16), NumberStyles.None, CultureInfo.InvariantCulture, out sequence);
    }
}

/// <summary>Where an entry lies, and what the core must know of it.</summary>
internal readonly record struct LogEntryPosition(LogSegment Segment, long Offset, int PayloadBytes, EntryKind Kind, Term Term)
{
    internal long EndOffset => Offset + LogFormat.RecordSize(PayloadBytes);
}
