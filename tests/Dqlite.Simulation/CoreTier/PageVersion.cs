namespace Dqlite.Simulation.CoreTier;

/// <summary>One version of a page. Those of a page form a chain, newest first. Images are never changed once they are here.</summary>
internal sealed class PageVersion(uint page, byte[]? image, ulong sum)
{
    /// <summary>The page's number, from 1.</summary>
    public uint Page => page;

    /// <summary>The page's checksum.</summary>
    public ulong Sum => sum;

    /// <summary>The state that it came with.</summary>
    public ulong Lsn { get; set; }

    /// <summary>Null: the file holds it.</summary>
    public byte[]? Image { get; set; } = image;

    /// <summary>The version before it.</summary>
    public PageVersion? Older { get; set; }

    /// <summary>The version after it.</summary>
    public PageVersion? Newer { get; set; }

    /// <summary>It is superseded and kept for this snapshot alone; null for drafts and for the newest committed version.</summary>
    public SnapshotPoint? Owner { get; set; }

    /// <summary>A page image as a version that has no place yet.</summary>
    public static PageVersion Of(uint page, byte[] image) => new(page, image, XxHash64.OfPage(page, image));
}

/// <summary>All readers of one state.</summary>
internal sealed class SnapshotPoint(ulong lsn, uint pageCount, ulong checksum)
{
    /// <summary>The state.</summary>
    public ulong Lsn => lsn;

    /// <summary>Pages of the database in it.</summary>
    public uint PageCount => pageCount;

    /// <summary>Its checksum.</summary>
    public ulong Checksum => checksum;

    /// <summary>How many read it.</summary>
    public int References { get; set; }

    /// <summary>Versions that were kept for it; those that have another owner now, or none, do not count.</summary>
    public List<PageVersion> Kept { get; } = [];

    /// <summary>How many do count.</summary>
    public int KeptCount { get; set; }
}

/// <summary>Somebody who reads one state: a connection in a transaction, a snapshot, a checkpoint.</summary>
internal sealed class PageView(bool isConnection)
{
    /// <summary>Connections are revoked before snapshots when memory is short.</summary>
    public bool IsConnection => isConnection;

    /// <summary>The incarnation of the file; null while nothing is read.</summary>
    public PageGeneration? Generation { get; set; }

    /// <summary>Keeps the versions; null while nothing is read.</summary>
    public SnapshotPoint? Point { get; set; }

    /// <summary>The state that is read, or was read last.</summary>
    public ulong Lsn { get; set; }

    /// <summary>0, or the code that the reader gets since its state was given up.</summary>
    public int RevokedCode { get; set; }
}
