using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>What an application entry does. The values are stored in the log.</summary>
internal enum DatabaseEntryKind : byte
{
    /// <summary>Creates a database; its id is the index of this entry.</summary>
    Create = 1,

    /// <summary>Drops a database.</summary>
    Drop = 2,

    /// <summary>Replaces pages: the coalesced drafts of one or more transactions.</summary>
    Pages = 3,

    /// <summary>Makes an imported database visible.</summary>
    Publish = 4,
}

/// <summary>A decoded <see cref="DatabaseEntryKind.Create"/>.</summary>
internal sealed record CreateEntry(string Name, int PageSize, int AutoVacuum, bool Published);

/// <summary>A decoded header of <see cref="DatabaseEntryKind.Pages"/>.</summary>
internal readonly record struct PagesHeader(long DatabaseId, long PreviousIndex, int PageSize, uint PageCount, int Pages, ulong Checksum);

/// <summary>The bytes of application entries: docs/formats/entries.md holds the tables.</summary>
internal static class EntryCodec
{
    public const byte Version = 1;
    public const int PagesHeaderSize = 40;
    private const int IdEntrySize = 16;

    /// <summary>SQLite's own limit: a page number always has a successor.</summary>
    private const uint MaxPageCount = uint.MaxValue - 1;

    public static byte[] Create(string name, int pageSize, int autoVacuum, bool published)
    {
        var nameBytes = Encoding.ASCII.GetBytes(name);
        var bytes = new byte[12 + nameBytes.Length];
        bytes[0] = (byte)DatabaseEntryKind.Create;
        bytes[1] = Version;
        bytes[2] = (byte)autoVacuum;
        bytes[3] = published ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), pageSize);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), nameBytes.Length);
        nameBytes.CopyTo(bytes, 12);
        return bytes;
    }

    public static byte[] Drop(long databaseId) => IdEntry(DatabaseEntryKind.Drop, databaseId);

    public static byte[] Publish(long databaseId) => IdEntry(DatabaseEntryKind.Publish, databaseId);

    /// <summary>One entry of coalesced drafts.</summary>
    public static byte[] Pages(long databaseId, long previousIndex, IDraftBatch batch)
    {
        var bytes = AllocatePages(databaseId, previousIndex, batch.PageSize, batch.PageCount, batch.Pages, batch.Checksum);
        MemoryMarshal.AsBytes(batch.PageNumbers).CopyTo(bytes.AsSpan(PagesHeaderSize));
        batch.CopyImagesTo(bytes.AsSpan(PagesHeaderSize + (4 * batch.Pages)));
        return bytes;
    }

    /// <summary>An entry whose page numbers and images the caller fills in behind the header.</summary>
    public static byte[] AllocatePages(long databaseId, long previousIndex, int pageSize, uint pageCount, int pages, ulong checksum)
    {
        var bytes = GC.AllocateUninitializedArray<byte>(checked(PagesHeaderSize + (pages * (4 + pageSize))));
        var span = bytes.AsSpan();
        span[0] = (byte)DatabaseEntryKind.Pages;
        span[1] = Version;
        span[2] = 0;
        span[3] = 0;
        BinaryPrimitives.WriteInt32LittleEndian(span[4..], pageSize);
        BinaryPrimitives.WriteInt64LittleEndian(span[8..], databaseId);
        BinaryPrimitives.WriteInt64LittleEndian(span[16..], previousIndex);
        BinaryPrimitives.WriteUInt32LittleEndian(span[24..], pageCount);
        BinaryPrimitives.WriteInt32LittleEndian(span[28..], pages);
        BinaryPrimitives.WriteUInt64LittleEndian(span[32..], checksum);
        return bytes;
    }

    /// <summary>Fills in the database's checksum after the entry.</summary>
    public static void SetChecksum(Span<byte> payload, ulong checksum) => BinaryPrimitives.WriteUInt64LittleEndian(payload[32..], checksum);

    /// <summary>Fills in the index of the database's previous entry.</summary>
    public static void SetPrevious(Span<byte> payload, long previousIndex) => BinaryPrimitives.WriteInt64LittleEndian(payload[16..], previousIndex);

    /// <summary>The kind of an entry.</summary>
    /// <exception cref="InvalidDataException">The entry is of a newer version or damaged.</exception>
    public static DatabaseEntryKind KindOf(ReadOnlySpan<byte> payload)
    {
        if (payload.Length < 12 || payload[1] != Version || payload[0] is < 1 or > 4)
        {
            throw new InvalidDataException("A log entry has an unknown kind or version: it was written by a newer version of the library; upgrade this node.");
        }

        return (DatabaseEntryKind)payload[0];
    }

    public static CreateEntry ReadCreate(ReadOnlySpan<byte> payload)
    {
        var length = BinaryPrimitives.ReadInt32LittleEndian(payload[8..]);
        if (length < 0 || length != payload.Length - 12)
        {
            throw new InvalidDataException("A create entry has a wrong length.");
        }

        return new CreateEntry(Encoding.ASCII.GetString(payload[12..]), BinaryPrimitives.ReadInt32LittleEndian(payload[4..]), payload[2], payload[3] != 0);
    }

    /// <summary>The database of a drop or publish entry.</summary>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public static long ReadId(ReadOnlySpan<byte> payload) => payload.Length == IdEntrySize
        ? BinaryPrimitives.ReadInt64LittleEndian(payload[8..])
        : throw new InvalidDataException("A drop or publish entry has a wrong length.");

    public static PagesHeader ReadPages(ReadOnlySpan<byte> payload)
    {
        var header = payload.Length < PagesHeaderSize ? default : new PagesHeader(
            BinaryPrimitives.ReadInt64LittleEndian(payload[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(payload[16..]),
            BinaryPrimitives.ReadInt32LittleEndian(payload[4..]),
            BinaryPrimitives.ReadUInt32LittleEndian(payload[24..]),
            BinaryPrimitives.ReadInt32LittleEndian(payload[28..]),
            BinaryPrimitives.ReadUInt64LittleEndian(payload[32..]));
        if (header.Pages < 0 || header.PageSize is < 512 or > 65536 || header.PageCount is 0 or > MaxPageCount || payload.Length != PagesHeaderSize + ((long)header.Pages * (4 + header.PageSize)))
        {
            throw new InvalidDataException("A pages entry has a wrong length or page count.");
        }

        return header;
    }

    public static ReadOnlySpan<uint> PageNumbers(ReadOnlySpan<byte> payload, in PagesHeader header) =>
        MemoryMarshal.Cast<byte, uint>(payload.Slice(PagesHeaderSize, 4 * header.Pages));

    public static ReadOnlySpan<byte> Images(ReadOnlySpan<byte> payload, in PagesHeader header) => payload[(PagesHeaderSize + (4 * header.Pages))..];

    private static byte[] IdEntry(DatabaseEntryKind kind, long databaseId)
    {
        var bytes = new byte[IdEntrySize];
        bytes[0] = (byte)kind;
        bytes[1] = Version;
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(8), databaseId);
        return bytes;
    }
}
