using Dqlite.Sqlite;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.CoreTier;

// Readers and the pages that they see.
internal sealed partial class ModelPageStore
{
    /// <summary>What a connection would read now: the drafts too when it may write.</summary>
    internal ulong CommittedLsn => _committed.Lsn;

    /// <inheritdoc cref="CommittedLsn"/>
    internal ulong DraftLsn => _drafted.Lsn;

    /// <inheritdoc/>
    public IPageSnapshot OpenSnapshot()
    {
        ThrowIfDisposed();
        var view = new PageView(isConnection: false);
        _views.Add(view);
        BeginView(view, _committed.Lsn);
        return new ModelPageSnapshot(this, view, _committed.PageCount, _committed.Checksum);
    }

    /// <summary>Adds a connection.</summary>
    internal void Add(StoreHandle handle)
    {
        ThrowIfDisposed();
        _handles.Add(handle);
        _views.Add(handle.View);
    }

    /// <summary>A connection was closed.</summary>
    internal void Remove(StoreHandle handle)
    {
        _handles.Remove(handle);
        _views.Remove(handle.View);
    }

    /// <summary>A snapshot was closed.</summary>
    internal void Remove(PageView view)
    {
        EndView(view);
        _views.Remove(view);
    }

    /// <summary>Pins the committed state or the newest draft: no other has a page count.</summary>
    internal void BeginView(PageView view, ulong lsn)
    {
        var point = lsn == _committed.Lsn ? _committed : _drafted;
        view.Generation = _generation;
        view.Lsn = lsn;
        view.RevokedCode = 0;
        view.Point = _generation.Versions.Acquire(lsn, point.PageCount, point.Checksum);
        _generation.Reference();
    }

    /// <summary>Lets go of the state; the second time nothing happens.</summary>
    internal static void EndView(PageView view)
    {
        if (view is { Point: { } point, Generation: { } generation })
        {
            view.Point = null;
            view.Generation = null;
            generation.Versions.Release(point);
            generation.Release();
        }
    }

    /// <summary>A page as this reader sees it; the bytes are valid until the next page is read.</summary>
    /// <param name="view">The reader.</param>
    /// <param name="page">Not above the page count of its state.</param>
    /// <param name="isSilent">Whether a rotten page is reported to the caller alone: a checker must not change what it looks at.</param>
    /// <exception cref="ShimException">The page is not what was written, or the reader was revoked.</exception>
    internal ReadOnlySpan<byte> Read(PageView view, uint page, bool isSilent = false)
    {
        Require(view.RevokedCode == 0, view.RevokedCode, "read");
        if (view.Generation is not { } generation)
        {
            throw new InvalidOperationException($"A page of database '{Path}' was read outside of a transaction.");
        }

        var version = generation.Versions.Find(page, view.Lsn);
        if (version?.Image is { } image)
        {
            _pagesReadFromStore++;
            return image;
        }

        _pagesReadFromFile++;
        return ReadFile(generation, page, version?.Sum, isSilent);
    }

    /// <summary>The committed state, page after page.</summary>
    /// <exception cref="ShimException">A page is not what was written.</exception>
    internal byte[] CopyCommitted()
    {
        ThrowIfDisposed();
        var view = new PageView(isConnection: false);
        BeginView(view, _committed.Lsn);
        try
        {
            var image = new byte[_committed.PageCount * (long)PageSize];
            for (uint page = 1; page <= _committed.PageCount; page++)
            {
                Read(view, page, isSilent: true).CopyTo(image.AsSpan((int)(page - 1) * PageSize));
            }

            return image;
        }
        finally
        {
            EndView(view);
        }
    }

    /// <inheritdoc/>
    public void ReadPage(uint pageNumber, Span<byte> destination)
    {
        ThrowIfDisposed();
        Require(pageNumber > 0 && pageNumber <= _committed.PageCount, SQLITE_NOTFOUND, $"read page {pageNumber}");
        ReadAt(_committed.Lsn, pageNumber).CopyTo(destination);
    }

    /// <summary>The page in a state that nobody holds: c, or one between it and the drafts. The bytes are valid until the next page is read.</summary>
    private byte[] ReadAt(ulong lsn, uint page)
    {
        var version = _generation.Versions.Find(page, lsn);
        return version?.Image ?? ReadFile(_generation, page, version?.Sum);
    }

    private byte[]? TryReadAt(ulong lsn, uint page)
    {
        try
        {
            return ReadAt(lsn, page);
        }
        catch (ShimException)
        {
            return null;
        }
    }

    /// <summary>Reads and verifies a page of the file.</summary>
    private byte[] ReadFile(PageGeneration generation, uint page, ulong? sum, bool isSilent = false)
    {
        int read;
        try
        {
            read = generation.ReadFile(page, _filePage);
        }
        catch (DurableIOException)
        {
            throw new ShimException(SQLITE_IOERR_READ, "read", Path);
        }

        _filePage.AsSpan(read).Clear();
        if (read < PageSize || XxHash64.OfPage(page, _filePage) != sum)
        {
            if (!isSilent)
            {
                _events.RaiseRot(page);
            }

            throw new ShimException(ShimResult.PageRot, $"read page {page}", Path);
        }

        return _filePage;
    }

    /// <summary>Memory held for readers alone is bounded: the oldest go first, and snapshots only when connections were not enough.</summary>
    private void BoundReaders()
    {
        var versions = _generation.Versions;
        foreach (var connections in new[] { true, false })
        {
            for (var i = 0; i < versions.Points.Count && versions.ReaderBytes > _options.MaxVersionBytes;)
            {
                var point = versions.Points[i];
                if (point.KeptCount > 0)
                {
                    Revoke(point, connections);
                }

                i += i < versions.Points.Count && versions.Points[i] == point ? 1 : 0;
            }
        }
    }

    private void Revoke(SnapshotPoint point, bool connections)
    {
        foreach (var view in _views)
        {
            if (view.Point == point && view.IsConnection == connections)
            {
                EndView(view);
                view.RevokedCode = ShimResult.SnapshotGone;
            }
        }
    }
}
