using System.Buffers;
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

    /// <summary>A part of a transaction that is too large for one entry: <see cref="PartCodec"/>.</summary>
    Part = 5,
}

/// <summary>A decoded <see cref="DatabaseEntryKind.Create"/>.</summary>
internal sealed record CreateEntry(string Name, int PageSize, int AutoVacuum, bool Published);

/// <summary>A decoded header of <see cref="DatabaseEntryKind.Pages"/>. It has changes when not every page comes as a whole image.</summary>
internal readonly record struct PagesHeader(long DatabaseId, long PreviousIndex, int PageSize, uint PageCount, int Pages, ulong Checksum, bool HasChanges);

/// <summary>The bytes of application entries: docs/formats/entries.md holds the tables.</summary>
internal static class EntryCodec
{
    public const byte Version = 1;
    public const int PagesHeaderSize = 40;
    private const int IdEntrySize = 16;

    /// <summary>SQLite's own limit: a page number always has a successor.</summary>
    internal const uint MaxPageCount = uint.MaxValue - 1;

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

    /// <summary>One entry of coalesced drafts: of each page its changes, or its image where that is not much longer.</summary>
    /// <param name="databaseId">Of which database.</param>
    /// <param name="previousIndex">The last entry that was proposed for it.</param>
    /// <param name="batch">The drafts.</param>
    /// <param name="maxBytes">Of pages and changes; one page always fits.</param>
    /// <returns>Null when they are too large for one entry.</returns>
    public static byte[]? Pages(long databaseId, long previousIndex, IDraftBatch batch, int maxBytes)
    {
        if (batch.Pages > PageBodies.MaxPages)
        {
            return null;
        }

        var bytes = PageBodies.Encode(batch, 0, maxBytes, PagesHeaderSize, out var pages);
        if (pages < batch.Pages)
        {
            return null;
        }

        WriteHeader(bytes, databaseId, previousIndex, batch.PageSize, batch.PageCount, pages, batch.Checksum);
        return bytes;
    }

    /// <summary>An entry of whole images, whose page numbers and images the caller fills in behind the header.</summary>
    public static byte[] AllocatePages(long databaseId, long previousIndex, int pageSize, uint pageCount, int pages, ulong checksum)
    {
        var bytes = GC.AllocateUninitializedArray<byte>(PagesHeaderSize + PageBodies.WholeSize(pages, pageSize));
        WriteHeader(bytes, databaseId, previousIndex, pageSize, pageCount, pages, checksum);
        PageBodies.SetWhole(bytes.AsSpan(PagesHeaderSize), pages, pageSize);
        return bytes;
    }

    /// <summary>Where the images, or changes, of so many pages begin.</summary>
    public static int BodiesOffset(int pages) => PagesHeaderSize + PageBodies.TableSize(pages);

    private static void WriteHeader(Span<byte> span, long databaseId, long previousIndex, int pageSize, uint pageCount, int pages, ulong checksum)
    {
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
    }

    /// <summary>Fills in the database's checksum after the entry.</summary>
    public static void SetChecksum(Span<byte> payload, ulong checksum) => BinaryPrimitives.WriteUInt64LittleEndian(payload[32..], checksum);

    /// <summary>Fills in the index of the database's previous entry.</summary>
    public static void SetPrevious(Span<byte> payload, long previousIndex) => BinaryPrimitives.WriteInt64LittleEndian(payload[16..], previousIndex);

    /// <summary>The kind of an entry.</summary>
    /// <exception cref="InvalidDataException">The entry is of a newer version or damaged.</exception>
    public static DatabaseEntryKind KindOf(ReadOnlySpan<byte> payload)
    {
        if (payload.Length < 12 || payload[1] != Version || payload[0] is < 1 or > 5)
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

    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public static PagesHeader ReadPages(ReadOnlySpan<byte> payload)
    {
        var header = payload.Length < PagesHeaderSize ? default : new PagesHeader(
            BinaryPrimitives.ReadInt64LittleEndian(payload[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(payload[16..]),
            BinaryPrimitives.ReadInt32LittleEndian(payload[4..]),
            BinaryPrimitives.ReadUInt32LittleEndian(payload[24..]),
            BinaryPrimitives.ReadInt32LittleEndian(payload[28..]),
            BinaryPrimitives.ReadUInt64LittleEndian(payload[32..]),
            HasChanges: false);
        if (header.PageSize is < 512 or > 65536 || header.PageCount is 0 or > MaxPageCount)
        {
            throw new InvalidDataException("A pages entry has a wrong length, page size or page count.");
        }

        return header with { HasChanges = PageBodies.Check(payload[PagesHeaderSize..], header.Pages, header.PageSize) };
    }

    public static ReadOnlySpan<uint> PageNumbers(ReadOnlySpan<byte> payload, in PagesHeader header) => PageBodies.Numbers(payload[PagesHeaderSize..], header.Pages);

    /// <summary>The images of an entry without changes.</summary>
    public static ReadOnlySpan<byte> Images(ReadOnlySpan<byte> payload, in PagesHeader header) => PageBodies.Bodies(payload[PagesHeaderSize..], header.Pages);

    /// <summary>Applies an entry to a database whose committed state is that of the previous entry.</summary>
    /// <returns>The new LSN.</returns>
    /// <exception cref="InvalidDataException">The changes of a page are damaged.</exception>
    /// <exception cref="ShimException">A changed page is not there, or rotten; or the result has another checksum.</exception>
    public static ulong ApplyPages(ReadOnlySpan<byte> payload, in PagesHeader header, IPageStore store)
    {
        var numbers = PageNumbers(payload, header);
        if (!header.HasChanges)
        {
            return store.Apply(numbers, Images(payload, header), header.PageCount, header.Checksum);
        }

        var buffer = ArrayPool<byte>.Shared.Rent(header.Pages * header.PageSize);
        try
        {
            var images = buffer.AsSpan(0, header.Pages * header.PageSize);
            PageBodies.MakeImages(payload[PagesHeaderSize..], header.Pages, store, images);
            return store.Apply(numbers, images, header.PageCount, header.Checksum);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static byte[] IdEntry(DatabaseEntryKind kind, long databaseId)
    {
        var bytes = new byte[IdEntrySize];
        bytes[0] = (byte)kind;
        bytes[1] = Version;
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(8), databaseId);
        return bytes;
    }
}
