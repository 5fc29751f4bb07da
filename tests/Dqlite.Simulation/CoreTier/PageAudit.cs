namespace Dqlite.Simulation.CoreTier;

/// <summary>Walks through one state of a database: every page in use is found once, and is what it should be.</summary>
internal sealed class PageAudit(TransactionPages pages)
{
    private readonly bool[] _isTaken = new bool[pages.PageCount + 1];

    /// <summary>Looks at a page that belongs to something.</summary>
    public ReadOnlySpan<byte> Take(uint page, PageKind kind, int key)
    {
        var image = pages.Read(page, kind, key);
        TransactionPages.Require(!_isTaken[page], $"page {page} is used twice, once as {kind} {key}");
        _isTaken[page] = true;
        return image;
    }

    /// <summary>At the end: the bitmaps say the same, and no page is newer than the last transaction.</summary>
    public void Finish()
    {
        var allocator = new PageAllocator(pages);
        var counter = PageLayout.CounterOf(pages.Read(1));
        var newest = 0L;
        for (var page = PageLayout.SchemaPage; page <= pages.PageCount; page++)
        {
            if (allocator.IsBitmap(page))
            {
                Take(page, PageKind.Bitmap, (int)allocator.GroupOf(page));
            }

            TransactionPages.Require(allocator.IsUsed(page) == _isTaken[page], $"page {page} is {(_isTaken[page] ? "used but free" : "taken by nobody")}");
            newest = Math.Max(newest, PageLayout.StampOf(pages.Read(page)));
        }

        TransactionPages.Require(newest == counter, $"the last transaction was {counter}, the newest page is of transaction {newest}");
        TransactionPages.Require(allocator.IsUsed(pages.PageCount), "the last page is free");
    }
}
