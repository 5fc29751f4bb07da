using Dqlite.Sqlite;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.CoreTier;

// From a transaction's pages to a draft, and what becomes of it:
//
//   commit point ──> draft (d+1, queued) ──poll──> proposed ──commit──> c
//                         └──────────fence───────────┘ dropped
internal sealed partial class ModelPageStore
{
    private readonly List<Draft> _drafts = [];
    private int _polled;
    private long _undecidedBytes;
    private ulong _draftCount;

    /// <summary>A committed transaction that Raft has not committed.</summary>
    private sealed record Draft(DatabasePoint Point, long Term, bool ChangesSchema, PageVersion[] Pages, long Bytes);

    /// <inheritdoc/>
    public void Lead(long term)
    {
        ThrowIfDisposed();
        Require(term > 0 && _committed.Lsn == _drafted.Lsn, SQLITE_MISUSE, "lead");
        _term = term;
    }

    /// <inheritdoc/>
    public void Fence(ulong proposedLsn)
    {
        ThrowIfDisposed();
        if (_term == 0)
        {
            return;
        }

        _term = 0;
        _fences++;
        var firstSchemaChange = _drafts.Find(draft => draft.ChangesSchema)?.Point.Lsn ?? ulong.MaxValue;
        foreach (var handle in _handles)
        {
            handle.OnFence(_committed.Lsn, firstSchemaChange);
        }

        DropDrafts();
        Slot.Close(ShimResult.NotLeader);
        _events.Raise();
    }

    /// <summary>Only plain connections wait inside their commits for what the log decides, and the model has none.</summary>
    public void Resolve(ulong first, ulong last, bool committed) => ThrowIfDisposed();

    /// <inheritdoc/>
    public IDraftBatch? Poll(long maxBytes)
    {
        ThrowIfEventFailed();
        ThrowIfDisposed();
        var first = _polled;
        var bytes = 0L;
        while (_polled < _drafts.Count && (_polled == first || bytes + _drafts[_polled].Bytes <= maxBytes))
        {
            bytes += _drafts[_polled++].Bytes;
        }

        if (_polled == first)
        {
            return null;
        }

        var drafts = _drafts.GetRange(first, _polled - first);
        var (oldest, newest) = (drafts[0].Point, drafts[^1].Point);
        var before = first == 0 ? _committed : _drafts[first - 1].Point;
        var pages = drafts.Count == 1 ? drafts[0].Pages : Coalesce([.. drafts.SelectMany(draft => draft.Pages)], newest.PageCount);
        return new ModelDraftBatch(PageSize, pages)
        {
            LsnFirst = oldest.Lsn,
            LsnLast = newest.Lsn,
            Term = drafts[^1].Term,
            Checksum = newest.Checksum,
            PageCount = newest.PageCount,
            Drafts = drafts.Count,
            ReadBase = page => page <= before.PageCount ? TryReadAt(oldest.Lsn - 1, page) : null,
        };
    }

    /// <inheritdoc/>
    public void Commit(ulong lsn)
    {
        ThrowIfEventFailed();
        ThrowIfDisposed();
        if (lsn <= _committed.Lsn)
        {
            return;
        }

        var last = _drafts.FindIndex(draft => draft.Point.Lsn == lsn);
        Require(last >= 0 && last < _polled, SQLITE_MISUSE, "commit");
        var done = _drafts.GetRange(0, last + 1);
        _drafts.RemoveRange(0, last + 1);
        _polled -= last + 1;
        _committed = done[last].Point;
        foreach (var draft in done)
        {
            _undecidedBytes -= draft.Bytes;
            Supersede(draft.Pages);
        }

        OnCommitted();
    }

    /// <inheritdoc/>
    public ulong Apply(ReadOnlySpan<uint> pageNumbers, ReadOnlySpan<byte> images, uint pageCount, ulong checksum)
    {
        if (images.Length != (long)pageNumbers.Length * PageSize)
        {
            throw new ArgumentException($"{pageNumbers.Length} pages of {PageSize} bytes do not make {images.Length} bytes.", nameof(images));
        }

        ThrowIfEventFailed();
        ThrowIfDisposed();
        Require(pageCount > 0 && !pageNumbers.Contains(0u), SQLITE_MISUSE, "apply");
        Require(_term == 0 && _committed.Lsn == _drafted.Lsn, SQLITE_MISUSE, "apply");
        var pages = new PageVersion[pageNumbers.Length];
        for (var i = 0; i < pages.Length; i++)
        {
            pages[i] = PageVersion.Of(pageNumbers[i], images.Slice(i * PageSize, PageSize).ToArray());
        }

        pages = Coalesce(pages, pageCount);
        var sum = ChecksumAfter(pages, pageCount);
        Require(checksum == 0 || sum == checksum, SQLITE_CORRUPT, "apply");
        Advance(pages, pageCount, sum);
        _committed = _drafted;
        Supersede(pages);
        OnCommitted();
        return _committed.Lsn;
    }

