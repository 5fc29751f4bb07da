using Dqlite.Simulation.Workload;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.CoreTier;

/// <summary>Reads a page of a snapshot; the bytes are valid until the next page is read.</summary>
internal delegate ReadOnlySpan<byte> SnapshotReader(uint page);

/// <summary>The pages of one transaction: those of its snapshot, and private copies of what it changed.</summary>
internal sealed class TransactionPages
{
    private readonly SnapshotReader _snapshot;
    private readonly bool _isWritable;
    private PageSet _changed = new();
    private (PageSet Changed, uint PageCount)? _savepoint;

    public TransactionPages(SnapshotReader snapshot, int pageSize, uint pageCount, bool isWritable)
    {
        _snapshot = snapshot;
        _isWritable = isWritable;
        PageSize = pageSize;
        PageCount = pageCount;
    }

    public int PageSize { get; }

    /// <summary>Pages of the database as this transaction leaves it.</summary>
    public uint PageCount { get; private set; }

    /// <summary>Whether anything was changed.</summary>
    public bool IsChanged => _changed.Count > 0;

    /// <summary>A page as this transaction sees it; the bytes are valid until the next page is read.</summary>
    public ReadOnlySpan<byte> Read(uint page)
    {
        Require(page >= 1 && page <= PageCount, $"page {page} of {PageCount} is used");
        return _changed.Find(page) is { } image ? image : _snapshot(page);
    }

    /// <summary>A page of this kind; another one means damage.</summary>
    public ReadOnlySpan<byte> Read(uint page, PageKind kind, int key)
    {
        var image = Read(page);
        Require(PageLayout.KindOf(image) == kind && PageLayout.KeyOf(image) == key, $"page {page} is not {kind} {key}");
        return image;
    }

    /// <summary>A page to change.</summary>
    public Span<byte> Write(uint page)
    {
        if (_changed.Find(page) is { } changed)
        {
            return changed;
        }

        RequireWritable();
        var image = Read(page).ToArray();
        _changed.Set(page, image);
        return image;
    }

    /// <summary>An empty page in place of whatever was there; one behind the last page makes the database grow.</summary>
    public Span<byte> Create(uint page, PageKind kind, int key)
    {
        RequireWritable();
        Require(page <= PageCount + 1, $"page {page} is made behind {PageCount} pages");
        PageCount = Math.Max(PageCount, page);
        var image = new byte[PageSize];
        PageLayout.SetHeader(image, kind, key);
        _changed.Set(page, image);
        return image;
    }

    /// <summary>Drops the pages behind this one.</summary>
    public void Truncate(uint pageCount) => PageCount = pageCount;

    /// <summary>What follows can be undone.</summary>
    public void Savepoint() => _savepoint = (_changed.Clone(), PageCount);

    /// <summary>Undoes what followed; it can be undone again.</summary>
    public void RollbackTo()
    {
        if (_savepoint is not { } savepoint)
        {
            throw new SimDatabaseException(SQLITE_ERROR, "no such savepoint");
        }

        _changed = savepoint.Changed.Clone();
        PageCount = savepoint.PageCount;
    }

    /// <summary>Counts the transaction in page 1, and in every page that it changed.</summary>
    /// <returns>What it changed, by page.</returns>
    public PageVersion[] Finish()
    {
        var page1 = Write(1);
        var counter = PageLayout.CounterOf(page1) + 1;
        PageLayout.SetCounter(page1, counter, PageCount);
        var versions = new List<PageVersion>(_changed.Count);
        foreach (var (page, image) in _changed.UpTo(PageCount))
        {
            if (page > 1)
            {
                PageLayout.SetStamp(image, counter);
            }

            versions.Add(PageVersion.Of(page, image));
        }

        return [.. versions];
    }

    /// <summary>Reports damage.</summary>
    public static void Require(bool condition, string damage)
    {
        if (!condition)
        {
            throw new SimDatabaseException(SQLITE_CORRUPT, $"database disk image is malformed: {damage}");
        }
    }

    private void RequireWritable()
    {
        if (!_isWritable)
        {
            throw new SimDatabaseException(SQLITE_READONLY, "a read-only transaction cannot write");
        }
    }
}
