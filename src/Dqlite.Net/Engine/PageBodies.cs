using System.Buffers;
using System.Runtime.InteropServices;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>
/// The pages of an entry, behind its header: their numbers, the sizes of their bodies, and the bodies, each an image or what changed in one
/// (docs/formats/entries.md, 3).
/// </summary>
internal static class PageBodies
{
    /// <summary>Pages of an entry with changes: making more of them would hold up the loop.</summary>
    public const int MaxPages = 256;

    /// <summary>Where the bodies of so many pages begin.</summary>
    public static int TableSize(int pages) => 8 * pages;

    /// <summary>The length of so many whole images with their table.</summary>
    public static int WholeSize(int pages, int pageSize) => checked(TableSize(pages) + (pages * pageSize));

    /// <summary>
    /// An entry of pages of a batch, as many as fit, one at least; of each its changes, or its image where that is not much longer.
    /// </summary>
    /// <param name="batch">Where the pages are.</param>
    /// <param name="first">Position of the first one.</param>
    /// <param name="maxBytes">Of their bodies.</param>
    /// <param name="headerSize">Room in front, which the caller fills in.</param>
    /// <param name="pages">How many there are.</param>
    public static byte[] Encode(IDraftBatch batch, int first, int maxBytes, int headerSize, out int pages)
    {
        var size = batch.PageSize;
        var limit = Math.Min(Math.Max(maxBytes, size), Math.Min(batch.Pages - first, MaxPages) * (long)size);
        var buffer = ArrayPool<byte>.Shared.Rent((int)limit + size);
        try
        {
            Span<int> sizes = stackalloc int[MaxPages];
            var used = Write(batch, first, buffer.AsSpan(0, (int)limit), buffer.AsSpan((int)limit, size), sizes, out pages);
            var bytes = GC.AllocateUninitializedArray<byte>(headerSize + TableSize(pages) + used);
            var table = bytes.AsSpan(headerSize);
            MemoryMarshal.AsBytes(batch.PageNumbers.Slice(first, pages)).CopyTo(table);
            MemoryMarshal.AsBytes(sizes[..pages]).CopyTo(table[(4 * pages)..]);
            buffer.AsSpan(0, used).CopyTo(table[TableSize(pages)..]);
            return bytes;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Fills in the sizes of whole images.</summary>
    public static void SetWhole(Span<byte> section, int pages, int pageSize) =>
        MemoryMarshal.Cast<byte, int>(section.Slice(4 * pages, 4 * pages)).Fill(pageSize);

    /// <summary>Checks what came from elsewhere.</summary>
    /// <returns>Whether some bodies are changes.</returns>
    /// <exception cref="InvalidDataException">The section is damaged.</exception>
    public static bool Check(ReadOnlySpan<byte> section, int pages, int pageSize)
    {
        if (pages < 0 || section.Length < 8L * pages)
        {
            throw new InvalidDataException("An entry has a wrong length or page count.");
        }

        long length = TableSize(pages);
        var isWhole = true;
        foreach (var size in Sizes(section, pages))
        {
            if ((uint)size > pageSize)
            {
                throw new InvalidDataException($"An entry has a page of {size} bytes, where a page has {pageSize}.");
            }

            length += size;
            isWhole &= size == pageSize;
        }

        return section.Length == length && (isWhole || pages <= MaxPages)
            ? !isWhole
            : throw new InvalidDataException("An entry has a wrong length, or changes of too many pages.");
    }

    public static ReadOnlySpan<uint> Numbers(ReadOnlySpan<byte> section, int pages) => MemoryMarshal.Cast<byte, uint>(section[..(4 * pages)]);

    /// <summary>The bodies; of a section without changes these are the images.</summary>
    public static ReadOnlySpan<byte> Bodies(ReadOnlySpan<byte> section, int pages) => section[TableSize(pages)..];

    /// <summary>Makes the images of a section with changes.</summary>
    /// <param name="section">See <see cref="Check"/>.</param>
    /// <param name="pages">How many.</param>
    /// <param name="store">Its committed state is that of the database's previous entry.</param>
    /// <param name="images">Exactly so many pages.</param>
    /// <exception cref="InvalidDataException">The changes of a page are damaged.</exception>
    /// <exception cref="ShimException">A changed page is not there, or rotten.</exception>
    public static void MakeImages(ReadOnlySpan<byte> section, int pages, IPageStore store, Span<byte> images)
    {
        var size = images.Length / Math.Max(pages, 1);
        var numbers = Numbers(section, pages);
        var sizes = Sizes(section, pages);
        var bodies = Bodies(section, pages);
        for (var i = 0; i < pages; i++)
        {
            var image = images.Slice(i * size, size);
            if (sizes[i] == size)
            {
                bodies[..size].CopyTo(image);
            }
            else
            {
                store.ReadPage(numbers[i], image);
                PageChanges.Apply(bodies[..sizes[i]], image);
            }

            bodies = bodies[sizes[i]..];
        }
    }

    private static ReadOnlySpan<int> Sizes(ReadOnlySpan<byte> section, int pages) => MemoryMarshal.Cast<byte, int>(section.Slice(4 * pages, 4 * pages));

    /// <returns>Bytes of all bodies.</returns>
    private static int Write(IDraftBatch batch, int first, Span<byte> bodies, Span<byte> old, Span<int> sizes, out int pages)
    {
        var used = 0;
        pages = 0;
        while (pages < sizes.Length && first + pages < batch.Pages)
        {
            var length = WriteBody(batch, first + pages, bodies[used..], old);
            if (length < 0)
            {
                break;
            }

            sizes[pages++] = length;
            used += length;
        }

        return used;
    }

    /// <returns>Its length, or -1 when it does not fit.</returns>
    private static int WriteBody(IDraftBatch batch, int i, Span<byte> destination, Span<byte> old)
    {
        var size = batch.PageSize;
        if (batch.TryReadBase(i, old))
        {
            var limit = Math.Min(size / 4 * 3, destination.Length);
            if (PageChanges.Write(old, batch.Image(i), destination[..limit]) is >= 0 and var changed)
            {
                return changed;
            }
        }

        if (size > destination.Length)
        {
            return -1;
        }

        batch.CopyImagesTo(i, 1, destination[..size]);
        return size;
    }
}
