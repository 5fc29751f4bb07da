using System.Buffers.Binary;

namespace Dqlite.Simulation.CoreTier;

/// <summary>
/// Blobs: a head page each, and as many others as their bytes need. Pages that are no longer needed are given back, so that the database
/// shrinks too.
/// <code>
/// head     16 whether it is there   20 first page or 0   24 value   32 length in bytes
/// others   16 next page or 0        20 position in the chain   24 bytes, which follow from the value and their place
/// </code>
/// </summary>
internal sealed class BlobTable(TransactionPages pages) : Table(pages, TableId.Blobs)
{
    private const int IsThereOffset = 16;
    private const int FirstOffset = 20;
    private const int ValueOffset = 24;
    private const int LengthOffset = 32;
    private const int NextOffset = 16;
    private const int PositionOffset = 20;
    private const int BytesOffset = 24;

    /// <inheritdoc/>
    protected override PageKind Kind => PageKind.BlobHead;

    private int PerPage => Pages.PageSize - BytesOffset;

    /// <summary>The value that the blob was written with, or null; every byte is compared.</summary>
    public long? Read(int key) => Walk(PageOf(key), key, (page, kind) => Pages.Read(page, kind, key));

    /// <summary>Writes so many bytes that follow from a value.</summary>
    public void Write(int key, long value, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        var headPage = PageOf(key);
        FreeParts(key, headPage);
        var first = WriteParts(key, value, length);
        var head = Pages.Write(headPage);
        PageLayout.SetInt32(head, IsThereOffset, 1);
        PageLayout.SetInt32(head, FirstOffset, (int)first);
        PageLayout.SetInt64(head, ValueOffset, value);
        PageLayout.SetInt64(head, LengthOffset, length);
        new PageAllocator(Pages).Trim();
    }

    /// <inheritdoc/>
    protected override int PagesFor(int count) => count;

    /// <inheritdoc/>
    protected override void Check(PageAudit audit, TableRoot root)
    {
        for (var key = 0; key < root.Count; key++)
        {
            var number = key;
            Walk(PageOf(key), key, (page, kind) => audit.Take(page, kind, number));
        }
    }

    private delegate ReadOnlySpan<byte> PartReader(uint page, PageKind kind);

    private static long? Walk(uint headPage, int key, PartReader read)
    {
        var head = read(headPage, PageKind.BlobHead);
        var isThere = PageLayout.Int32(head, IsThereOffset) != 0;
        var (value, length) = (PageLayout.Int64(head, ValueOffset), PageLayout.Int64(head, LengthOffset));
        var position = 0;
        var offset = 0L;
        for (var page = (uint)PageLayout.Int32(head, FirstOffset); page != 0; position++)
        {
            var image = read(page, PageKind.BlobPart);
            var bytes = image[BytesOffset..];
            bytes = bytes[..(int)Math.Min(bytes.Length, length - offset)];
            var isRight = bytes.Length > 0 && PageLayout.Int32(image, PositionOffset) == position && HasBytes(bytes, value, offset);
            TransactionPages.Require(isRight, $"page {position} of blob {key} holds other bytes than follow from {value}");
            offset += bytes.Length;
            page = (uint)PageLayout.Int32(image, NextOffset);
        }

        TransactionPages.Require(offset == length, $"blob {key} has {offset} bytes, not {length}");
        return isThere ? value : null;
    }

    private void FreeParts(int key, uint headPage)
    {
        var allocator = new PageAllocator(Pages);
        for (var page = (uint)PageLayout.Int32(Pages.Read(headPage, Kind, key), FirstOffset); page != 0;)
        {
            var next = (uint)PageLayout.Int32(Pages.Read(page, PageKind.BlobPart, key), NextOffset);
            allocator.Free(page);
            page = next;
        }
    }

    private uint WriteParts(int key, long value, long length)
    {
        var allocator = new PageAllocator(Pages);
        var (first, previous) = (0u, 0u);
        for (var offset = 0L; offset < length; offset += PerPage)
        {
            var page = allocator.Allocate();
            var image = Pages.Create(page, PageKind.BlobPart, key);
            PageLayout.SetInt32(image, PositionOffset, (int)(offset / PerPage));
            FillBytes(image.Slice(BytesOffset, (int)Math.Min(PerPage, length - offset)), value, offset);
            if (previous == 0)
            {
                first = page;
            }
            else
            {
                PageLayout.SetInt32(Pages.Write(previous), NextOffset, (int)page);
            }

            previous = page;
        }

        return first;
    }

    private static void FillBytes(Span<byte> bytes, long value, long offset)
    {
        Span<byte> word = stackalloc byte[8];
        for (; bytes.Length > 0; offset += word.Length)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(word, WordAt(value, offset));
            var length = Math.Min(word.Length, bytes.Length);
            word[..length].CopyTo(bytes);
            bytes = bytes[length..];
        }
    }

    private static bool HasBytes(ReadOnlySpan<byte> bytes, long value, long offset)
    {
        Span<byte> word = stackalloc byte[8];
        for (; bytes.Length > 0; offset += word.Length)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(word, WordAt(value, offset));
            var length = Math.Min(word.Length, bytes.Length);
            if (!bytes.StartsWith(word[..length]))
            {
                return false;
            }

            bytes = bytes[length..];
        }

        return true;
    }

    /// <summary>Eight bytes of a blob: splitmix64 of value and place.</summary>
    private static ulong WordAt(long value, long offset)
    {
        var z = ((ulong)value * 0xD1342543DE82EF95UL) + ((ulong)offset * 0x9E3779B97F4A7C15UL);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        return z ^ (z >> 31);
    }
}