    /// <inheritdoc/>
    public IPageStage OpenStage()
    {
        ThrowIfDisposed();
        return new ModelPageStage(this);
    }

    /// <summary>
    /// The commit point of a transaction that has the slot and has read the newest state: its pages become the next draft. The caller frees the slot
    /// at once (<see cref="FreeSlotOf"/>).
    /// </summary>
    /// <param name="pages">Ascending; the images belong to the store from now on.</param>
    /// <param name="pageCount">Of the database after it.</param>
    /// <returns>The draft.</returns>
    internal ulong MakeDraft(PageVersion[] pages, uint pageCount)
    {
        var bytes = (long)pages.Length * PageSize;
        Require(bytes <= _options.MaxTransactionBytes, ShimResult.TooLarge, "commit");
        var added = pages.Count(version => version.Page > _drafted.PageCount);
        if (pageCount > _drafted.PageCount && added != pageCount - _drafted.PageCount)
        {
            throw new InvalidOperationException($"A transaction grew database '{Path}' to {pageCount} pages and wrote {added} of the new ones.");
        }

        var cookie = _drafted.SchemaCookie;
        Advance(pages, pageCount, ChecksumAfter(pages, pageCount));
        _drafts.Add(new Draft(_drafted, _term, _drafted.SchemaCookie != cookie, pages, bytes));
        _undecidedBytes += bytes;
        _draftCount++;
        if (_polled == _drafts.Count - 1)
        {
            _events.AddDraft();
        }

        return _drafted.Lsn;
    }

    /// <summary>Newest first, so that each version is on top of its chain when it goes. LSNs are never reused.</summary>
    private void DropDrafts()
    {
        for (var i = _drafts.Count - 1; i >= 0; i--)
        {
            foreach (var version in _drafts[i].Pages)
            {
                _generation.Versions.Remove(version);
            }
        }

        _drafts.Clear();
        _polled = 0;
        _undecidedBytes = 0;
        _drafted = _committed;
    }

    /// <summary>The last image of each page, without those above the page count; ascending.</summary>
    private static PageVersion[] Coalesce(PageVersion[] pages, uint pageCount)
    {
        var isDone = pages.Length == 0 || pages[^1].Page <= pageCount;
        for (var i = 1; i < pages.Length; i++)
        {
            isDone &= pages[i].Page > pages[i - 1].Page;
        }

        if (isDone)
        {
            return pages;
        }

        var latest = new SortedDictionary<uint, PageVersion>();
        foreach (var version in pages)
        {
            if (version.Page <= pageCount)
            {
                latest[version.Page] = version;
            }
        }

        return [.. latest.Values];
    }

    /// <summary>The database checksum after these pages: the XOR of the pages' checksums.</summary>
    private ulong ChecksumAfter(PageVersion[] pages, uint pageCount)
    {
        var sum = _drafted.Checksum;
        for (var page = pageCount + 1; page <= _drafted.PageCount; page++)
        {
            sum ^= _generation.Versions.NewestSum(page);
        }

        foreach (var version in pages)
        {
            sum ^= version.Sum;
            sum ^= version.Page <= _drafted.PageCount ? _generation.Versions.NewestSum(version.Page) : 0;
        }

        return sum;
    }

    private void Advance(PageVersion[] pages, uint pageCount, ulong checksum)
    {
        _drafted = new DatabasePoint(++_lastLsn, pageCount, checksum, _drafted.SchemaCookie);
        foreach (var version in pages)
        {
            version.Lsn = _lastLsn;
            _generation.Versions.Insert(version);
            if (version is { Page: 1, Image: { } image })
            {
                _drafted = _drafted with { SchemaCookie = PageGeneration.CookieOf(image) };
            }
        }
    }

    private void Supersede(PageVersion[] pages)
    {
        foreach (var version in pages)
        {
            _generation.Versions.Supersede(version.Page, _committed.Lsn);
        }
    }

    private void OnCommitted()
    {
        _commits++;
        BoundReaders();
        Slot.Pump();
        _events.Raise();
    }
}
