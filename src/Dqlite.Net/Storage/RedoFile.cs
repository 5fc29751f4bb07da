using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Storage;

/// <summary>
/// DATA/databases/NAME.redo (docs/formats/database.md): a second copy of every page that a checkpoint is about to overwrite, durable before the first of
/// them is touched. The log holds changes of pages, which mean nothing on a torn page: so an unfinished checkpoint is finished from this file at the next
/// start, exactly. What a checkpoint adds behind the end of the database file is written there before, and listed here without a copy.
/// </summary>
internal static class RedoFile
{
    internal const int HeaderSize = 64;
    internal const int RowSize = 16;
    private const uint Version = 1;
    private const uint HasCopy = 1;
    private const int CheckedHeaderBytes = 52;
    private const int ImageAlignment = 4096;
    private const int RunBytes = 256 << 10;
    private const int SumBytes = sizeof(ulong);
    private const int SumsHeaderBytes = 32;

    /// <summary>A file for a small checkpoint is not kept at the size that a large one left.</summary>
    private const long MaxIdleBytes = 32 << 20;

    private static ReadOnlySpan<byte> Magic => "DqliteRd"u8;

    /// <summary>Writes the file; durable on return, also its name.</summary>
    /// <param name="files">The disk.</param>
    /// <param name="path">NAME.redo.</param>
    /// <param name="target">What the checkpoint aims at.</param>
    /// <param name="view">The state that it writes.</param>
    /// <param name="pages">What it writes, ascending, not above the view's page count.</param>
    /// <param name="filePages">Length of the database file: pages above it get no copy.</param>
    /// <exception cref="DurableIOException">Nothing was lost: the database file is untouched.</exception>
    internal static void Write(IFileSystem files, string path, LogIndex target, IPageSnapshot view, ReadOnlySpan<uint> pages, uint filePages)
    {
        files.Open(path, DurableFileMode.Read | DurableFileMode.Write | DurableFileMode.Create).Dispose();
        using var file = files.OpenForAppends(path); // in pieces of its own buffer: one large flush would keep the log waiting
        var table = new byte[pages.Length * RowSize];
        var end = WriteCopies(file, view, pages, filePages, table);
        var header = new byte[HeaderSize];
        new RedoHeader(view.PageSize, target, view.PageCount, pages.Length, view.Checksum).Encode(header, table);
        file.Write(header, 0);
        file.Write(table, HeaderSize);
        if (file.Length > Math.Max(end, MaxIdleBytes))
        {
            file.Truncate(Math.Max(end, MaxIdleBytes));
        }

#if MUTANTS
        if (Mutant.Is("D12"))
        {
            return;
        }
#endif
        file.Sync();
        files.SyncDirectory(Path.GetDirectoryName(path)!);
    }

    /// <summary>The index that the file's checkpoint aimed at; zero when there is no whole file.</summary>
    internal static LogIndex TargetOf(IFileSystem files, string path)
    {
        if (!files.Exists(path))
        {
            return LogIndex.Zero;
        }

        using var file = files.Open(path, DurableFileMode.Read);
        return TryRead(file, out var header, out _) ? header.Target : LogIndex.Zero;
    }

    /// <summary>Finishes the checkpoint that NAME.meta says was begun. May be repeated.</summary>
    /// <returns>What NAME.meta has to say afterwards.</returns>
    /// <exception cref="StorageDamagedException">The copy is not what was made durable.</exception>
    internal static DatabaseMeta Restore(IFileSystem files, string path, string databasePath, string sumsPath, DatabaseMeta meta)
    {
        if (!files.Exists(path))
        {
            throw new StorageDamagedException(path, "it is missing, but a checkpoint was under way");
        }

        using var redo = files.Open(path, DurableFileMode.Read);
        if (!TryRead(redo, out var header, out var table) || header.Target != meta.CheckpointTarget || header.PageSize != meta.PageSize)
        {
            throw new StorageDamagedException(path, "it is not the copy of the checkpoint that was under way");
        }

        using var database = files.Open(databasePath, DurableFileMode.Read | DurableFileMode.Write);
        using var sums = files.Open(sumsPath, DurableFileMode.Read | DurableFileMode.Write);
        RestorePages(redo, database, header, table);
        RestoreSums(sums, table);
        var lengthBytes = (long)header.PageCount * header.PageSize;
        if (database.Length < lengthBytes)
        {
            throw new StorageDamagedException(databasePath, $"it has {database.Length} bytes where {lengthBytes} belong");
        }

        database.Truncate(lengthBytes);
        database.Sync();
        sums.DataSync();
        return meta with
        {
            CheckpointDone = header.Target,
            LastEntry = header.Target,
            PageCount = header.PageCount,
            Checksum = header.Checksum,
            File = database.GetState(),
        };
    }

    private static long ImagesOffset(int pages) => (HeaderSize + ((long)pages * RowSize) + ImageAlignment - 1) / ImageAlignment * ImageAlignment;

