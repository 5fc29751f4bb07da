namespace Dqlite.Net.Tests.Engine;

/// <summary>Transactions that are larger than an entry: their parts take effect with the last one, or never.</summary>
internal sealed class LargeTransactionTests : EngineFixture
{
    private const int EntryBytes = 64 << 10;
    private const int Rows = 1500;

    /// <summary>Rows of about a page each, so that the transaction has so many parts that something comes between them.</summary>
    private const string Insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) INSERT INTO t SELECT i, randomblob(3500) FROM n";

    [SetUp]
    public void TakeSmallEntries() => Cluster.Configure = options => options with { MaxEntryBytes = EntryBytes, SpillBytes = 256 << 10 };

    [Test]
    public async Task A_transaction_of_many_entries_is_whole_on_every_node_and_after_their_restart()
    {
        var leader = await StartAsync();
        var before = leader.AppliedIndex;
        await RunAsync(await Cluster.OpenOnLeaderAsync(), Insert);
        Assert.That(leader.AppliedIndex, Is.GreaterThan(before + 3), "it has many entries");
        await Cluster.CaughtUpAsync();
        await SameEverywhereAsync(Rows);
        await Cluster.AbortAllAsync();
        for (var i = 0; i < 3; i++)
        {
            await Cluster.StartAsync(i);
        }

        await RunAsync(await Cluster.OpenOnLeaderAsync(), "UPDATE t SET data = NULL WHERE id = 7");
        await Cluster.CaughtUpAsync();
        await SameEverywhereAsync(Rows);
    }

    [Test]
    public async Task Small_changes_of_many_pages_make_few_parts_that_mean_the_same_everywhere_and_after_a_restart()
    {
        var leader = await StartAsync();
        await RunAsync(await Cluster.OpenOnLeaderAsync(), Insert);
        var before = leader.AppliedIndex;
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "UPDATE t SET data = CAST('x' || substr(data, 2) AS BLOB)");
        await EventuallyAsync(() => leader.AppliedIndex >= before + 5, "the parts are applied"); // The client hears of its commit before the index is published.
        await Cluster.CaughtUpAsync();
        Assert.That(leader.AppliedIndex - before, Is.LessThan(40), "whole pages would make 100 entries");
        await SameEverywhereAsync(Rows);
        await Cluster.AbortAllAsync();
        for (var i = 0; i < 3; i++)
        {
            await Cluster.StartAsync(i);
        }

        await Cluster.OpenOnLeaderAsync();
        await Cluster.CaughtUpAsync();
        await SameEverywhereAsync(Rows);
    }

    [Test]
    public async Task A_leader_that_is_killed_between_two_parts_leaves_all_of_the_transaction_or_nothing()
    {
        var leader = await StartAsync();
        for (var kill = 0; kill < 4; kill++)
        {
            await RunAsync(await Cluster.OpenOnLeaderAsync(), "DELETE FROM t");
            await Cluster.CaughtUpAsync();
            leader = await Cluster.LeaderAsync();
            var position = Cluster.PositionOf(leader);
            var parts = leader.AppliedIndex + 4 + (10 * kill);
            var insert = FailureOrNullAsync(RunAsync(await leader.OpenDatabaseAsync("app"), Insert));
            await EventuallyAsync(() => insert.IsCompleted || Cluster.Running.Any(node => node.AppliedIndex > parts), "some parts are committed");
            await Cluster.AbortAsync(position);
            var failure = await InTime(insert);
            var survivor = await Cluster.OpenOnLeaderAsync();
            var count = await ScalarAsync<long>(survivor, "SELECT count(*) FROM t");
            TestContext.Out.WriteLine($"{count} rows, {failure?.GetType().Name ?? "acknowledged"}: {failure?.Message}");
            Assert.That(count, failure is null ? Is.EqualTo(Rows) : failure is DqliteUnknownOutcomeException ? Is.EqualTo(Rows).Or.Zero : Is.Zero);
            await Cluster.StartAsync(position);
            await RunAsync(await Cluster.OpenOnLeaderAsync(), "INSERT INTO t VALUES (100000, NULL)");
            await Cluster.CaughtUpAsync();
            await SameEverywhereAsync(count + 1);
        }
    }

    [Test]
    public async Task A_follower_that_starts_again_between_two_parts_gets_all_of_the_transaction()
    {
        var leader = await StartAsync();
        var follower = await Cluster.FollowerAsync();
        var position = Cluster.PositionOf(follower);
        var parts = leader.AppliedIndex + 5;
        var insert = RunAsync(await Cluster.OpenOnLeaderAsync(), Insert);
        await EventuallyAsync(() => follower.AppliedIndex > parts, "some parts are applied");
        await Cluster.AbortAsync(position);
        await Cluster.StartAsync(position);
        await InTime(insert);
        await Cluster.CaughtUpAsync();
        await SameEverywhereAsync(Rows);
    }

    [Test]
    public async Task Small_transactions_of_another_database_go_on_beside_a_large_one()
    {
        var leader = await StartAsync();
        var small = await Cluster.OpenOnLeaderAsync("small");
        await RunAsync(small, "CREATE TABLE s (id INTEGER PRIMARY KEY)");
        var parts = leader.AppliedIndex + 5;
        var insert = RunAsync(await Cluster.OpenOnLeaderAsync(), Insert);
        await EventuallyAsync(() => leader.AppliedIndex > parts, "some parts are applied");
        var beside = 0;
        while (!insert.IsCompleted)
        {
            await RunAsync(small, "INSERT INTO s DEFAULT VALUES");
            beside++;
        }

        await insert;
        TestContext.Out.WriteLine($"{beside} commits beside it");
        Assert.That(await ScalarAsync<long>(small, "SELECT count(*) FROM s"), Is.EqualTo(beside).And.GreaterThan(0));
        await Cluster.CaughtUpAsync();
        await SameEverywhereAsync(Rows);
    }

    [Test]
    public async Task A_transaction_over_the_bound_fails_without_effect()
    {
        Cluster.Configure = options => options with { MaxEntryBytes = EntryBytes, MaxTransactionBytes = 1 << 20 };
        await StartAsync();
        var source = await Cluster.OpenOnLeaderAsync();
        var failure = await FailureAsync(() => RunAsync(source, Insert));
        Assert.Multiple(async () =>
        {
            Assert.That(failure.SqliteExtendedErrorCode, Is.EqualTo(11274));
            Assert.That(await ScalarAsync<long>(source, "SELECT count(*) FROM t"), Is.Zero);
        });
    }

    private static async Task<Exception?> FailureOrNullAsync(Task<int> work)
    {
        try
        {
            await work;
            return null;
        }
        catch (Exception exception) when (exception is DqliteException or DqliteUnknownOutcomeException)
        {
            return exception;
        }
    }

    private async Task<DqliteNode> StartAsync()
    {
        var leader = await Cluster.FoundAsync(3);
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)");
        await Cluster.CaughtUpAsync();
        return leader;
    }

    private async Task SameEverywhereAsync(long rows)
    {
        var expected = await ScalarAsync<string>(await Cluster.OpenOnLeaderAsync(), "SELECT count(*) || ' ' || total(length(data)) || ' ' || coalesce(max(hex(substr(data, 1, 20))), '') FROM t");
        Assert.That(expected, Does.StartWith($"{rows} "));
        foreach (var node in Cluster.Running)
        {
            var source = await node.OpenDatabaseAsync("app");
            Assert.That(
                await ScalarAsync<string>(source, "SELECT count(*) || ' ' || total(length(data)) || ' ' || coalesce(max(hex(substr(data, 1, 20))), '') FROM t", ReadConsistency.Local),
                Is.EqualTo(expected));
            Assert.That(await ScalarAsync<string>(source, "PRAGMA integrity_check", ReadConsistency.Local), Is.EqualTo("ok"));
        }
    }
}
