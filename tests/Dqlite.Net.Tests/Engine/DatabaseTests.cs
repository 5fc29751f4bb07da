using Microsoft.Data.Sqlite;

namespace Dqlite.Net.Tests.Engine;

/// <summary>Several databases: created, listed, dropped, imported, exported.</summary>
internal sealed class DatabaseTests : EngineFixture
{
    [Test]
    public async Task A_database_is_created_on_any_node_and_listed_on_all()
    {
        await Cluster.FoundAsync(3);
        for (var i = 0; i < 3; i++)
        {
            await InTime(Cluster[i].OpenDatabaseAsync($"from_{i}", new DqliteDatabaseOptions { PageSize = 1024 << i }));
        }

        foreach (var node in Cluster.Running)
        {
            var listed = await InTime(node.ListDatabasesAsync());
            Assert.That(listed.Select(database => (database.Name, database.PageSize)), Is.EqualTo(new[] { ("from_0", 1024), ("from_1", 2048), ("from_2", 4096) }));
        }

        Assert.That(await Cluster[0].OpenDatabaseAsync("from_0"), Is.SameAs(await Cluster[0].OpenDatabaseAsync("from_0")));
    }

    [Test]
    public async Task Opening_one_name_on_all_nodes_at_once_makes_one_database()
    {
        await Cluster.FoundAsync(3);
        for (var round = 0; round < 5; round++)
        {
            await InTime(Task.WhenAll(Cluster.Running.Concat(Cluster.Running).Select(node => node.OpenDatabaseAsync($"same_{round}"))));
        }

        Assert.That((await Cluster[0].ListDatabasesAsync()).Count, Is.EqualTo(5));

        // The create entries that came second are void, also when a restart reads them again after a drop.
        for (var round = 0; round < 5; round++)
        {
            await InTime(Cluster[round % 3].DropDatabaseAsync($"same_{round}"));
        }

        await RunAsync(await Cluster.OpenOnLeaderAsync("same_0"), "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        await Cluster.AbortAllAsync();
        for (var i = 0; i < 3; i++)
        {
            await Cluster.StartAsync(i);
        }

        await Cluster.LeaderAsync();
        foreach (var node in Cluster.Running)
        {
            Assert.That((await InTime(node.ListDatabasesAsync())).Select(database => database.Name), Is.EqualTo(new[] { "same_0" }), $"node {node.Id}");
            Assert.That(await ScalarAsync<long>(await node.OpenDatabaseAsync("same_0"), "SELECT count(*) FROM t"), Is.Zero);
        }
    }

    [Test]
    public async Task A_dropped_name_can_be_used_again_and_its_old_connections_get_a_clear_error()
    {
        await Cluster.FoundAsync(3);
        var first = await Cluster.OpenOnLeaderAsync();
        await RunAsync(first, "CREATE TABLE first (id INTEGER PRIMARY KEY)");
        await using var open = await first.OpenConnectionAsync();
        await InTime(Cluster[1].DropDatabaseAsync("app"));
        await Cluster.CaughtUpAsync();

        await using var command = new DqliteCommand("SELECT count(*) FROM first", open);
        var failure = await FailureAsync(() => InTime(command.ExecuteScalarAsync()));
        Assert.That(failure.Message, Does.Contain("'app' was dropped"));
        failure = await FailureAsync(() => InTime(Cluster[2].OpenDatabaseAsync("app", new DqliteDatabaseOptions { CreateIfMissing = false })));
        Assert.That(failure.Message, Does.Contain("'app'"));
        failure = await FailureAsync(() => InTime(Cluster[2].DropDatabaseAsync("app")));
        Assert.That(failure.IsTransient, Is.False);

        await RunAsync(await Cluster.OpenOnLeaderAsync(), "CREATE TABLE second (id INTEGER PRIMARY KEY)");
        await Cluster.CaughtUpAsync();
        foreach (var node in Cluster.Running)
        {
            Assert.That(await ScalarAsync<string>(await node.OpenDatabaseAsync("app"), "SELECT group_concat(name) FROM sqlite_schema"), Is.EqualTo("second"));
        }
    }

    [Test]
    public async Task A_drop_under_load_ends_every_writer_with_an_error_of_the_library()
    {
        Cluster.Configure = options => options with { SegmentBytes = 128 << 10, CheckpointLogBytes = 64 << 10, RetainedLogBytes = 64 << 10 };
        await Cluster.FoundAsync(3);
        for (var round = 0; round < 5; round++)
        {
            var source = await Cluster.OpenOnLeaderAsync();
            await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)");
            var written = 0;
            var writers = Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
            {
                while (true)
                {
                    await RunAsync(source, "INSERT INTO t (data) VALUES (zeroblob(3000))");
                    Interlocked.Increment(ref written);
                }
            })).ToArray();
            await EventuallyAsync(() => Volatile.Read(ref written) > 100 || writers.Any(writer => writer.IsCompleted), "rows are written");
            await InTime(Cluster[round % 3].DropDatabaseAsync("app"));
            foreach (var writer in writers)
            {
                Assert.That(await FailureAsync(() => InTime(writer)), Is.Not.InstanceOf<DqliteUnknownOutcomeException>());
            }
        }

        await Cluster.CaughtUpAsync();
        Assert.That(Cluster.Running.Select(node => node.Failure), Is.All.Null);
    }

    [TestCase("")]
    [TestCase("../x")]
    [TestCase("a.b")]
    [TestCase("a/b")]
    [TestCase("-a")]
    [TestCase("ä")]
    [TestCase("a b")]
    [TestCase("0123456789012345678901234567890123456789012345678901234567890123456789")]
    public async Task A_name_that_is_not_allowed_is_an_argument_error(string name)
    {
        await Cluster.FoundAsync(1);
        Assert.Multiple(() =>
        {
            Assert.That(() => Cluster[0].OpenDatabaseAsync(name), Throws.ArgumentException);
            Assert.That(() => Cluster[0].DropDatabaseAsync(name), Throws.ArgumentException);
            Assert.That(() => Cluster[0].ImportAsync(name, "x"), Throws.ArgumentException);
        });
    }

    [TestCase(4096, "WAL")]
    [TestCase(512, "DELETE")]
    [TestCase(65536, "WAL")]
    public async Task A_plain_database_is_imported_with_its_hot_WAL(int pageSize, string journalMode)
    {
        await Cluster.FoundAsync(3);
        var leader = await Cluster.LeaderAsync();
        var path = Path.Combine(Cluster.Root, "plain.db");
        using var plain = CreatePlain(path, pageSize, journalMode, rows: 3000);
        var before = File.Exists(path + "-wal") ? new FileInfo(path + "-wal").Length : 0;

        var source = await InTime(leader.ImportAsync("imported", path));
        await Cluster.CaughtUpAsync();
        Assert.That(journalMode == "WAL", Is.EqualTo(before > 0), "the WAL is hot");
        foreach (var node in Cluster.Running)
        {
            var there = await node.OpenDatabaseAsync("imported");
            Assert.That(await ScalarAsync<long>(there, "SELECT count(*) FROM t WHERE name = 'row ' || id"), Is.EqualTo(3000));
            Assert.That(await ScalarAsync<string>(there, "PRAGMA integrity_check"), Is.EqualTo("ok"));
            Assert.That(await ScalarAsync<long>(there, "PRAGMA page_size"), Is.EqualTo(pageSize));
        }

        await RunAsync(source, "INSERT INTO t (name) VALUES ('after')");
        Assert.That(Directory.GetFiles(Path.GetDirectoryName(Cluster.DatabasePath(Cluster.PositionOf(leader)))!, "*.import*"), Is.Empty);

        var failure = await FailureAsync(() => InTime(leader.ImportAsync("imported", path)));
        Assert.That(failure.Message, Does.Contain("exists already"));
    }

    [Test]
    public async Task Imports_of_one_name_at_the_same_time_leave_one_database_and_all_nodes_alive()
    {
        await Cluster.FoundAsync(3);
        var leader = await Cluster.LeaderAsync();
        var path = Path.Combine(Cluster.Root, "plain.db");
        using (CreatePlain(path, 4096, "DELETE", rows: 5000))
        {
        }

        var imports = Enumerable.Range(0, 4).Select(_ => Task.Run(() => leader.ImportAsync("imported", path))).ToArray();
        await InTime(Task.WhenAll(imports.Select(import => ((Task)import).ContinueWith(_ => { }, TaskScheduler.Default))));
        Assert.That(imports.Count(import => import.IsCompletedSuccessfully), Is.EqualTo(1), string.Join("; ", imports.Select(import => import.Exception?.InnerException?.Message)));
        await Cluster.CaughtUpAsync();
        Assert.That(Cluster.Running.Select(node => node.Failure), Is.All.Null);
        Assert.That(await ScalarAsync<long>(await Cluster.OpenOnLeaderAsync("imported"), "SELECT count(*) FROM t"), Is.EqualTo(5000));
    }

    [Test]
    public async Task An_import_that_its_leader_did_not_end_is_dropped_by_the_next()
    {
        await Cluster.FoundAsync(3);
        var leader = await Cluster.LeaderAsync();
        var path = Path.Combine(Cluster.Root, "plain.db");
        using (CreatePlain(path, 4096, "DELETE", rows: 200_000))
        {
        }

        var import = leader.ImportAsync("imported", path);
        await EventuallyAsync(async () => await TestCluster.OnLoopAsync(leader, node => node.Databases.FindByName("imported")?.AppliedIndex > 0), "the import has begun");
        Assert.That((await leader.ListDatabasesAsync()).Select(database => database.Name), Does.Not.Contain("imported"));
        await Cluster.AbortAsync(Cluster.PositionOf(leader));
        var failure = await FailureAsync(() => InTime(import));
        Assert.That(failure.IsTransient, Is.True, failure.Message);

        var next = await Cluster.LeaderAsync(node => node != leader);
        await EventuallyAsync(async () => await TestCluster.OnLoopAsync(next, node => node.Databases.FindByName("imported") is null), "what has arrived is dropped");
        await InTime(next.ImportAsync("imported", path));
        Assert.That(await ScalarAsync<long>(await next.OpenDatabaseAsync("imported"), "SELECT count(*) FROM t"), Is.EqualTo(200_000));
    }

    [Test]
    public async Task What_cannot_be_imported_says_why()
    {
        await Cluster.FoundAsync(3);
        var leader = await Cluster.LeaderAsync();
        var path = Path.Combine(Cluster.Root, "not.db");
        var failure = await FailureAsync(() => InTime(leader.ImportAsync("x", path)));
        Assert.That(failure.Message, Does.Contain("does not exist"));

        await File.WriteAllTextAsync(path, new string('x', 10_000));
        failure = await FailureAsync(() => InTime(leader.ImportAsync("x", path)));
        Assert.That(failure.Message, Does.Contain("not a database"));

        var follower = await Cluster.FollowerAsync();
        failure = await FailureAsync(() => InTime(follower.ImportAsync("x", path)));
        Assert.That((failure.IsTransient, failure.LeaderAddress), Is.EqualTo((true, leader.Address)));
        Assert.That(await leader.ListDatabasesAsync(), Is.Empty);
    }

    [Test]
    public async Task An_export_while_writes_go_on_is_consistent()
    {
        await Cluster.FoundAsync(1);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB); CREATE TABLE total (n INTEGER); INSERT INTO total VALUES (0)");
        await RunAsync(source, "CREATE TRIGGER counted AFTER INSERT ON t BEGIN UPDATE total SET n = n + 1; END");
        using var stop = new CancellationTokenSource();
        var writer = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await RunAsync(source, "INSERT INTO t (data) VALUES (zeroblob(2000))");
            }
        });
        var path = "";
        for (var i = 0; i < 5; i++)
        {
            path = Path.Combine(Cluster.Root, $"export-{i}.db");
            await InTime(source.ExportAsync(path));
            using var plain = new SqliteConnection($"Data Source={path};Mode=ReadOnly;Pooling=False");
            plain.Open();
            using var command = plain.CreateCommand();
            command.CommandText = "SELECT (SELECT integrity_check FROM pragma_integrity_check) || ' ' || (count(*) = (SELECT n FROM total)) FROM t";
            Assert.That(command.ExecuteScalar(), Is.EqualTo("ok 1"));
        }

        await stop.CancelAsync();
        await InTime(writer);
        Assert.That(() => source.ExportAsync(path), Throws.InstanceOf<IOException>().Or.InstanceOf<DqliteException>(), "a file that exists is not overwritten");
        Assert.That(File.Exists(path), Is.True);
    }

    [Test]
    public async Task A_connection_string_names_a_database_of_a_node_in_this_process()
    {
        await Cluster.FoundAsync(1);
        await RunAsync(await Cluster.OpenOnLeaderAsync("by_name"), "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        await using (var connection = new DqliteConnection("Data Source=by_name"))
        {
            await connection.OpenAsync();
            await using var command = new DqliteCommand("SELECT count(*) FROM t", connection);
            Assert.That(await InTime(command.ExecuteScalarAsync()), Is.Zero);
        }

        await Cluster.StopAsync(0);
        Assert.That(() => new DqliteConnection("Data Source=by_name").Open(), Throws.InvalidOperationException);
    }

    private static SqliteConnection CreatePlain(string path, int pageSize, string journalMode, int rows)
    {
        Dqlite.Sqlite.ShimRuntime.EnsureInitialized();
        var plain = new SqliteConnection($"Data Source={path};Pooling=False");
        plain.Open();
        foreach (var sql in new[]
        {
            $"PRAGMA page_size={pageSize}", $"PRAGMA journal_mode={journalMode}", "PRAGMA wal_autocheckpoint=0", "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)",
            $"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) INSERT INTO t SELECT i, 'row ' || i FROM n",
        })
        {
            using var command = plain.CreateCommand();
            command.CommandText = sql;
            command.ExecuteNonQuery();
        }

        return plain;
    }
}
