namespace Dqlite.Simulation.CoreTier;

/// <summary>Registers: several to a page, each 8 bytes whether it is there and 8 bytes value.</summary>
internal sealed class RegisterTable(TransactionPages pages) : Table(pages, TableId.Registers)
{
    private const int RegisterBytes = 16;

    /// <inheritdoc/>
    protected override PageKind Kind => PageKind.Registers;

    private int PerPage => (Pages.PageSize - PageLayout.HeaderBytes) / RegisterBytes;

    /// <summary>The value, or null.</summary>
    public long? Read(int key)
    {
        var (page, offset) = PlaceOf(key);
        var image = Pages.Read(page, Kind, key / PerPage);
        return PageLayout.Int64(image, offset) != 0 ? PageLayout.Int64(image, offset + 8) : null;
    }

    /// <summary>Sets the value.</summary>
    public void Write(int key, long value)
    {
        var (page, offset) = PlaceOf(key);
        var image = Pages.Write(page);
        PageLayout.SetInt64(image, offset, 1);
        PageLayout.SetInt64(image, offset + 8, value);
    }

    /// <summary>Sets the value if it is another one (0: absent).</summary>
    public bool CompareAndSet(int key, long value, long expected)
    {
        if ((Read(key) ?? 0) != expected)
        {
            return false;
        }

        Write(key, value);
        return true;
    }

    /// <inheritdoc/>
    protected override int PagesFor(int count) => (count + PerPage - 1) / PerPage;

    /// <inheritdoc/>
    protected override void Check(PageAudit audit, TableRoot root)
    {
        for (var i = 0; i < PagesFor(root.Count); i++)
        {
            var image = audit.Take(root.FirstPage + (uint)i, Kind, i);
            for (var offset = PageLayout.HeaderBytes; offset + RegisterBytes <= image.Length; offset += RegisterBytes)
            {
                var isThere = PageLayout.Int64(image, offset);
                TransactionPages.Require(isThere == 1 || (isThere == 0 && PageLayout.Int64(image, offset + 8) == 0), $"a register of page {i} of them is neither there nor absent");
            }
        }
    }

    private (uint Page, int Offset) PlaceOf(int key)
    {
        var root = Root;
        ArgumentOutOfRangeException.ThrowIfNegative(key);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(key, root.Count);
        return (root.FirstPage + (uint)(key / PerPage), PageLayout.HeaderBytes + (key % PerPage * RegisterBytes));
    }
}
