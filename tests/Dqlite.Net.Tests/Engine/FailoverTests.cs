namespace Dqlite.Net.Tests.Engine;

/// <summary>Leadership goes away under sixteen writers.</summary>
internal sealed class FailoverTests : EngineFixture
{
    private const int Writers = 16;

    /// <summary>With a small log, checkpoints, compaction and snapshots happen between the kills, too.</summary>
    [TestCase(3, false)]
    [TestCase(3, true)]
    [TestCase(5, true)]
    public async Task Twenty_killed_leaders_lose_no_acknowledged_commit_and_repeat_none(int nodes, bool hasSmallLog)
    {
        if (hasSmallLog)
        {
            Cluster.Configure = options => options with { SegmentBytes = 64 << 10, CheckpointLogBytes = 64 << 10, RetainedLogBytes = 32 << 10, LogCacheBytes = 32 << 10 };
        }

        var writers = await StartWritersAsync(nodes);
        for (var kill = 0; kill < 20 && writers.Broken.Count == 0; kill++)
        {
            await writers.ProgressAsync(Writers * 2);
            var leader = await Cluster.LeaderAsync();
            var position = Cluster.PositionOf(leader);
            writers.OnKill(leader);
            await Cluster.AbortAsync(position);
            await writers.ProgressAsync(Writers);
            await Cluster.StartAsync(position);
            await Cluster.CaughtUpAsync();
        }

        await writers.StopAsync();
        TestContext.Out.WriteLine($"{writers.Acknowledged} acknowledged, {writers.UnknownOnKilledNodes} unknown on killed nodes");
        await writers.CheckAsync();
    }

    [Test]
    public async Task Handing_leadership_over_under_load_leaves_no_outcome_unknown()
    {
        var writers = await StartWritersAsync();
        for (var transfer = 0; transfer < 10 && writers.Broken.Count == 0; transfer++)
        {
            await writers.ProgressAsync(Writers * 2);
            await InTime((await Cluster.LeaderAsync()).Cluster.TransferLeadershipAsync());
        }

        await writers.ProgressAsync(Writers);
        await writers.StopAsync();
        await writers.CheckAsync();
    }

    [Test]
    public async Task A_polite_stop_under_load_leaves_no_outcome_unknown()
    {
        var writers = await StartWritersAsync();
        for (var restart = 0; restart < 4 && writers.Broken.Count == 0; restart++)
        {
            await writers.ProgressAsync(Writers * 2);
            var leader = await Cluster.LeaderAsync();
            var position = Cluster.PositionOf(leader);
            await InTime(Cluster.StopAsync(position));
            await writers.ProgressAsync(Writers);
            await Cluster.StartAsync(position);
            await Cluster.CaughtUpAsync();
        }

        await writers.StopAsync();
        await writers.CheckAsync();
    }

    [TestCase(3)]
    [TestCase(5)]
    public async Task Commits_in_flight_on_a_deposed_leader_wait_for_the_log_to_decide(int nodes)
    {
        var writers = await StartWritersAsync(nodes);
        for (var cut = 0; cut < 5 && writers.Broken.Count == 0; cut++)
        {
            await writers.ProgressAsync(Writers * 2);
            var deposed = await Cluster.LeaderAsync();
            await Cluster.CutAsync(deposed);
            await Cluster.LeaderAsync(node => node != deposed);
            await Cluster.HealAsync();
            await writers.ProgressAsync(Writers);
        }

        await writers.StopAsync();
        await writers.CheckAsync();
    }

    [Test]
    public async Task A_commit_lost_at_the_end_of_an_idle_log_is_refused_as_soon_as_the_next_term_begins()
    {
        await Cluster.FoundAsync(3);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        await Cluster.CaughtUpAsync();
        var deposed = await Cluster.LeaderAsync();
        await Cluster.CutAsync(deposed);

        // Several entries, so that the no-op of the next leader takes the index of the first alone.
        var lost = Enumerable.Range(0, 3).Select(i => RunAsync(source, $"INSERT INTO t VALUES ({i})")).ToArray();
        await EventuallyAsync(
            async () => await TestCluster.OnLoopAsync(deposed, node => node.Core.LastIndex > node.Core.CommitIndex), "a commit is in the log of the cut leader");
        await Cluster.LeaderAsync(node => node != deposed);
        await Cluster.HealAsync();
        foreach (var write in lost)
        {
            var failure = await FailureAsync(() => InTime(write));
            Assert.That(failure.IsTransient, Is.True, failure.Message);
        }

        Assert.That(await ScalarAsync<long>(await Cluster.OpenOnLeaderAsync(), "SELECT count(*) FROM t"), Is.Zero);
    }

