using System.Buffers.Binary;

namespace Dqlite.Simulation.CoreTier;

/// <summary>What a page of the application is for.</summary>
internal enum PageKind
{
    /// <summary>Never in a page that is in use.</summary>
    None,
    Schema,
    Index,
    Bitmap,
    Registers,
    ListHead,
    ListPart,
    Account,
    BlobHead,
    BlobPart,
}

/// <summary>
/// The application's pages, in place of b-trees. Integers are little-endian but for those of SQLite's own header.
/// <code>
/// page 1    0 SQLite's header: 24 and 92 low half of the counter, 28 page count, 40 schema cookie (big-endian)
///         128 magic   136 counter: write transactions so far   144 four tables of 16: first page, count, what else it needs
/// others    0 kind      4 key      8 counter of the transaction that wrote the page last      16 content
/// page 2    the schema: 16 value, 24 changes so far, 32 page of the index or 0
/// page 3    and the first page of each further group: which pages of the group are in use, a bit each
/// </code>
/// </summary>
internal static class PageLayout
{
    public const int HeaderBytes = 16;
    public const uint SchemaPage = 2;
    public const uint FirstBitmapPage = 3;

    private const int ChangeCounterOffset = 24;
    private const int PageCountOffset = 28;
    private const int CookieOffset = 40;
    private const int VersionValidForOffset = 92;
    private const int MagicOffset = 128;
    private const int CounterOffset = 136;
    private const int TablesOffset = 144;
    private const int TableBytes = 16;
    private const long Magic = 0x6567_6150_6D69_5371;

    public static PageKind KindOf(ReadOnlySpan<byte> page) => (PageKind)Int32(page, 0);

    public static int KeyOf(ReadOnlySpan<byte> page) => Int32(page, 4);

    public static long StampOf(ReadOnlySpan<byte> page) => Int64(page, 8);

    public static void SetHeader(Span<byte> page, PageKind kind, int key)
    {
        SetInt32(page, 0, (int)kind);
        SetInt32(page, 4, key);
    }

    public static void SetStamp(Span<byte> page, long counter) => SetInt64(page, 8, counter);

    /// <summary>Whether page 1 is that of a database whose tables were made.</summary>
    public static bool IsFormatted(ReadOnlySpan<byte> page1) => Int64(page1, MagicOffset) == Magic;

    public static void Format(Span<byte> page1) => SetInt64(page1, MagicOffset, Magic);

    /// <summary>Write transactions so far.</summary>
    public static long CounterOf(ReadOnlySpan<byte> page1) => Int64(page1, CounterOffset);

    /// <summary>The page count that page 1 names.</summary>
    public static uint PageCountOf(ReadOnlySpan<byte> page1) => BinaryPrimitives.ReadUInt32BigEndian(page1[PageCountOffset..]);

    /// <summary>Whether SQLite's own fields agree with the counter.</summary>
    public static bool HasMatchingChangeCounter(ReadOnlySpan<byte> page1) =>
        BinaryPrimitives.ReadUInt32BigEndian(page1[ChangeCounterOffset..]) == (uint)CounterOf(page1)
        && BinaryPrimitives.ReadUInt32BigEndian(page1[VersionValidForOffset..]) == (uint)CounterOf(page1);

    /// <summary>At the end of a write transaction.</summary>
    public static void SetCounter(Span<byte> page1, long counter, uint pageCount)
    {
        SetInt64(page1, CounterOffset, counter);
        BinaryPrimitives.WriteUInt32BigEndian(page1[ChangeCounterOffset..], (uint)counter);
        BinaryPrimitives.WriteUInt32BigEndian(page1[VersionValidForOffset..], (uint)counter);
        BinaryPrimitives.WriteUInt32BigEndian(page1[PageCountOffset..], pageCount);
    }

    /// <summary>The schema changes.</summary>
    public static void IncrementCookie(Span<byte> page1) =>
        BinaryPrimitives.WriteUInt32BigEndian(page1[CookieOffset..], BinaryPrimitives.ReadUInt32BigEndian(page1[CookieOffset..]) + 1);

    /// <summary>Where a table lies.</summary>
    public static TableRoot RootOf(ReadOnlySpan<byte> page1, TableId table)
    {
        var root = page1.Slice(TablesOffset + ((int)table * TableBytes), TableBytes);
        return new TableRoot((uint)Int32(root, 0), Int32(root, 4), Int64(root, 8));
    }

    public static void SetRoot(Span<byte> page1, TableId table, TableRoot value)
    {
        var root = page1.Slice(TablesOffset + ((int)table * TableBytes), TableBytes);
        SetInt32(root, 0, (int)value.FirstPage);
        SetInt32(root, 4, value.Count);
        SetInt64(root, 8, value.Extra);
    }

    public static int Int32(ReadOnlySpan<byte> page, int offset) => BinaryPrimitives.ReadInt32LittleEndian(page[offset..]);

    public static long Int64(ReadOnlySpan<byte> page, int offset) => BinaryPrimitives.ReadInt64LittleEndian(page[offset..]);

    public static void SetInt32(Span<byte> page, int offset, int value) => BinaryPrimitives.WriteInt32LittleEndian(page[offset..], value);

    public static void SetInt64(Span<byte> page, int offset, long value) => BinaryPrimitives.WriteInt64LittleEndian(page[offset..], value);
}

/// <summary>The tables; also the Key of <see cref="Workload.OpKind.CreateTables"/>.</summary>
internal enum TableId
{
    Registers,
    Lists,
    Accounts,
    Blobs,
}

/// <summary>Where a table lies.</summary>
/// <param name="FirstPage">The first of its pages, which follow each other; 0: there is no such table.</param>
/// <param name="Count">How many keys, from 0, it has.</param>
/// <param name="Extra">Accounts: balance that each began with.</param>
internal readonly record struct TableRoot(uint FirstPage, int Count, long Extra);
