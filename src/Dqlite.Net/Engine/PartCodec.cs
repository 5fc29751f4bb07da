using System.Buffers.Binary;

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
/// <param name="HasChanges">Whether some pages come as changes; known when it is read.</param>
internal readonly record struct PartHeader(long DatabaseId, long PreviousIndex, long FirstIndex, int PageSize, uint PageCount, int Pages, ulong Checksum, bool IsLast, bool HasChanges = false);

/// <summary>The bytes of a part of a large transaction: docs/formats/entries.md holds the table.</summary>
internal static class PartCodec
{
    public const int HeaderSize = 48;
    private const byte LastFlag = 1;

    /// <summary>Writes the header in front of the pages (<see cref="PageBodies"/>).</summary>
    public static void WriteHeader(Span<byte> span, in PartHeader header)
    {
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
        if (header.PageSize is < 512 or > 65536 || header.PageCount is 0 or > EntryCodec.MaxPageCount || header.FirstIndex < 0 || payload[2] > LastFlag)
        {
            throw new InvalidDataException("A part of a transaction has a wrong length, page size, page count or flag.");
        }

        return header with { HasChanges = PageBodies.Check(payload[HeaderSize..], header.Pages, header.PageSize) };
    }

    public static ReadOnlySpan<uint> PageNumbers(ReadOnlySpan<byte> payload, in PartHeader header) => PageBodies.Numbers(payload[HeaderSize..], header.Pages);

    /// <summary>The images of a part without changes.</summary>
    public static ReadOnlySpan<byte> Images(ReadOnlySpan<byte> payload, in PartHeader header) => PageBodies.Bodies(payload[HeaderSize..], header.Pages);
}