    [Test]
    public async Task A_transaction_that_is_open_when_leadership_goes_is_refused_and_its_connection_serves_again()
    {
        await Cluster.FoundAsync(3);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        var leader = await Cluster.LeaderAsync();
        await using var connection = await source.OpenConnectionAsync();
        var transaction = await connection.BeginTransactionAsync();
        await using (var insert = new DqliteCommand("INSERT INTO t VALUES (1)", connection, transaction))
        {
            await InTime(insert.ExecuteNonQueryAsync());
        }

        await InTime(leader.Cluster.TransferLeadershipAsync());
        var failure = await FailureAsync(() => InTime(transaction.CommitAsync()));
        Assert.That(failure.IsTransient, Is.True, failure.Message);
        await transaction.DisposeAsync();

        await InTime(leader.Cluster.TransferLeadershipAsync(leader.Id));
        await Cluster.LeaderAsync(node => node == leader);
        await using var again = new DqliteCommand("INSERT INTO t VALUES (2)", connection);
        await InTime(again.ExecuteNonQueryAsync());
        Assert.That(await ScalarAsync<long>(source, "SELECT group_concat(id) = '2' FROM t"), Is.EqualTo(1));
    }

    [Test]
    public async Task Connections_that_outlive_their_node_get_errors_and_can_be_closed()
    {
        await Cluster.FoundAsync(1);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)");
        await using var reading = await source.OpenConnectionAsync();
        await using var select = new DqliteCommand("SELECT id FROM t", reading);
        await using var reader = await select.ExecuteReaderAsync();
        Assert.That(await reader.ReadAsync(), Is.True);
        await using var writing = await source.OpenConnectionAsync();
        await using var transaction = await writing.BeginTransactionAsync();
        await using var insert = new DqliteCommand("INSERT INTO t VALUES (4)", writing, transaction);
        await insert.ExecuteNonQueryAsync();

        await InTime(Cluster.StopAsync(0));
        var failure = await FailureAsync(() => InTime(transaction.CommitAsync()));
        Assert.That(failure.IsTransient, Is.True, failure.Message);
        failure = await FailureAsync(async () =>
        {
            await using var late = new DqliteCommand("SELECT 1 FROM t", writing);
            await InTime(late.ExecuteScalarAsync());
        });
        Assert.That(failure.IsTransient, Is.True, failure.Message);
        await Cluster.StartAsync(0);
        Assert.That(await ScalarAsync<long>(await Cluster.OpenOnLeaderAsync(), "SELECT count(*) FROM t"), Is.EqualTo(3));
    }

    [Test]
    public async Task A_write_transaction_that_keeps_others_waiting_for_too_long_is_revoked()
    {
        Cluster.Configure = options => options with { MaxWriteTransactionHold = TimeSpan.FromMilliseconds(200) };
        await Cluster.FoundAsync(1);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        await using var slow = await source.OpenConnectionAsync();
        await using var transaction = await slow.BeginTransactionAsync();
        await using var insert = new DqliteCommand("INSERT INTO t VALUES (1)", slow, transaction);
        await insert.ExecuteNonQueryAsync();
        await RunAsync(source, "INSERT INTO t VALUES (2)");
        var failure = await FailureAsync(() => InTime(transaction.CommitAsync()));
        Assert.That(failure.SqliteExtendedErrorCode, Is.EqualTo(11530), failure.Message);
        Assert.That(await ScalarAsync<long>(source, "SELECT group_concat(id) = '2' FROM t"), Is.EqualTo(1));
    }

    [Test]
    public async Task A_large_transaction_arrives_whole_on_every_node()
    {
        await Cluster.FoundAsync(3);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)");
        await RunAsync(source, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO t SELECT i, zeroblob(4000) FROM n");
        await Cluster.CaughtUpAsync();
        foreach (var node in Cluster.Running)
        {
            Assert.That(await ScalarAsync<long>(await node.OpenDatabaseAsync("app"), "SELECT sum(length(data)) FROM t"), Is.EqualTo(40_000_000));
        }
    }

    [Test]
    public async Task All_nodes_may_stop_at_once()
    {
        await Cluster.FoundAsync(3);
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        await InTime(Task.WhenAll(Enumerable.Range(0, 3).Select(Cluster.StopAsync)));
        for (var i = 0; i < 3; i++)
        {
            await Cluster.StartAsync(i);
        }

        Assert.That(await ScalarAsync<long>(await Cluster.OpenOnLeaderAsync(), "SELECT count(*) FROM t"), Is.Zero);
    }

    private async Task<TagWriters> StartWritersAsync(int nodes = 3)
    {
        await Cluster.FoundAsync(nodes);
        await TagWriters.CreateTableAsync(await Cluster.OpenOnLeaderAsync());
        var writers = new TagWriters(Cluster, Writers);
        writers.Start();
        return writers;
    }
}
