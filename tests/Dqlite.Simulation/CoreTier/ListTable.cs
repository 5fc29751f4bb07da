namespace Dqlite.Simulation.CoreTier;

/// <summary>
/// Lists: a head page each, and as many others as the values need.
/// <code>
/// 16 length of the list (head only)   20 last page (head only; 0: the head)   24 next page or 0   28 values in this page   32 values
/// </code>
/// </summary>
internal sealed class ListTable(TransactionPages pages) : Table(pages, TableId.Lists)
{
    private const int LengthOffset = 16;
    private const int LastOffset = 20;
    private const int NextOffset = 24;
    private const int CountOffset = 28;
    private const int ValuesOffset = 32;

    /// <inheritdoc/>
    protected override PageKind Kind => PageKind.ListHead;

    private int PerPage => (Pages.PageSize - ValuesOffset) / sizeof(long);

    /// <summary>All values in order.</summary>
    public long[] Read(int key)
    {
        var headPage = PageOf(key);
        var values = new long[PageLayout.Int32(Pages.Read(headPage, Kind, key), LengthOffset)];
        var count = 0;
        for (var page = headPage; page != 0;)
        {
            var image = Pages.Read(page, page == headPage ? Kind : PageKind.ListPart, key);
            var here = PageLayout.Int32(image, CountOffset);
            TransactionPages.Require(count + here <= values.Length && (here > 0 || page == headPage), $"page {page} of list {key} has {here} values");
            for (var i = 0; i < here; i++)
            {
                values[count++] = PageLayout.Int64(image, ValuesOffset + (i * sizeof(long)));
            }

            page = (uint)PageLayout.Int32(image, NextOffset);
        }

        TransactionPages.Require(count == values.Length, $"list {key} has {count} values and says {values.Length}");
        return values;
    }

    /// <summary>Adds a value at the end.</summary>
    public void Append(int key, long value)
    {
        var headPage = PageOf(key);
        var last = (uint)PageLayout.Int32(Pages.Read(headPage, Kind, key), LastOffset);
        last = last == 0 ? headPage : last;
        if (PageLayout.Int32(Pages.Read(last), CountOffset) == PerPage)
        {
            last = AddPage(key, headPage, last);
        }

        var image = Pages.Write(last);
        var count = PageLayout.Int32(image, CountOffset);
        PageLayout.SetInt64(image, ValuesOffset + (count * sizeof(long)), value);
        PageLayout.SetInt32(image, CountOffset, count + 1);
        var head = Pages.Write(headPage);
        PageLayout.SetInt32(head, LengthOffset, PageLayout.Int32(head, LengthOffset) + 1);
    }

    /// <inheritdoc/>
    protected override int PagesFor(int count) => count;

    /// <inheritdoc/>
    protected override void Check(PageAudit audit, TableRoot root)
    {
        for (var key = 0; key < root.Count; key++)
        {
            var headPage = PageOf(key);
            var last = headPage;
            for (var page = (uint)PageLayout.Int32(audit.Take(headPage, Kind, key), NextOffset); page != 0;)
            {
                last = page;
                page = (uint)PageLayout.Int32(audit.Take(page, PageKind.ListPart, key), NextOffset);
            }

            var named = (uint)PageLayout.Int32(Pages.Read(headPage), LastOffset);
            TransactionPages.Require(last == (named == 0 ? headPage : named), $"list {key} ends at page {last} and says {named}");
            var values = Read(key);
            Array.Sort(values);
            for (var i = 1; i < values.Length; i++)
            {
                TransactionPages.Require(values[i] != values[i - 1], $"list {key} holds {values[i]} twice");
            }
        }
    }

    private uint AddPage(int key, uint headPage, uint last)
    {
        var added = new PageAllocator(Pages).Allocate();
        Pages.Create(added, PageKind.ListPart, key);
        PageLayout.SetInt32(Pages.Write(last), NextOffset, (int)added);
        PageLayout.SetInt32(Pages.Write(headPage), LastOffset, (int)added);
        return added;
    }
}
