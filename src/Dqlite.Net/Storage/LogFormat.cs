using System.Buffers.Binary;
using Dqlite.Raft;

namespace Dqlite.Net.Storage;

/// <summary>Kinds of log records. 1 to 3 are the values of <see cref="EntryKind"/>.</summary>
internal enum LogRecordKind : byte
{
    NoOp = EntryKind.NoOp,
    Configuration = EntryKind.Configuration,
    Application = EntryKind.Application,

    /// <summary>Says once more what is durable, when the log is idle.</summary>
    Mark = 16,

    /// <summary>Last record of its segment: the log goes on in the next one, which exists.</summary>
    Seal = 17,

    /// <summary>First record of its segment: the log was cut and now ends at (index, term).</summary>
    Truncate = 18,

    /// <summary>First record of its segment: everything before is void; the log begins behind (index, term).</summary>
    Reset = 19,
}

/// <summary>The header of a segment.</summary>
/// <param name="Sequence">Place in the chain.</param>
/// <param name="Salt">Enters the CRC of every record of this use of the file.</param>
/// <param name="PreviousSalt">The salt of the segment before it.</param>
/// <param name="SizeBytes">The file is at least this long.</param>
internal readonly record struct LogSegmentHeader(long Sequence, ulong Salt, ulong PreviousSalt, long SizeBytes);

/// <summary>The header of a record. For a kind that is no entry, index and term are those of the last entry before it.</summary>
internal readonly record struct LogRecord(
    LogRecordKind Kind, int PayloadBytes, LogIndex Index, Term Term, LogIndex DurableIndex, long DurableOffset)
{
    internal bool IsEntry => Kind <= LogRecordKind.Application;

    internal long SizeBytes => LogFormat.RecordSize(PayloadBytes);
}

/// <summary>Bytes of segments and records; docs/formats/log.md holds the tables.</summary>
internal static class LogFormat
{
    internal const uint Version = 1;

    /// <summary>Records start here: a page of its own, so that writing records never rewrites the header's sectors.</summary>
    internal const int SegmentHeaderBytes = 4096;

    internal const int RecordHeaderBytes = 48;

    internal const int RecordAlignment = 8;

    /// <summary>Largest index and term: there is always room to count on.</summary>
    internal const long MaxNumber = long.MaxValue / 2;

    private const int HeaderContentBytes = 64;
    private const ushort RecordMagic = 0xD171;

    private static ReadOnlySpan<byte> SegmentMagic => "DqNetLog"u8;

    /// <summary>Bytes of a record with its padding.</summary>
    internal static long RecordSize(int payloadBytes) =>
        (RecordHeaderBytes + (long)payloadBytes + RecordAlignment - 1) & ~(RecordAlignment - 1L);

    internal static void WriteSegmentHeader(Span<byte> destination, in LogSegmentHeader header)
    {
        destination[..SegmentHeaderBytes].Clear();
        SegmentMagic.CopyTo(destination);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[8..], Version);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[12..], SegmentHeaderBytes);
        BinaryPrimitives.WriteInt64LittleEndian(destination[16..], header.Sequence);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[24..], header.Salt);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[32..], header.PreviousSalt);
        BinaryPrimitives.WriteInt64LittleEndian(destination[40..], header.SizeBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[(HeaderContentBytes - 4)..], Crc32C.Compute(destination[..(HeaderContentBytes - 4)]));
    }

    /// <summary>Reads a header.</summary>
    /// <returns>Null, or what is wrong with it.</returns>
    internal static string? ReadSegmentHeader(ReadOnlySpan<byte> source, out LogSegmentHeader header)
    {
        header = default;
        if (source.Length < SegmentHeaderBytes)
        {
            return "the segment is shorter than its header";
        }

        if (!source[..8].SequenceEqual(SegmentMagic))
        {
            return "the segment header's magic is wrong";
        }

        if (Crc32C.Compute(source[..(HeaderContentBytes - 4)]) != BinaryPrimitives.ReadUInt32LittleEndian(source[(HeaderContentBytes - 4)..]))
        {
            return "the segment header's checksum is wrong";
        }

        var version = BinaryPrimitives.ReadUInt32LittleEndian(source[8..]);
        if (version != Version)
        {
            return $"the segment has format version {version}, this program reads {Version}";
        }

        header = new LogSegmentHeader(
            BinaryPrimitives.ReadInt64LittleEndian(source[16..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[24..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[32..]),
            BinaryPrimitives.ReadInt64LittleEndian(source[40..]));
        return null;
    }

    /// <summary>Writes a record's header; the payload and zeros up to the alignment follow it in the file.</summary>
    internal static void WriteRecordHeader(Span<byte> destination, ulong salt, in LogRecord record, ReadOnlySpan<byte> payload)
    {
        BinaryPrimitives.WriteInt32LittleEndian(destination[4..], record.PayloadBytes);
        destination[8] = (byte)record.Kind;
        destination[9] = 0;
        BinaryPrimitives.WriteUInt16LittleEndian(destination[10..], RecordMagic);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[12..], 0);
        BinaryPrimitives.WriteInt64LittleEndian(destination[16..], record.Index.Value);
        BinaryPrimitives.WriteInt64LittleEndian(destination[24..], record.Term.Value);
        BinaryPrimitives.WriteInt64LittleEndian(destination[32..], record.DurableIndex.Value);
        BinaryPrimitives.WriteInt64LittleEndian(destination[40..], record.DurableOffset);
        BinaryPrimitives.WriteUInt32LittleEndian(destination, RecordCrc(destination[4..RecordHeaderBytes], salt, payload));
    }

    /// <summary>Reads the record at the start of a buffer, if there is a valid one that was written under this salt.</summary>
    internal static bool TryReadRecord(ReadOnlySpan<byte> source, ulong salt, out LogRecord record)
    {
        record = default;
        if (source.Length < RecordHeaderBytes || BinaryPrimitives.ReadUInt16LittleEndian(source[10..]) != RecordMagic)
        {
            return false;
        }

        var payloadBytes = BinaryPrimitives.ReadInt32LittleEndian(source[4..]);
        if (payloadBytes < 0 || payloadBytes > source.Length - RecordHeaderBytes)
        {
            return false;
        }

        var crc = RecordCrc(source[4..RecordHeaderBytes], salt, source.Slice(RecordHeaderBytes, payloadBytes));
        if (crc != BinaryPrimitives.ReadUInt32LittleEndian(source))
        {
            return false;
        }

        record = new LogRecord(
            (LogRecordKind)source[8],
            payloadBytes,
            new LogIndex(BinaryPrimitives.ReadInt64LittleEndian(source[16..])),
            new Term(BinaryPrimitives.ReadInt64LittleEndian(source[24..])),
            new LogIndex(BinaryPrimitives.ReadInt64LittleEndian(source[32..])),
            BinaryPrimitives.ReadInt64LittleEndian(source[40..]));
        return true;
    }

    private static uint RecordCrc(ReadOnlySpan<byte> headerFromByte4, ulong salt, ReadOnlySpan<byte> payload) =>
        Crc32C.Finish(Crc32C.Append(Crc32C.Append(Crc32C.Append(Crc32C.Initial, salt), headerFromByte4), payload));
}