    private static long WriteCopies(IDurableFile file, IPageSnapshot view, ReadOnlySpan<uint> pages, uint filePages, byte[] table)
    {
        var size = view.PageSize;
        var run = ArrayPool<byte>.Shared.Rent(RunBytes);
        try
        {
            var offset = ImagesOffset(pages.Length);
            var used = 0;
            for (var i = 0; i < pages.Length; i++)
            {
                var image = run.AsSpan(used, size);
                view.ReadPage(pages[i], image);
                var isCopied = pages[i] <= filePages;
#if MUTANTS
                isCopied &= !Mutant.Is("D11");
#endif
                WriteRow(table.AsSpan(i * RowSize), pages[i], isCopied, PageChecksum.Compute(pages[i], image));
                used += isCopied ? size : 0;
                if (used + size > RunBytes || (i == pages.Length - 1 && used > 0))
                {
                    file.Write(run.AsSpan(0, used), offset);
                    offset += used;
                    used = 0;
                }
            }

            return offset;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(run);
        }
    }

    private static void WriteRow(Span<byte> row, uint page, bool isCopied, ulong sum)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(row, page);
        BinaryPrimitives.WriteUInt32LittleEndian(row[4..], isCopied ? HasCopy : 0);
        BinaryPrimitives.WriteUInt64LittleEndian(row[8..], sum);
    }

    private static (uint Page, bool IsCopied, ulong Sum) ReadRow(ReadOnlySpan<byte> table, int row)
    {
        var bytes = table.Slice(row * RowSize, RowSize);
        return (BinaryPrimitives.ReadUInt32LittleEndian(bytes), BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]) == HasCopy, BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]));
    }

    private static void RestorePages(IDurableFile redo, IDurableFile database, RedoHeader header, ReadOnlySpan<byte> table)
    {
        var image = new byte[header.PageSize];
        var offset = ImagesOffset(header.Pages);
        for (var i = 0; i < header.Pages; i++)
        {
            var (page, isCopied, sum) = ReadRow(table, i);
            if (!isCopied)
            {
                continue;
            }

            if (redo.Read(image, offset) != image.Length || PageChecksum.Compute(page, image) != sum)
            {
                throw new StorageDamagedException(redo.Path, $"the copy of page {page} does not have its checksum");
            }

            database.Write(image, (long)(page - 1) * header.PageSize);
            offset += header.PageSize;
        }
    }

    private static void RestoreSums(IDurableFile sums, ReadOnlySpan<byte> table)
    {
        Span<ulong> run = stackalloc ulong[512];
        var rows = table.Length / RowSize;
        for (var i = 0; i < rows;)
        {
            var first = ReadRow(table, i).Page;
            var count = 0;
            for (; i < rows && count < run.Length && ReadRow(table, i) is var row && row.Page == first + count; i++)
            {
                run[count++] = row.Sum;
            }

            sums.Write(MemoryMarshal.AsBytes(run[..count]), SumsHeaderBytes + ((long)(first - 1) * SumBytes));
        }
    }

    private static bool TryRead(IDurableFile file, out RedoHeader header, out byte[] table)
    {
        header = default;
        table = [];
        Span<byte> bytes = stackalloc byte[HeaderSize];
        if (file.Read(bytes, 0) != HeaderSize || !RedoHeader.TryDecode(bytes, out header) || (long)header.Pages * RowSize > file.Length)
        {
            return false;
        }

        table = new byte[header.Pages * RowSize];
        return file.Read(table, HeaderSize) == table.Length && RedoHeader.ChecksumOf(bytes, table) == BinaryPrimitives.ReadUInt32LittleEndian(bytes[CheckedHeaderBytes..]);
    }

    /// <summary>What the head of the file says of a checkpoint.</summary>
    private readonly record struct RedoHeader(int PageSize, LogIndex Target, uint PageCount, int Pages, ulong Checksum)
    {
        public static uint ChecksumOf(ReadOnlySpan<byte> header, ReadOnlySpan<byte> table) =>
            Crc32C.Finish(Crc32C.Append(Crc32C.Append(Crc32C.Initial, header[..CheckedHeaderBytes]), table));

        public static bool TryDecode(ReadOnlySpan<byte> bytes, out RedoHeader header)
        {
            header = new RedoHeader(
                BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]),
                new LogIndex(BinaryPrimitives.ReadInt64LittleEndian(bytes[16..])),
                BinaryPrimitives.ReadUInt32LittleEndian(bytes[24..]),
                BinaryPrimitives.ReadInt32LittleEndian(bytes[28..]),
                BinaryPrimitives.ReadUInt64LittleEndian(bytes[32..]));
            return bytes.StartsWith(Magic) && BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]) == Version && header.Pages is >= 0 and <= int.MaxValue / RowSize;
        }

        public void Encode(Span<byte> bytes, ReadOnlySpan<byte> table)
        {
            Magic.CopyTo(bytes);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[8..], Version);
            BinaryPrimitives.WriteInt32LittleEndian(bytes[12..], PageSize);
            BinaryPrimitives.WriteInt64LittleEndian(bytes[16..], Target.Value);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[24..], PageCount);
            BinaryPrimitives.WriteInt32LittleEndian(bytes[28..], Pages);
            BinaryPrimitives.WriteUInt64LittleEndian(bytes[32..], Checksum);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[CheckedHeaderBytes..], ChecksumOf(bytes, table));
        }
    }
}
