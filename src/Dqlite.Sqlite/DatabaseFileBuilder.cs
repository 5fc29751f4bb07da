using Dqlite.Sqlite.Native;

namespace Dqlite.Sqlite;

/// <summary>Writes a database file and its page checksums from page images, for an install or an import. One thread at a time.</summary>
public sealed class DatabaseFileBuilder : IDatabaseFileBuilder
{
    private readonly BuilderHandle _handle;
    private readonly string _path;
    private readonly int _pageSize;

    private DatabaseFileBuilder(BuilderHandle handle, string path, int pageSize)
    {
        _handle = handle;
        _path = path;
        _pageSize = pageSize;
    }

    /// <summary>Creates both files, or empties them.</summary>
    /// <param name="databasePath">The database file; not one that is open.</param>
    /// <param name="sumsPath">The file of page checksums.</param>
    /// <param name="pageSize">Page size in bytes.</param>
    /// <exception cref="ShimException">It failed.</exception>
    public static DatabaseFileBuilder Open(string databasePath, string sumsPath, int pageSize)
    {
        PageChecksum.RequirePageSize(pageSize, nameof(pageSize));
        var handle = new BuilderHandle();
        ShimResult.Check(NativeMethods.BuilderOpen(databasePath, sumsPath, (uint)pageSize, out var builder), "create", databasePath);
        handle.Adopt(builder);
        return new DatabaseFileBuilder(handle, databasePath, pageSize);
    }

    /// <summary>Writes one page; in any order.</summary>
    /// <param name="pageNumber">From 1; not the lock page.</param>
    /// <param name="image">Exactly one page.</param>
    /// <exception cref="ShimException">It failed.</exception>
    public unsafe void WritePage(uint pageNumber, ReadOnlySpan<byte> image)
    {
        ArgumentOutOfRangeException.ThrowIfZero(pageNumber);
        if (image.Length != _pageSize)
        {
            throw new ArgumentException($"The image has {image.Length} bytes, a page {_pageSize}.", nameof(image));
        }

        fixed (byte* page = image)
        {
            ShimResult.Check(NativeMethods.BuilderPage(_handle, pageNumber, page), $"write page {pageNumber}", _path);
        }
    }

    /// <summary>Fsyncs both files; the caller renames them and fsyncs the directory.</summary>
    /// <param name="pageCount">Pages of the database; each must have been written.</param>
    /// <returns>The checksum of the database.</returns>
    /// <exception cref="ShimException">A page is missing (code 11), or it failed.</exception>
    public ulong Finish(uint pageCount)
    {
        ShimResult.Check(NativeMethods.BuilderFinish(_handle, pageCount, out var checksum), "finish", _path);
        return checksum;
    }

    /// <summary>Closes the files.</summary>
    public void Dispose() => _handle.Dispose();
}
