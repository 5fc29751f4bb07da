using Dqlite.Simulation.Workload;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.CoreTier;

/// <summary>
/// The page that stands for the schema. A change takes a new cookie, and an index comes and goes with the value, so that the database grows and
/// shrinks with its schema.
/// </summary>
internal sealed class SchemaTable(TransactionPages pages)
{
    private const int ValueOffset = 16;
    private const int ChangesOffset = 24;
    private const int IndexOffset = 32;

    /// <summary>Makes page 1 and what every database has beside its tables, unless they are there.</summary>
    public void CreateDatabase()
    {
        if (PageLayout.IsFormatted(pages.Read(1)))
        {
            return;
        }

        PageLayout.Format(pages.Write(1));
        pages.Create(PageLayout.SchemaPage, PageKind.Schema, 0);
        new PageAllocator(pages).Format();
        Count(0);
    }

    /// <summary>Changes the schema: an odd value wants an index, an even one none.</summary>
    public void Change(long value)
    {
        if (!PageLayout.IsFormatted(pages.Read(1)))
        {
            throw new SimDatabaseException(SQLITE_ERROR, "no such table: Schema");
        }

        var allocator = new PageAllocator(pages);
        var index = (uint)PageLayout.Int32(pages.Read(PageLayout.SchemaPage), IndexOffset);
        if (index == 0 && value % 2 != 0)
        {
            index = allocator.Allocate();
            pages.Create(index, PageKind.Index, 0);
        }
        else if (index != 0 && value % 2 == 0)
        {
            allocator.Free(index);
            index = 0;
            allocator.Trim();
        }

        PageLayout.SetInt32(pages.Write(PageLayout.SchemaPage), IndexOffset, (int)index);
        Count(value);
    }

    /// <summary>Looks for damage.</summary>
    public void Check(PageAudit audit)
    {
        var schema = audit.Take(PageLayout.SchemaPage, PageKind.Schema, 0);
        var (value, index) = (PageLayout.Int64(schema, ValueOffset), (uint)PageLayout.Int32(schema, IndexOffset));
        var (changes, cookie) = (PageLayout.Int64(schema, ChangesOffset), PageGeneration.CookieOf(pages.Read(1)));
        TransactionPages.Require(changes == cookie, $"the schema changed {changes} times, and its cookie is {cookie}");
        TransactionPages.Require(index != 0 == (value % 2 != 0), $"schema {value} and an index at page {index} do not go together");
        if (index != 0)
        {
            audit.Take(index, PageKind.Index, 0);
        }
    }

    private void Count(long value)
    {
        var schema = pages.Write(PageLayout.SchemaPage);
        PageLayout.SetInt64(schema, ValueOffset, value);
        PageLayout.SetInt64(schema, ChangesOffset, PageLayout.Int64(schema, ChangesOffset) + 1);
        PageLayout.IncrementCookie(pages.Write(1));
    }
}
