using Dqlite.Net.Storage;
using Dqlite.Sqlite;
using SQLitePCL;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>What a node opens a database with: its two files, and what NAME.meta says of them.</summary>
internal sealed record DatabaseSample(byte[] Database, byte[] Sums, int PageSize, uint PageCount, ulong Checksum)
{
    /// <summary>Asks SQLite for everything that there is.</summary>
    public const string ReadEverything = "SELECT count(*), sum(length(v)), max(v) FROM t; SELECT count(*) FROM t INDEXED BY i WHERE v > ''; PRAGMA integrity_check";

    private const string Filling =
        "CREATE TABLE t(k INTEGER PRIMARY KEY, v); CREATE INDEX i ON t(v); WITH n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n WHERE x < 60) INSERT INTO t SELECT x, hex(zeroblob(x * 20)) FROM n";

    /// <summary>The checksums of all pages, as they would be stored.</summary>
    public static byte[] SumsOf(byte[] database, byte[] header, int pageSize)
    {
        var writer = new ByteWriter().Bytes(header);
        for (var page = 1; page * pageSize <= database.Length; page++)
        {
            writer.UInt64(PageChecksum.Compute((uint)page, database.AsSpan((page - 1) * pageSize, pageSize)));
        }

        return writer.ToArray();
    }

    /// <summary>Encodes everything.</summary>
    public IEnumerable<byte[]> Encode() =>
        [new ByteWriter().UInt32((uint)PageSize).UInt32(PageCount).UInt64(Checksum).ToArray(), Database, Sums];

    /// <summary>The opposite.</summary>
    public static DatabaseSample Decode(ReadOnlySpan<byte[]> parts)
    {
        var head = new ByteReader(parts[0]);
        return new DatabaseSample(parts[1], parts[2], (int)head.UInt32(), head.UInt32(), head.UInt64());
    }

    /// <summary>Has SQLite write a database through the VFS, and checkpoints it.</summary>
    public static DatabaseSample Write(int pageSize, uint autoVacuum)
    {
        using var writer = new Writer(pageSize, autoVacuum);
        return writer.Run();
    }

    /// <summary>Runs statements on a connection of the VFS to the end of each; errors of SQLite are results too.</summary>
    public static int Execute(string path, string sql)
    {
        var code = sqlite3_open_v2(path, out var connection, SQLITE_OPEN_READWRITE, ShimRuntime.VfsName);
        using (connection)
        {
            return code == SQLITE_OK ? sqlite3_exec(connection, sql) : code;
        }
    }

    private sealed class Writer(int pageSize, uint autoVacuum) : ShimCase
    {
        private readonly string _path = Path.Combine(Directory, "sample.db");
        private readonly string _sumsPath = Path.Combine(Directory, "sample.sums");

        public DatabaseSample Run()
        {
            var checksum = PageDatabase.CreateFiles(_path, _sumsPath, pageSize, autoVacuum);
            using var pages = Open(new PageDatabaseOptions { Path = _path, SumsPath = _sumsPath, PageSize = pageSize, PageCount = 1, Checksum = checksum });
            pages.Lead(1);
            World.ShimDisk.Wait = _ =>
            {
                using var batch = pages.Poll(long.MaxValue);
                pages.Commit(batch?.LsnLast ?? pages.State.DraftLsn);
                return true;
            };
            try
            {
                var code = Execute(_path, Filling);
                Require(code == SQLITE_OK, $"the sample could not be written: code {code}");
            }
            finally
            {
                World.ShimDisk.Wait = null;
            }

            var (pageCount, after) = pages.Checkpoint(pages.State.CommittedLsn);
            pages.CheckpointDone(pages.State.CommittedLsn);
            return new DatabaseSample(Disk.Content(_path)!, Disk.Content(_sumsPath)!, pageSize, pageCount, after);
        }

        public override void Parse() => throw new NotSupportedException();

        public override bool IsRefusal(Exception exception) => false;
    }
}
