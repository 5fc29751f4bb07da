using Dqlite.Net.Storage;
using Dqlite.Sqlite;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.CoreTier;

/// <summary>Makes model page stores on one disk.</summary>
internal sealed class ModelPageStores(IFileSystem files) : IPageStoreFactory
{
    /// <inheritdoc/>
    public ulong CreateFiles(string path, string sumsPath, int pageSize, uint autoVacuum)
    {
        var page1 = new byte[pageSize];
        PageChecksum.WriteCanonicalPage1(page1, autoVacuum);
        using var builder = Build(path, sumsPath, pageSize);
        builder.WritePage(1, page1);
        return builder.Finish(1);
    }

    /// <inheritdoc/>
    public IPageStore Open(PageDatabaseOptions options, IPageDatabaseEvents events) => ModelPageStore.Open(files, options, events);

    /// <inheritdoc/>
    public IDatabaseFileBuilder Build(string databasePath, string sumsPath, int pageSize) => new ModelFileBuilder(files, databasePath, sumsPath, pageSize);
}

/// <summary>Writes a database file and its page checksums from page images; see <see cref="DatabaseFileBuilder"/>.</summary>
internal sealed class ModelFileBuilder : IDatabaseFileBuilder
{
    private const DurableFileMode Fresh = DurableFileMode.Read | DurableFileMode.Write | DurableFileMode.Create | DurableFileMode.Truncate;

    private readonly IDurableFile _file;
    private readonly IDurableFile _sumsFile;
    private readonly int _pageSize;
    private readonly List<ulong?> _sums = [];

    public ModelFileBuilder(IFileSystem files, string path, string sumsPath, int pageSize)
    {
        PageChecksum.RequirePageSize(pageSize, nameof(pageSize));
        _pageSize = pageSize;
        _file = StoreErrors.Open(files, path, Fresh);
        try
        {
            _sumsFile = StoreErrors.Open(files, sumsPath, Fresh);
        }
        catch
        {
            _file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void WritePage(uint pageNumber, ReadOnlySpan<byte> image)
    {
        ArgumentOutOfRangeException.ThrowIfZero(pageNumber);
        if (image.Length != _pageSize)
        {
            throw new ArgumentException($"The image has {image.Length} bytes, a page {_pageSize}.", nameof(image));
        }

        try
        {
            _file.Write(image, (long)(pageNumber - 1) * _pageSize);
        }
        catch (DurableIOException)
        {
            throw new ShimException(SQLITE_IOERR_WRITE, $"write page {pageNumber}", _file.Path);
        }

        while (_sums.Count < pageNumber)
        {
            _sums.Add(null);
        }

        _sums[(int)pageNumber - 1] = XxHash64.OfPage(pageNumber, image);
    }

    /// <inheritdoc/>
    public ulong Finish(uint pageCount)
    {
        var isWhole = pageCount > 0 && pageCount <= _sums.Count && !_sums.Take((int)pageCount).Contains(null);
        StoreErrors.Require(isWhole, SQLITE_CORRUPT, "finish", _file.Path);
        var sums = _sums.Take((int)pageCount).Select(sum => sum!.Value).ToArray();
        StoreErrors.Try(SQLITE_IOERR_WRITE, "finish", _file.Path, () =>
        {
            _sumsFile.Write(SumsFormat.Header(_pageSize), 0);
            _sumsFile.Write(SumsFormat.Encode(sums), SumsFormat.HeaderBytes);
        });
        StoreErrors.Try(SQLITE_IOERR_TRUNCATE, "finish", _file.Path, () => _file.Truncate((long)pageCount * _pageSize));
        StoreErrors.Try(SQLITE_IOERR_FSYNC, "finish", _file.Path, () =>
        {
            _file.Sync();
            _sumsFile.Sync();
        });
        return sums.Aggregate((left, right) => left ^ right);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _file.Dispose();
        _sumsFile.Dispose();
    }
}
