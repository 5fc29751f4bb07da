using Dqlite.Simulation.Workload;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.CoreTier;

/// <summary>A table: pages that follow each other, found through page 1.</summary>
internal abstract class Table(TransactionPages pages, TableId id)
{
    /// <summary>The transaction.</summary>
    protected TransactionPages Pages => pages;

    /// <summary>Where it lies.</summary>
    protected TableRoot Root
    {
        get
        {
            var page1 = pages.Read(1);
            var root = PageLayout.IsFormatted(page1) ? PageLayout.RootOf(page1, id) : default;
            return root.FirstPage != 0 ? root : throw new SimDatabaseException(SQLITE_ERROR, $"no such table: {id}");
        }
    }

    /// <summary>Makes the table unless it is there.</summary>
    public void Create(int count, long extra)
    {
        if (PageLayout.RootOf(pages.Read(1), id).FirstPage != 0 || count == 0)
        {
            return;
        }

        var allocator = new PageAllocator(pages);
        var first = 0u;
        for (var i = 0; i < PagesFor(count); i++)
        {
            var page = allocator.Allocate();
            first = i == 0 ? page : first;
            if (page != first + (uint)i)
            {
                throw new ArgumentOutOfRangeException(nameof(count), count, $"Table {id} does not fit into one group of pages.");
            }

            Format(pages.Create(page, Kind, i), extra);
        }

        PageLayout.SetRoot(pages.Write(1), id, new TableRoot(first, count, extra));
    }

    /// <summary>Looks for damage.</summary>
    public void Check(PageAudit audit)
    {
        var root = PageLayout.RootOf(pages.Read(1), id);
        if (root.FirstPage != 0)
        {
            Check(audit, root);
        }
    }

    /// <summary>Kind of the table's own pages; their keys count from 0.</summary>
    protected abstract PageKind Kind { get; }

    /// <summary>How many pages so many keys take.</summary>
    protected abstract int PagesFor(int count);

    /// <summary>Fills a new page.</summary>
    protected virtual void Format(Span<byte> page, long extra)
    {
    }

    /// <summary>Looks for damage in a table that exists.</summary>
    protected abstract void Check(PageAudit audit, TableRoot root);

    /// <summary>The page of a key that has one for itself.</summary>
    protected uint PageOf(int key)
    {
        var root = Root;
        ArgumentOutOfRangeException.ThrowIfNegative(key);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(key, root.Count);
        return root.FirstPage + (uint)key;
    }
}
