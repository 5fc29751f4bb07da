using System.Globalization;
using System.Runtime.InteropServices;
using Dqlite.Sqlite;
using SQLitePCL;

namespace Dqlite.Net.Engine;

/// <summary>
/// Turns an existing SQLite file into a replicated database: a create entry for an unpublished database, its pages in bounded entries, and a
/// publish entry that makes it appear everywhere at once. The file is read through SQLite - a hot WAL or journal counts - by copying it with
/// the online backup API into a temporary file of the same page size, whose pages then travel.
/// </summary>
internal static class DatabaseImporter
{
    private const string ReadSomething = "SELECT count(*) FROM sqlite_schema";

    /// <summary>The copy, what SQLite may leave beside it, and the same of a source that had to be recovered.</summary>
    private static readonly string[] Leftovers = ["", "-journal", ".source", ".source-journal", ".source-wal", ".source-shm"];

    private static long s_imports;

    /// <summary>Page bytes of one entry.</summary>
    private const int EntryBytes = 1 << 20;

    /// <summary>Entries on their way at one time.</summary>
    private const int Window = 8;

    public static async Task ImportAsync(NodeContext node, string name, string path, CancellationToken cancellationToken)
    {
        if (!File.Exists(path))
        {
            throw new DqliteException($"'{path}' does not exist.", 14, false, null);
        }

        if (!node.CanWrite)
        {
            throw DqliteErrors.NotLeader(node.LeaderAddress);
        }

        if (node.Databases.FindPublished(name) is not null)
        {
            throw new DqliteException($"A database named '{name}' exists already; choose another name or drop it first.", 1, false, null);
        }

        // Each import has files of its own, also when two of one name run at the same time.
        var copy = Path.Combine(node.Databases.Directory, string.Create(CultureInfo.InvariantCulture, $"{name}.{Interlocked.Increment(ref s_imports)}.import"));
        try
        {
            await Task.Run(() => Copy(path, copy), cancellationToken).ConfigureAwait(false);
            await SendAsync(node, name, copy, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Array.ForEach(Leftovers, suffix => File.Delete(copy + suffix));
        }
    }

    private static async Task SendAsync(NodeContext node, string name, string copy, CancellationToken cancellationToken)
    {
        using var file = DurableFile.Open(copy, DurableFileMode.Read);
        var header = new byte[100];
        if (file.Read(header, 0) < 100 || !header.AsSpan(0, 16).SequenceEqual("SQLite format 3\0"u8))
        {
            throw new DqliteException($"'{name}' cannot be imported: the file is empty or not an SQLite database.", 26, false, null);
        }

        var pageSize = (header[16] << 8) | header[17];
        pageSize = pageSize == 1 ? 65536 : pageSize;
        var pageCount = checked((uint)(file.Length / pageSize));
        var vacuum = header[52] == 0 && header[53] == 0 && header[54] == 0 && header[55] == 0 ? 0 : header[67] == 0 ? 1 : 2;
        var proposer = await ImportProposer.CreateAsync(node, name, EntryCodec.Create(name, pageSize, vacuum, published: false), cancellationToken).ConfigureAwait(false);
        var published = false;
        try
        {
            await SendPagesAsync(proposer, file, pageSize, pageCount, cancellationToken).ConfigureAwait(false);
            var (_, committed) = await proposer.ProposeAsync(EntryCodec.Publish(proposer.DatabaseId), cancellationToken).ConfigureAwait(false);
            await committed.WaitAsync(cancellationToken).ConfigureAwait(false);
            published = true;
        }
        finally
        {
            if (!published)
            {
                proposer.Drop();
            }
        }
    }

    /// <summary>The checksum of an entry is the one of the pages so far: pages that have not arrived count as absent, so it is built up with them.</summary>
    private static async Task SendPagesAsync(ImportProposer proposer, DurableFile file, int pageSize, uint pageCount, CancellationToken cancellationToken)
    {
        var perEntry = Math.Max(1, EntryBytes / pageSize);
        var lockPage = (uint)(0x40000000 / pageSize) + 1;
        var window = new Queue<Task>();
        var previous = proposer.DatabaseId;
        var checksum = 0UL;
        for (uint first = 1; first <= pageCount; first += (uint)perEntry)
        {
            var last = Math.Min(pageCount, first + (uint)perEntry - 1);
            var payload = Fill(file, proposer.DatabaseId, pageSize, first, last, lockPage, ref checksum);
            if (window.Count >= Window)
            {
                await window.Dequeue().WaitAsync(cancellationToken).ConfigureAwait(false);
            }

            // The index is known when the core has taken the entry, long before it is committed: the next entry can name it.
            EntryCodec.SetPrevious(payload, previous);
            var (index, committed) = await proposer.ProposeAsync(payload, cancellationToken).ConfigureAwait(false);
            previous = index;
            window.Enqueue(committed);
        }

        foreach (var committed in window)
        {
            await committed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private static byte[] Fill(DurableFile file, long databaseId, int pageSize, uint first, uint last, uint lockPage, ref ulong checksum)
    {
        var pages = (int)(last - first + 1) - (lockPage >= first && lockPage <= last ? 1 : 0);
        var payload = EntryCodec.AllocatePages(databaseId, 0, pageSize, last, pages, 0);
        var numbers = MemoryMarshal.Cast<byte, uint>(payload.AsSpan(EntryCodec.PagesHeaderSize, 4 * pages));
        var images = payload.AsSpan(EntryCodec.BodiesOffset(pages));
        var i = 0;
        for (var page = first; page <= last; page++)
        {
            if (page == lockPage)
            {
                continue;
            }

            var image = images.Slice(i * pageSize, pageSize);
            if (file.Read(image, (long)(page - 1) * pageSize) != pageSize)
            {
                throw new DqliteException($"Page {page} of the imported file cannot be read.", 10, false, null);
            }

            if (page == 1)
            {
                // A replicated database is always in WAL mode (SQLite file format 1.3.3).
                image[18] = 2;
                image[19] = 2;
            }

            numbers[i++] = page;
            checksum ^= PageChecksum.Compute(page, image);
        }

        EntryCodec.SetChecksum(payload, checksum);
        return payload;
    }

    private static void Copy(string source, string target)
    {
        File.Delete(target);
        using var from = OpenSource(source, target + ".source");
        var pageSize = QueryNumber(from, "PRAGMA page_size");
        using var to = Open(target, raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_CREATE);
        Check(raw.sqlite3_exec(to, string.Create(CultureInfo.InvariantCulture, $"PRAGMA page_size={pageSize}; PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF")), to, target);
        using var backup = raw.sqlite3_backup_init(to, "main", from, "main");
        if (backup is null || backup.IsInvalid)
        {
            Check(raw.sqlite3_errcode(to), to, target);
        }

        int code;
        do
        {
            code = raw.sqlite3_backup_step(backup, 4096);
        }
        while (code == raw.SQLITE_OK);
        if (code != raw.SQLITE_DONE)
        {
            throw new DqliteException($"'{source}' cannot be imported: {raw.sqlite3_errstr(code).utf8_to_string()}.", code, false, null);
        }

        Check(raw.sqlite3_backup_finish(backup), to, target);
    }

    /// <summary>
    /// The source, to read. A hot journal, or a WAL whose wal-index is gone, can only be played back by a writer: then SQLite does that to a
    /// copy of the files, and the originals stay as they are.
    /// </summary>
    private static sqlite3 OpenSource(string source, string copy)
    {
        var from = Open(source, raw.SQLITE_OPEN_READONLY);
        var code = raw.sqlite3_exec(from, ReadSomething);
        if (code == raw.SQLITE_OK || !NeedsRecovery(raw.sqlite3_extended_errcode(from), source))
        {
            Check(code, from, source);
            return from;
        }

        from.Dispose();
        foreach (var suffix in new[] { "", "-journal", "-wal" })
        {
            if (File.Exists(source + suffix))
            {
                File.Copy(source + suffix, copy + suffix, overwrite: true);
            }
        }

        from = Open(copy, raw.SQLITE_OPEN_READWRITE);
        Check(raw.sqlite3_exec(from, ReadSomething), from, source);
        return from;
    }

    private static bool NeedsRecovery(int code, string source) =>
        (code & 0xff) is raw.SQLITE_READONLY or raw.SQLITE_CANTOPEN && (File.Exists(source + "-journal") || File.Exists(source + "-wal"));

    private static sqlite3 Open(string path, int flags)
    {
        var code = raw.sqlite3_open_v2(path, out var connection, flags, null);
        Check(code, connection, path);
        raw.sqlite3_busy_timeout(connection, 5000);
        return connection;
    }

    private static int QueryNumber(sqlite3 connection, string sql)
    {
        Check(raw.sqlite3_prepare_v2(connection, sql, out var statement), connection, sql);
        using (statement)
        {
            raw.sqlite3_step(statement);
            return raw.sqlite3_column_int(statement, 0);
        }
    }

    private static void Check(int code, sqlite3 connection, string path)
    {
        if (code != raw.SQLITE_OK)
        {
            throw new DqliteException($"'{path}' cannot be imported: {raw.sqlite3_errmsg(connection).utf8_to_string()}.", code, false, null);
        }
    }
}
