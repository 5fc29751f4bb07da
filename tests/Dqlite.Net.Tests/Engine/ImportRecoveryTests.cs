using System.Security.Cryptography;
using Microsoft.Data.Sqlite;

namespace Dqlite.Net.Tests.Engine;

/// <summary>Files that their writer left in the middle of something, and what an export is equal to.</summary>
internal sealed class ImportRecoveryTests : EngineFixture
{
    private const int Rows = 2000;

    [Test]
    public async Task A_hot_journal_is_played_back_and_the_source_stays_as_it_was()
    {
        var (path, copy) = (Path.Combine(Cluster.Root, "writer.db"), Path.Combine(Cluster.Root, "left.db"));
        using (var writer = CreatePlain(path, "DELETE"))
        {
            // More pages than the cache holds: they are in the file already, and the journal has what was there before.
            Run(writer, "PRAGMA cache_size=5");
            Run(writer, "BEGIN; UPDATE t SET name = 'not committed ' || id");
            File.Copy(path, copy);
            File.Copy(path + "-journal", copy + "-journal");
            Run(writer, "ROLLBACK");
        }

        var before = (Hash(copy), Hash(copy + "-journal"));
        Assert.That(File.ReadAllText(copy, System.Text.Encoding.Latin1), Does.Contain("not committed"), "the file holds pages of the transaction");
        await ImportAsync(copy);
        Assert.That((Hash(copy), Hash(copy + "-journal")), Is.EqualTo(before));
    }

    [Test]
    public async Task A_WAL_whose_index_is_gone_counts()
    {
        var (path, copy) = (Path.Combine(Cluster.Root, "writer.db"), Path.Combine(Cluster.Root, "left.db"));
        using (CreatePlain(path, "WAL"))
        {
            File.Copy(path, copy);
            File.Copy(path + "-wal", copy + "-wal");
        }

        await ImportAsync(copy);
    }

    [Test]
    public async Task An_export_has_the_bytes_of_the_database_file_of_a_stopped_node()
    {
        await Cluster.FoundAsync(1);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
        await RunAsync(source, "INSERT INTO t (name) VALUES ('a'), ('b')");
        var export = Path.Combine(Cluster.Root, "export.db");
        await InTime(source.ExportAsync(export));
        await InTime(Cluster.StopAsync(0));
        Assert.That(Hash(export), Is.EqualTo(Hash(Cluster.DatabasePath(0))));
    }

    [Test]
    public async Task Connections_of_a_data_source_follow_its_settings()
    {
        await Cluster.FoundAsync(1);
        var node = await Cluster.LeaderAsync();
        var plain = await node.OpenDatabaseAsync("app");
        var made = 0;
        var options = new DqliteDatabaseOptions
        {
            ConnectionString = "Consistency=Local;Max Pool Size=1",
            InitializeConnection = connection =>
            {
                made++;
                connection.CreateFunction("twice", (long value) => value * 2);
            },
        };
        var tuned = await node.OpenDatabaseAsync("app", options);
        Assert.That(tuned, Is.Not.SameAs(plain));
        Assert.That(await node.OpenDatabaseAsync("app", options), Is.SameAs(tuned));
        Assert.That(tuned.DefaultConsistency, Is.EqualTo(ReadConsistency.Local));
        Assert.That(await ScalarAsync<long>(tuned, "SELECT twice(21)"), Is.EqualTo(42));
        Assert.That(await ScalarAsync<long>(tuned, "SELECT twice(4)"), Is.EqualTo(8));
        Assert.That(made, Is.EqualTo(1), "the handle was used again");
        await using (await tuned.OpenConnectionAsync())
        {
            using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));
            Assert.That(async () => await tuned.OpenConnectionAsync(soon.Token), Throws.InstanceOf<OperationCanceledException>(), "the pool holds one connection");
        }

        Assert.That(async () => await node.OpenDatabaseAsync("app", new DqliteDatabaseOptions { ConnectionString = "Data Source=other" }), Throws.ArgumentException);
    }

    [Test]
    public async Task What_the_VFS_refuses_to_open_is_logged_with_the_reason()
    {
        await Cluster.FoundAsync(1);
        await Cluster.OpenOnLeaderAsync();
        using var connection = new SqliteConnection("Data Source=typo.db;Vfs=dqlite;Pooling=False");
        Assert.That(connection.Open, Throws.InstanceOf<SqliteException>().With.Property("SqliteErrorCode").EqualTo(14));
        Assert.That(Cluster.Log.Lines(22), Has.Some.Contains("typo.db").And.Contains("not a replicated database"));
    }

    private static SqliteConnection CreatePlain(string path, string journalMode)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        Dqlite.Sqlite.ShimRuntime.EnsureInitialized();
        var plain = new SqliteConnection($"Data Source={path};Pooling=False");
        plain.Open();
        Run(plain, $"PRAGMA journal_mode={journalMode}; PRAGMA wal_autocheckpoint=0; CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
        Run(plain, $"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {Rows}) INSERT INTO t SELECT i, 'row ' || i FROM n");
        return plain;
    }

    private static void Run(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static string Hash(string path) => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(path)));

    private async Task ImportAsync(string path)
    {
        await Cluster.FoundAsync(1);
        var leader = await Cluster.LeaderAsync();
        var source = await InTime(leader.ImportAsync("imported", path));
        Assert.That(await ScalarAsync<long>(source, "SELECT count(*) FROM t WHERE name = 'row ' || id"), Is.EqualTo(Rows));
        Assert.That(await ScalarAsync<string>(source, "PRAGMA integrity_check"), Is.EqualTo("ok"));
        Assert.That(Directory.GetFiles(Path.GetDirectoryName(Cluster.DatabasePath(0))!, "*.import*"), Is.Empty);
    }
}
