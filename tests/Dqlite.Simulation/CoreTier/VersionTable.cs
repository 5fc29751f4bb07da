namespace Dqlite.Simulation.CoreTier;

/// <summary>
/// The page versions of one generation. A snapshot at LSN s sees of each page the newest version at or below s. A version leaves as soon as
/// nothing can ask for it:
/// <code>
/// above c              a draft: stays until commit or fence
/// newest at or below c stays; the file holds it (no image) once a checkpoint has finished
/// superseded           stays while a snapshot between it and the next version lives
/// </code>
/// </summary>
internal sealed class VersionTable(int pageSize)
{
    private readonly List<SnapshotPoint> _points = [];
    private PageVersion?[] _newest = new PageVersion?[64];
    private bool[] _isDirty = new bool[64];

    /// <summary>Bytes of all images.</summary>
    public long Bytes { get; private set; }

    /// <summary>Of them: bytes that are held for readers alone.</summary>
    public long ReaderBytes { get; private set; }

    /// <summary>Pages whose newest committed version is not in the file.</summary>
    public int DirtyPages { get; private set; }

    /// <summary>States that are read, oldest first.</summary>
    public IReadOnlyList<SnapshotPoint> Points => _points;

    /// <summary>The newest version, a draft too; null when there is none.</summary>
    public PageVersion? Newest(uint page) => page <= (uint)_newest.Length ? _newest[page - 1] : null;

    /// <summary>The version that a reader of this state sees.</summary>
    public PageVersion? Find(uint page, ulong lsn)
    {
        var version = Newest(page);
        while (version is not null && version.Lsn > lsn)
        {
            version = version.Older;
        }

        return version;
    }

    /// <summary>Checksum of the newest version; 0 when there is none.</summary>
    public ulong NewestSum(uint page) => Newest(page)?.Sum ?? 0;

    /// <summary>Puts a version on top.</summary>
    public void Insert(PageVersion version)
    {
        if (version.Page > (uint)_newest.Length)
        {
            var length = Math.Max((int)version.Page, _newest.Length * 2);
            Array.Resize(ref _newest, length);
            Array.Resize(ref _isDirty, length);
        }

        ref var newest = ref _newest[version.Page - 1];
        version.Older = newest;
        if (newest is not null)
        {
            newest.Newer = version;
        }

        newest = version;
        Bytes += version.Image is null ? 0 : pageSize;
    }

    /// <summary>Takes a version out.</summary>
    public void Remove(PageVersion version)
    {
        Disown(version);
        Bytes -= version.Image is null ? 0 : pageSize;
        if (version.Newer is { } newer)
        {
            newer.Older = version.Older;
        }
        else
        {
            _newest[version.Page - 1] = version.Older;
        }

        if (version.Older is { } older)
        {
            older.Newer = version.Newer;
        }
    }

    /// <summary>The committed state moved to one with a new version of this page: what lies below goes to the snapshots that need it, or goes.</summary>
    public void Supersede(uint page, ulong committed)
    {
        if (Find(page, committed) is not { } current)
        {
            return;
        }

        if (current.Image is not null && current.Owner is null)
        {
            SetDirty(page, true);
        }

        for (var version = current.Older; version is { Image: not null, Owner: null };)
        {
            var older = version.Older;
            KeepOrRemove(version);
            version = older;
        }
    }

    /// <summary>What a checkpoint of this state has to write, by page.</summary>
    public List<PageVersion> Unfiled(ulong lsn)
    {
        var versions = new List<PageVersion>();
        for (uint page = 1; page <= (uint)_isDirty.Length; page++)
        {
            if (_isDirty[page - 1] && Find(page, lsn) is { Image: not null } version)
            {
                versions.Add(version);
            }
        }

        return versions;
    }

    /// <summary>A checkpoint has finished, and the file holds this version.</summary>
    public void Filed(PageVersion version, ulong committed)
    {
        var newest = Find(version.Page, committed);
        if (newest == version)
        {
            SetDirty(version.Page, false);
        }

        if (Find(version.Page, version.Lsn) == version)
        {
            Disown(version);
            version.Image = null;
            Bytes -= pageSize;
        }
    }

    /// <summary>A checkpoint has finished whose state lacks this page: only older snapshots can ask for it.</summary>
    public void Gone(PageVersion version, ulong committed)
    {
        if (version is { Image: not null, Owner: null } && Find(version.Page, committed) == version)
        {
            SetDirty(version.Page, false);
            KeepOrRemove(version);
        }
    }

    /// <summary>The version that the file holds.</summary>
    public PageVersion? FileVersion(uint page)
    {
        var version = Newest(page);
        while (version is { Image: not null })
        {
            version = version.Older;
        }

        return version;
    }

    /// <summary>The file is about to hold something else than this version: its image is kept for this snapshot.</summary>
    public void KeepBeforeImage(PageVersion version, byte[] image, SnapshotPoint reader)
    {
        version.Image = image;
        Bytes += pageSize;
        Own(version, reader);
    }

    /// <summary>A snapshot that sees this version, or null.</summary>
    public SnapshotPoint? ReaderOf(PageVersion version)
    {
        var next = version.Newer?.Lsn ?? ulong.MaxValue;
        for (var i = _points.Count - 1; i >= 0 && _points[i].Lsn >= version.Lsn; i--)
        {
            if (_points[i].Lsn < next && _points[i].PageCount >= version.Page)
            {
                return _points[i];
            }
        }

        return null;
    }

    /// <summary>The snapshot of a state, if it is open.</summary>
    public SnapshotPoint? PointAt(ulong lsn) => _points.Find(point => point.Lsn == lsn);

    /// <summary>Opens the snapshot of a state, or one more reference to it.</summary>
    public SnapshotPoint Acquire(ulong lsn, uint pageCount, ulong checksum)
    {
        var at = _points.Count;
        while (at > 0 && _points[at - 1].Lsn > lsn)
        {
            at--;
        }

        if (at == 0 || _points[at - 1].Lsn != lsn)
        {
            _points.Insert(at++, new SnapshotPoint(lsn, pageCount, checksum));
        }

        var point = _points[at - 1];
        point.References++;
        return point;
    }

    /// <summary>Gives a reference back; what was kept for the last one goes to another snapshot that sees it, or goes.</summary>
    public void Release(SnapshotPoint point)
    {
        if (--point.References > 0)
        {
            return;
        }

        _points.Remove(point);
        foreach (var version in point.Kept)
        {
            if (version.Owner == point)
            {
                Disown(version);
                KeepOrRemove(version);
            }
        }
    }

    private void KeepOrRemove(PageVersion version)
    {
        if (ReaderOf(version) is { } reader)
        {
            Own(version, reader);
        }
        else
        {
            Remove(version);
        }
    }

    private void Own(PageVersion version, SnapshotPoint reader)
    {
        version.Owner = reader;
        reader.Kept.Add(version);
        reader.KeptCount++;
        ReaderBytes += pageSize;
    }

    private void Disown(PageVersion version)
    {
        if (version.Owner is { } owner)
        {
            owner.KeptCount--;
            version.Owner = null;
            ReaderBytes -= pageSize;
        }
    }

    private void SetDirty(uint page, bool isDirty)
    {
        if (_isDirty[page - 1] != isDirty)
        {
            _isDirty[page - 1] = isDirty;
            DirtyPages += isDirty ? 1 : -1;
        }
    }
}
