using Dqlite.Sqlite;

namespace Dqlite.Net.Tests.Engine;

/// <summary>A follower that was away.</summary>
internal sealed class CatchUpTests : EngineFixture
{
    private const long SmallBytes = 128 << 10;

    [Test]
    public async Task A_follower_that_was_away_catches_up_from_the_log()
    {
        var away = await FoundAndAbortFollowerAsync();
        var source = await Cluster.OpenOnLeaderAsync();
        for (var i = 0; i < 20; i++)
        {
            await RunAsync(source, $"INSERT INTO t VALUES ({i}, NULL)");
        }

        await Cluster.StartAsync(away);
        await Cluster.CaughtUpAsync();
        Assert.Multiple(async () =>
        {
            Assert.That(await LocalCountAsync(away), Is.EqualTo(20));
            Assert.That(Cluster.Log.Lines(11), Is.Empty, "no snapshot was needed");
        });
    }

    [Test]
    public async Task A_follower_that_the_log_no_longer_reaches_gets_a_snapshot_of_every_database()
    {
        Cluster.Configure = Small;
        var away = await FoundAndAbortFollowerAsync(["kept", "dropped", "again"]);
        var source = await Cluster.OpenOnLeaderAsync();
        var leader = await Cluster.LeaderAsync();
        await RunAsync(await leader.OpenDatabaseAsync("kept"), "CREATE TABLE k (id INTEGER PRIMARY KEY)");
        await leader.DropDatabaseAsync("dropped");
        await leader.DropDatabaseAsync("again");
        await RunAsync(await leader.OpenDatabaseAsync("again"), "CREATE TABLE second (id INTEGER PRIMARY KEY)");
        await RunAsync(await leader.OpenDatabaseAsync("created"), "CREATE TABLE c (id INTEGER PRIMARY KEY)");
        await WriteUntilCompactedAsync(source);

        await Cluster.StartAsync(away);
        await EventuallyAsync(() => Cluster.Log.Lines(11).Any(), "a snapshot is installed");
        await Cluster.CaughtUpAsync();
        await ComparePagesAsync(["again", "app", "created", "kept"]);

        // What was installed is what a restart finds, and what goes on.
        await Cluster.AbortAsync(away);
        await Cluster.StartAsync(away);
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "INSERT INTO t VALUES (1000000, NULL)");
        await Cluster.CaughtUpAsync();
        await ComparePagesAsync(["again", "app", "created", "kept"]);
    }

    [Test]
    public async Task Open_readers_keep_the_old_generation_while_a_snapshot_is_installed()
    {
        Cluster.Configure = Small;
        await Cluster.FoundAsync(3);
        await CreateAsync();
        var follower = await Cluster.FollowerAsync();
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "INSERT INTO t VALUES (1, zeroblob(10000))");
        await Cluster.CaughtUpAsync();
        await using var connection = await (await follower.OpenDatabaseAsync("app")).OpenConnectionAsync();
        connection.Consistency = ReadConsistency.Local;
        await using var transaction = await connection.BeginTransactionAsync(deferred: true);
        Assert.That(await CountAsync(connection, transaction), Is.EqualTo(1));

        await Cluster.CutAsync(follower);
        await WriteUntilCompactedAsync(await (await Cluster.LeaderAsync(node => node != follower)).OpenDatabaseAsync("app"));
        await Cluster.HealAsync();
        await EventuallyAsync(() => Cluster.Log.Lines(11).Any(), "a snapshot is installed");
        await Cluster.CaughtUpAsync();

        Assert.That(await CountAsync(connection, transaction), Is.EqualTo(1), "the open transaction sees what it saw");
        await transaction.RollbackAsync();
        Assert.That(await CountAsync(connection, null), Is.GreaterThan(1), "the next one sees what was installed");
    }

    [Test]
    public async Task A_kill_in_the_middle_of_a_snapshot_is_repeated_after_the_restart()
    {
        Cluster.Configure = Small;
        var away = await FoundAndAbortFollowerAsync();
        var source = await Cluster.OpenOnLeaderAsync();

        // Larger than the window of the stream, so that a kill can come in its middle.
        await RunAsync(source, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) INSERT INTO t SELECT i, zeroblob(4000) FROM n");
        await WriteUntilCompactedAsync(source);
        for (var kill = 0; kill < 3; kill++)
        {
            var sent = Cluster.Log.Lines(7).Count();
            var started = Cluster.StartAsync(away);
            await EventuallyAsync(() => File.Exists(Cluster.DatabasePath(away) + ".new") || Cluster.Log.Lines(11).Any(), "a snapshot arrives");
            await started;
            await Cluster.AbortAsync(away);
            TestContext.Out.WriteLine($"streams before {sent}, installed {Cluster.Log.Lines(11).Count()}");
        }

        await Cluster.StartAsync(away);
        await Cluster.CaughtUpAsync();
        Assert.That(Cluster.Log.Lines(11), Is.Not.Empty, "a snapshot was installed");
        await ComparePagesAsync(["app"]);
    }

    /// <param name="thread">Who is held in the middle of a system call: the sender's thread while it reads, the receiver's while it writes.</param>
    [TestCase("dqlite-send-", ShimOperation.Read)]
    [TestCase("dqlite-install-", ShimOperation.Write)]
    public async Task A_node_has_not_stopped_before_its_threads_of_a_snapshot_stream_have(string thread, object operation)
    {
        var inside = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var goOn = new ManualResetEventSlim();
        ShimFate HoldFirst(ShimCall call)
        {
            if (call.Operation == (ShimOperation)operation && Thread.CurrentThread.Name?.StartsWith(thread, StringComparison.Ordinal) == true && inside.TrySetResult())
            {
                goOn.Wait(Patience);
            }

            return default;
        }

        using var faults = ShimFaults.Install(HoldFirst);
        await using var running = Cluster; // its nodes must end before the faults are taken out, also when an assertion fails
        Cluster.Configure = Small;
        var away = await FoundAndAbortFollowerAsync();
        await WriteUntilCompactedAsync(await Cluster.OpenOnLeaderAsync());
        var leader = Cluster.PositionOf(await Cluster.LeaderAsync());
        await Cluster.StartAsync(away);
        await InTime(inside.Task);

        var stop = Cluster.AbortAsync(thread == "dqlite-send-" ? leader : away);
        var stoppedWhileInside = await Task.WhenAny(stop, Task.Delay(TimeSpan.FromMilliseconds(200))) == stop;
        goOn.Set();
        await InTime(stop);
        Assert.That(stoppedWhileInside, Is.False);
    }

    [Test]
    public async Task A_blank_node_joins_a_cluster_whose_log_no_longer_reaches_back()
    {
        Cluster.Configure = Small;
        await Cluster.FoundAsync(1);
        await CreateAsync();
        await RunAsync(await Cluster.OpenOnLeaderAsync("second"), "CREATE TABLE s (id INTEGER PRIMARY KEY)");
        await WriteUntilCompactedAsync(await Cluster.OpenOnLeaderAsync());
        Cluster.Reserve(1);
        var joined = await Cluster.JoinAsync(1, 0, asVoter: false);
        Assert.That(await ScalarAsync<long>(await InTime(joined.OpenDatabaseAsync("app")), "SELECT count(*) FROM t"), Is.GreaterThan(0), "a member without a vote reads");
        Assert.That(Cluster.Log.Lines(11), Is.Not.Empty, "a snapshot was installed");
        await ComparePagesAsync(["app", "second"]);

        // With its vote it can lead, and the founder follow it.
        await InTime(joined.Cluster.PromoteAsync(joined.Id));
        await InTime(joined.Cluster.TransferLeadershipAsync(joined.Id));
        await RunAsync(await (await Cluster.LeaderAsync(node => node == joined)).OpenDatabaseAsync("app"), "INSERT INTO t VALUES (1000000, NULL)");
        await Cluster.CaughtUpAsync();
        await ComparePagesAsync(["app", "second"]);
    }

    [Test]
    public async Task Snapshots_are_streamed_and_installed_while_writers_go_on()
    {
        Cluster.Configure = Small;
        await Cluster.FoundAsync(3);
        await TagWriters.CreateTableAsync(await Cluster.OpenOnLeaderAsync());
        var writers = new TagWriters(Cluster, 8);
        writers.Start();
        for (var round = 0; round < 3 && writers.Broken.Count == 0; round++)
        {
            var away = Cluster.PositionOf(await Cluster.FollowerAsync());
            writers.OnKill(Cluster[away]);
            await Cluster.AbortAsync(away);
            var (compacted, installed) = (Cluster.Log.Lines(15).Count(), Cluster.Log.Lines(11).Count());
            await EventuallyAsync(() => Cluster.Log.Lines(15).Count() >= compacted + 16 || writers.Broken.Count > 0, "the log is compacted");
            await Cluster.StartAsync(away);
            await EventuallyAsync(() => Cluster.Log.Lines(11).Count() > installed || writers.Broken.Count > 0, "a snapshot is installed");
            await Cluster.CaughtUpAsync();
        }

        await writers.StopAsync();
        await writers.CheckAsync();
        await Cluster.CaughtUpAsync();
        await ComparePagesAsync(["app"]);
    }

    private static DqliteNodeOptions Small(DqliteNodeOptions options) => options with
    {
        SegmentBytes = SmallBytes,
        CheckpointLogBytes = SmallBytes,
        RetainedLogBytes = SmallBytes,
        LogCacheBytes = SmallBytes,
    };

    private static async Task<long> CountAsync(DqliteConnection connection, DqliteTransaction? transaction)
    {
        await using var command = new DqliteCommand("SELECT count(*) FROM t", connection, transaction);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private async Task<long> LocalCountAsync(int position) =>
        await ScalarAsync<long>(await Cluster[position].OpenDatabaseAsync("app"), "SELECT count(*) FROM t", ReadConsistency.Local);

    private async Task CreateAsync() => await RunAsync(await Cluster.OpenOnLeaderAsync(), "CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)");

    private async Task<int> FoundAndAbortFollowerAsync(string[]? others = null)
    {
        await Cluster.FoundAsync(3);
        await CreateAsync();
        foreach (var name in others ?? [])
        {
            await RunAsync(await Cluster.OpenOnLeaderAsync(name), $"CREATE TABLE first_of_{name} (id INTEGER PRIMARY KEY)");
        }

        await Cluster.CaughtUpAsync();
        var away = Cluster.PositionOf(await Cluster.FollowerAsync());
        await Cluster.AbortAsync(away);
        return away;
    }

    private async Task WriteUntilCompactedAsync(DqliteDataSource source)
    {
        var before = Cluster.Log.Lines(15).Count();
        for (var i = 100_000; Cluster.Log.Lines(15).Count() < before + 2; i++)
        {
            Assert.That(i, Is.LessThan(110_000), "the log is compacted");
            await RunAsync(source, $"INSERT INTO t VALUES ({i}, zeroblob(20000))");
        }
    }

    /// <summary>Replicas are byte-identical at the same index.</summary>
    private async Task ComparePagesAsync(string[] names)
    {
        var expected = await ListAsync(await Cluster.LeaderAsync());
        Assert.That(expected.Select(database => database.Name), Is.EqualTo(names));
        foreach (var node in Cluster.Running)
        {
            Assert.That(await ListAsync(node), Is.EqualTo(expected), $"node {node.Id}");
            foreach (var name in names)
            {
                Assert.That(await ScalarAsync<string>(await node.OpenDatabaseAsync(name), "PRAGMA integrity_check"), Is.EqualTo("ok"), $"{name} on node {node.Id}");
            }
        }
    }

    private static async Task<(string Name, long Index, ulong Checksum)[]> ListAsync(DqliteNode node)
    {
        await node.ListDatabasesAsync();
        return await TestCluster.OnLoopAsync(node, context => context.Databases.Published.Select(database => (database.Name, database.AppliedIndex, database.Pages.State.Checksum)).ToArray());
    }
}
