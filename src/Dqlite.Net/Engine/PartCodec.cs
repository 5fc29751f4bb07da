using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>A decoded header of <see cref="DatabaseEntryKind.Part"/>.</summary>
/// <param name="DatabaseId">Of which database.</param>
/// <param name="PreviousIndex">The previous part; of the first one, the database's previous entry.</param>
/// <param name="FirstIndex">The first part; 0 in that one, which cannot know its own index.</param>
/// <param name="PageSize">In bytes.</param>
/// <param name="PageCount">Of the database after the last part.</param>
/// <param name="Pages">How many pages are in this part.</param>
/// <param name="Checksum">Of the database after the last part; 0 in the others.</param>
/// <param name="IsLast">Whether the parts take effect with this one.</param>
internal readonly record struct PartHeader(long DatabaseId, long PreviousIndex, long FirstIndex, int PageSize, uint PageCount, int Pages, ulong Checksum, bool IsLast);

/// <summary>The bytes of a part of a large transaction: docs/formats/entries.md holds the table.</summary>
internal static class PartCodec
{
    public const int HeaderSize = 48;
    private const byte LastFlag = 1;

    /// <summary>A part with pages of a batch.</summary>
    /// <param name="header">Its <see cref="PartHeader.Pages"/> says how many.</param>
    /// <param name="batch">Where the pages are.</param>
    /// <param name="first">Position of the first one.</param>
    public static byte[] Encode(in PartHeader header, IDraftBatch batch, int first)
    {
        var bytes = Allocate(header);
        MemoryMarshal.AsBytes(batch.PageNumbers.Slice(first, header.Pages)).CopyTo(bytes.AsSpan(HeaderSize));
        batch.CopyImagesTo(first, header.Pages, bytes.AsSpan(HeaderSize + (4 * header.Pages)));
        return bytes;
    }

    /// <summary>A part whose page numbers and images the caller fills in behind the header.</summary>
    public static byte[] Allocate(in PartHeader header)
    {
        var bytes = GC.AllocateUninitializedArray<byte>(checked(HeaderSize + (header.Pages * (4 + header.PageSize))));
        var span = bytes.AsSpan();
        span[0] = (byte)DatabaseEntryKind.Part;
        span[1] = EntryCodec.Version;
        span[2] = header.IsLast ? LastFlag : (byte)0;
        span[3] = 0;
        BinaryPrimitives.WriteInt32LittleEndian(span[4..], header.PageSize);
        BinaryPrimitives.WriteInt64LittleEndian(span[8..], header.DatabaseId);
        BinaryPrimitives.WriteInt64LittleEndian(span[16..], header.PreviousIndex);
        BinaryPrimitives.WriteInt64LittleEndian(span[24..], header.FirstIndex);
        BinaryPrimitives.WriteUInt32LittleEndian(span[32..], header.PageCount);
        BinaryPrimitives.WriteInt32LittleEndian(span[36..], header.Pages);
        BinaryPrimitives.WriteUInt64LittleEndian(span[40..], header.Checksum);
        return bytes;
    }

    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public static PartHeader Read(ReadOnlySpan<byte> payload)
    {
        var header = payload.Length < HeaderSize ? default : new PartHeader(
            BinaryPrimitives.ReadInt64LittleEndian(payload[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(payload[16..]),
            BinaryPrimitives.ReadInt64LittleEndian(payload[24..]),
            BinaryPrimitives.ReadInt32LittleEndian(payload[4..]),
            BinaryPrimitives.ReadUInt32LittleEndian(payload[32..]),
            BinaryPrimitives.ReadInt32LittleEndian(payload[36..]),
            BinaryPrimitives.ReadUInt64LittleEndian(payload[40..]),
            payload[2] == LastFlag);
        if (header.Pages < 0 || header.PageSize is < 512 or > 65536 || header.PageCount is 0 or > EntryCodec.MaxPageCount || header.FirstIndex < 0
            || payload[2] > LastFlag || payload.Length != HeaderSize + ((long)header.Pages * (4 + header.PageSize)))
        {
            throw new InvalidDataException("A part of a transaction has a wrong length or page count.");
        }

        return header;
    }

    public static ReadOnlySpan<uint> PageNumbers(ReadOnlySpan<byte> payload, in PartHeader header) =>
        MemoryMarshal.Cast<byte, uint>(payload.Slice(HeaderSize, 4 * header.Pages));

    public static ReadOnlySpan<byte> Images(ReadOnlySpan<byte> payload, in PartHeader header) => payload[(HeaderSize + (4 * header.Pages))..];
}
