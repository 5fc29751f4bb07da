using System.Numerics;

namespace Dqlite.Simulation.CoreTier;

/// <summary>
/// Which pages are in use: a bitmap for each group of pages, in the first page of the group (of the first group: in page 3). The lowest free page
/// is given out first, so that the database grows only when it is full, and free pages at its end go.
/// </summary>
internal sealed class PageAllocator(TransactionPages pages)
{
    private uint PagesPerGroup => (uint)(pages.PageSize - PageLayout.HeaderBytes) * 8;

    /// <summary>Makes the bitmap of a database whose first pages are in use.</summary>
    public void Format()
    {
        pages.Create(PageLayout.FirstBitmapPage, PageKind.Bitmap, 0);
        for (uint page = 1; page <= PageLayout.FirstBitmapPage; page++)
        {
            SetUsed(page, true);
        }
    }

    /// <summary>Takes a page; the caller creates it.</summary>
    public uint Allocate()
    {
        for (uint group = 0; ; group++)
        {
            var bitmap = BitmapOf(group);
            if (bitmap > pages.PageCount)
            {
                pages.Create(bitmap, PageKind.Bitmap, (int)group);
                SetUsed(bitmap, true);
            }

            var free = FirstFree(pages.Read(bitmap, PageKind.Bitmap, (int)group)[PageLayout.HeaderBytes..]);
            if (free >= 0)
            {
                var page = (group * PagesPerGroup) + (uint)free + 1;
                SetUsed(page, true);
                return page;
            }
        }
    }

    /// <summary>Gives a page back.</summary>
    public void Free(uint page) => SetUsed(page, false);

    /// <summary>Cuts free pages off the end.</summary>
    public void Trim()
    {
        var count = pages.PageCount;
        while (count > PageLayout.FirstBitmapPage && (!IsUsed(count) || count == BitmapOf(GroupOf(count))))
        {
            count--;
        }

        pages.Truncate(count);
    }

    /// <summary>Whether a page is in use.</summary>
    public bool IsUsed(uint page)
    {
        var (index, mask) = BitOf(page);
        return (ReadBitmap(page)[index] & mask) != 0;
    }

    /// <summary>Whether a page is a bitmap.</summary>
    public bool IsBitmap(uint page) => page == BitmapOf(GroupOf(page));

    /// <summary>The group of a page.</summary>
    public uint GroupOf(uint page) => (page - 1) / PagesPerGroup;

    private uint BitmapOf(uint group) => group == 0 ? PageLayout.FirstBitmapPage : (group * PagesPerGroup) + 1;

    private ReadOnlySpan<byte> ReadBitmap(uint page) => pages.Read(BitmapOf(GroupOf(page)), PageKind.Bitmap, (int)GroupOf(page));

    private (int Index, byte Mask) BitOf(uint page)
    {
        var bit = (int)((page - 1) % PagesPerGroup);
        return (PageLayout.HeaderBytes + (bit / 8), (byte)(1 << (bit % 8)));
    }

    private void SetUsed(uint page, bool isUsed)
    {
        var (index, mask) = BitOf(page);
        ref var bits = ref pages.Write(BitmapOf(GroupOf(page)))[index];
        TransactionPages.Require((bits & mask) != 0 != isUsed, $"page {page} is taken or given back twice");
        bits ^= mask;
    }

    private static int FirstFree(ReadOnlySpan<byte> bitmap)
    {
        var index = bitmap.IndexOfAnyExcept((byte)0xff);
        return index < 0 ? -1 : (index * 8) + BitOperations.TrailingZeroCount(~bitmap[index]);
    }
}
