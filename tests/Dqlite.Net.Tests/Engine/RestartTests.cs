using Microsoft.Data.Sqlite;

namespace Dqlite.Net.Tests.Engine;

/// <summary>What a node finds again after a kill or a stop.</summary>
internal sealed class RestartTests : EngineFixture
{
    private const long SmallBytes = 256 << 10;

    [Test]
    public async Task Acknowledged_rows_survive_a_kill_of_the_whole_cluster()
    {
        await Cluster.FoundAsync(3);
        await TagWriters.CreateTableAsync(await Cluster.OpenOnLeaderAsync());
        var writers = new TagWriters(Cluster, 8);
        writers.Start();
        await writers.ProgressAsync(50);
        foreach (var node in Cluster.Running)
        {
            writers.OnKill(node);
        }

        await Cluster.AbortAllAsync();
        for (var i = 0; i < 3; i++)
        {
            await Cluster.StartAsync(i);
        }

        await writers.ProgressAsync(20);
        await writers.StopAsync();
        await writers.CheckAsync();
    }

    [Test]
    public async Task A_cluster_of_one_goes_on_after_stops_and_kills()
    {
        await Cluster.FoundAsync(1);
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        for (var i = 0; i < 6; i++)
        {
            await RunAsync(await Cluster.OpenOnLeaderAsync(), $"INSERT INTO t VALUES ({i})");
            await (i % 2 == 0 ? Cluster.AbortAsync(0) : Cluster.StopAsync(0));
            await Cluster.StartAsync(0);
        }

        Assert.That(await ScalarAsync<long>(await Cluster.OpenOnLeaderAsync(), "SELECT count(*) FROM t"), Is.EqualTo(6));
    }

    [Test]
    public async Task A_node_that_listens_nowhere_needs_a_directory_alone()
    {
        Cluster.Configure = options => options with { Address = "", Members = [] };
        await Cluster.FoundAsync(1);
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        await Cluster.AbortAsync(0);
        await Cluster.StartAsync(0);
        Assert.That(await ScalarAsync<long>(await Cluster.OpenOnLeaderAsync(), "SELECT count(*) FROM t"), Is.Zero);
    }

    [Test]
    public async Task An_endless_load_leaves_the_log_bounded_and_a_kill_replays_from_the_last_checkpoint()
    {
        Cluster.Configure = options => options with { SegmentBytes = SmallBytes, CheckpointLogBytes = SmallBytes, RetainedLogBytes = SmallBytes };
        await Cluster.FoundAsync(1);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)");
        var written = 0;
        long largest = 0;

        // Twelve megabytes of pages and more, in rows that fill one each.
        for (; written < 1500; written++)
        {
            await RunAsync(source, $"INSERT INTO t VALUES ({written}, zeroblob(4000))");
            largest = Math.Max(largest, LogBytes());
        }

        await EventuallyAsync(() => Cluster.Log.Lines(15).Any(), "the log is compacted");
        Assert.That(largest, Is.LessThan(8 << 20), "the log stays bounded under load");
        Assert.That(Cluster.Log.Lines(14).Count(), Is.GreaterThan(1), "checkpoints were made");
        await Cluster.AbortAsync(0);
        await Cluster.StartAsync(0);
        source = await Cluster.OpenOnLeaderAsync();
        Assert.Multiple(async () =>
        {
            Assert.That(await ScalarAsync<long>(source, "SELECT count(*) FROM t WHERE length(data) = 4000"), Is.EqualTo(written));
            Assert.That(await ScalarAsync<string>(source, "PRAGMA integrity_check"), Is.EqualTo("ok"));
        });
    }

    [Test]
    public async Task The_database_of_a_cleanly_stopped_node_is_a_plain_SQLite_file()
    {
        await Cluster.FoundAsync(3);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
        for (var i = 0; i < 50; i++)
        {
            await RunAsync(source, $"INSERT INTO t (name) VALUES ('row {i}')");
        }

        await Cluster.CaughtUpAsync();
        for (var i = 0; i < 3; i++)
        {
            await InTime(Cluster.StopAsync(i));
            using var plain = new SqliteConnection($"Data Source={Cluster.DatabasePath(i)};Mode=ReadOnly;Pooling=False");
            plain.Open();
            using var command = plain.CreateCommand();
            command.CommandText = "SELECT (SELECT integrity_check FROM pragma_integrity_check) || ' ' || count(*) || ' ' || max(name) FROM t";
            Assert.That(command.ExecuteScalar(), Is.EqualTo("ok 50 row 9"), $"node {i}");
        }

        for (var i = 0; i < 3; i++)
        {
            await Cluster.StartAsync(i);
        }

        Assert.That(await ScalarAsync<long>(await Cluster.OpenOnLeaderAsync(), "SELECT count(*) FROM t"), Is.EqualTo(50), "reading the file did not change it");
    }

    private long LogBytes() => new DirectoryInfo(Path.Combine(Cluster.DirectoryOf(0), "log")).GetFiles().Sum(Length);

    /// <summary>Segments are recycled under the listing.</summary>
    private static long Length(FileInfo file)
    {
        try
        {
            return file.Length;
        }
        catch (FileNotFoundException)
        {
            return 0;
        }
    }
}
