using Dqlite.Sqlite.Native;

namespace Dqlite.Sqlite;

/// <summary>A consistent view of a database, for export and streams. It holds versions in memory: dispose it.</summary>
public sealed class PageSnapshot : IPageSnapshot
{
    private readonly SnapshotHandle _handle;
    private readonly string _path;

    private PageSnapshot(SnapshotHandle handle, PageDatabase database, ulong lsn, uint pageCount, ulong checksum)
    {
        _handle = handle;
        _path = database.Path;
        PageSize = database.PageSize;
        Lsn = lsn;
        PageCount = pageCount;
        Checksum = checksum;
    }

    /// <summary>The LSN that it shows.</summary>
    public ulong Lsn { get; }

    /// <summary>Pages of the database at <see cref="Lsn"/>.</summary>
    public uint PageCount { get; }

    /// <summary>Checksum of the database at <see cref="Lsn"/>.</summary>
    public ulong Checksum { get; }

    /// <summary>Page size in bytes.</summary>
    public int PageSize { get; }

    /// <summary>Reads a page.</summary>
    /// <param name="pageNumber">From 1 to <see cref="PageCount"/>; the lock page reads as zeros.</param>
    /// <param name="destination">Exactly one page.</param>
    /// <exception cref="ShimException">The page does not match its checksum, or the file cannot be read.</exception>
    public unsafe void ReadPage(uint pageNumber, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfZero(pageNumber);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(pageNumber, PageCount);
        if (destination.Length != PageSize)
        {
            throw new ArgumentException($"The buffer has {destination.Length} bytes, a page {PageSize}.", nameof(destination));
        }

        fixed (byte* page = destination)
        {
            ShimResult.Check(NativeMethods.SnapshotPage(_handle, pageNumber, page), $"read page {pageNumber} of a snapshot", _path);
        }
    }

    /// <summary>Lets go of the versions.</summary>
    public void Dispose() => _handle.Dispose();

    internal static PageSnapshot Adopt(nint snapshot, PageDatabase database, ulong lsn, uint pageCount, ulong checksum)
    {
        var handle = new SnapshotHandle();
        handle.Adopt(snapshot);
        return new PageSnapshot(handle, database, lsn, pageCount, checksum);
    }
}
