using System.Buffers.Binary;
using Dqlite.Net.Storage;
using Dqlite.Sqlite;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.CoreTier;

/// <summary>
/// One incarnation of the database file, and the versions over it. Counted: whoever reads an old incarnation keeps its files open to the end.
/// </summary>
internal sealed class PageGeneration
{
    private const DurableFileMode ReadWrite = DurableFileMode.Read | DurableFileMode.Write;

    private readonly int _pageSize;
    private int _references = 1;

    private PageGeneration(IDurableFile file, IDurableFile sumsFile, int pageSize, uint number)
    {
        File = file;
        SumsFile = sumsFile;
        _pageSize = pageSize;
        Number = number;
        Versions = new VersionTable(pageSize);
    }

    /// <summary>From 1.</summary>
    public uint Number { get; }

    /// <summary>The pages.</summary>
    public IDurableFile File { get; }

    /// <summary>Their checksums.</summary>
    public IDurableFile SumsFile { get; }

    /// <summary>The file's length in pages.</summary>
    public uint FilePages { get; set; }

    /// <summary>Checksums of the file's pages.</summary>
    public ulong[] FileSums { get; private set; } = [];

    /// <summary>What page 1 of the file said when it was opened.</summary>
    public uint SchemaCookie { get; private set; }

    /// <summary>The versions over it.</summary>
    public VersionTable Versions { get; }

    /// <summary>Opens the files.</summary>
    /// <param name="files">The disk.</param>
    /// <param name="options">Which, and what they hold.</param>
    /// <param name="lsn">The state that they stand for.</param>
    /// <param name="number">Of the incarnation.</param>
    /// <exception cref="ShimException">They are missing, or are not what they should be.</exception>
    public static PageGeneration Open(IFileSystem files, PageDatabaseOptions options, ulong lsn, uint number)
    {
        var file = StoreErrors.Open(files, options.Path, ReadWrite);
        IDurableFile? sumsFile = null;
        try
        {
            sumsFile = StoreErrors.Open(files, options.SumsPath, ReadWrite);
            var generation = new PageGeneration(file, sumsFile, options.PageSize, number);
            StoreErrors.Try(SQLITE_IOERR_READ, "open database", options.Path, () => generation.Load(options, lsn));
            return generation;
        }
        catch
        {
            file.Dispose();
            sumsFile?.Dispose();
            throw;
        }
    }

    /// <summary>One more user.</summary>
    public void Reference() => _references++;

    /// <summary>One user less; the last one closes the files.</summary>
    public void Release()
    {
        if (--_references == 0)
        {
            File.Dispose();
            SumsFile.Dispose();
        }
    }

    /// <summary>Checksum of the file's first pages.</summary>
    public ulong FileChecksum(uint pageCount)
    {
        ulong checksum = 0;
        foreach (var sum in FileSums.AsSpan(0, (int)pageCount))
        {
            checksum ^= sum;
        }

        return checksum;
    }

    /// <summary>Reads a page of the file.</summary>
    /// <returns>How much of it there was.</returns>
    public int ReadFile(uint page, Span<byte> destination) => File.Read(destination, (long)(page - 1) * _pageSize);

    /// <summary>Schema cookie of page 1.</summary>
    public static uint CookieOf(ReadOnlySpan<byte> page1) => BinaryPrimitives.ReadUInt32BigEndian(page1[40..]);

    /// <summary>A finished checkpoint put a page with this checksum into the file.</summary>
    public void SetFileSum(uint page, ulong sum)
    {
        ReserveSums(page);
        FileSums[page - 1] = sum;
        FilePages = Math.Max(FilePages, page);
    }

    /// <summary>Makes room for so many checksums.</summary>
    public void ReserveSums(uint pages)
    {
        if (pages > (uint)FileSums.Length)
        {
            var sums = FileSums;
            Array.Resize(ref sums, (int)Math.Max(pages, (uint)sums.Length * 2));
            FileSums = sums;
        }
    }

    /// <summary>After a checkpoint that finished, the files are what it left; after another one nothing is believed.</summary>
    private void Load(PageDatabaseOptions options, ulong lsn)
    {
        FilePages = (uint)(File.Length / _pageSize);
        var page1 = new byte[_pageSize];
        var hasPage1 = ReadFile(1, page1) == _pageSize;
        SchemaCookie = CookieOf(page1);
        var isDatabase = hasPage1 && page1.AsSpan().StartsWith("SQLite format 3\0"u8) && PageSizeOf(page1) == _pageSize;
        StoreErrors.Require(isDatabase, SQLITE_NOTADB, "open database", options.Path);
        LoadSums(options);
        var isWhole = XxHash64.OfPage(1, page1) == FileSums[0] && FileChecksum(options.PageCount) == options.Checksum;
        StoreErrors.Require(isWhole, SQLITE_CORRUPT, "open database", options.Path);
        for (uint page = 1; page <= FilePages; page++)
        {
            Versions.Insert(new PageVersion(page, null, FileSums[page - 1]) { Lsn = lsn });
        }
    }

    private void LoadSums(PageDatabaseOptions options)
    {
        var header = new byte[SumsFormat.HeaderBytes];
        var hasHeader = SumsFile.Read(header, 0) == header.Length && header.AsSpan().SequenceEqual(SumsFormat.Header(_pageSize));
        StoreErrors.Require(hasHeader, SQLITE_CORRUPT, "read checksums", options.SumsPath);
        var stored = Math.Min((SumsFile.Length - header.Length) / SumsFormat.SumBytes, FilePages);
        var bytes = new byte[stored * SumsFormat.SumBytes];
        StoreErrors.Require(SumsFile.Read(bytes, header.Length) == bytes.Length, SQLITE_IOERR_READ, "read checksums", options.SumsPath);
        StoreErrors.Require(stored >= options.PageCount, SQLITE_CORRUPT, "read checksums", options.SumsPath);
        FileSums = SumsFormat.Decode(bytes);
        ReserveSums(Math.Max(FilePages, options.PageCount));
    }

    private static int PageSizeOf(ReadOnlySpan<byte> page1)
    {
        var size = BinaryPrimitives.ReadUInt16BigEndian(page1[16..]);
        return size == 1 ? 65536 : size;
    }
}
