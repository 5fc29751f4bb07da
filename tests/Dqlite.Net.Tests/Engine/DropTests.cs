using Dqlite.Net.Engine;

namespace Dqlite.Net.Tests.Engine;

/// <summary>Names that are dropped and taken again.</summary>
internal sealed class DropTests : EngineFixture
{
    [Test]
    public async Task A_drop_that_is_asked_again_leaves_the_new_database_of_that_name()
    {
        await Cluster.FoundAsync(3);
        var leader = await Cluster.LeaderAsync();
        await leader.OpenDatabaseAsync("app");
        var context = await leader.ReadyAsync(CancellationToken.None);
        var request = new LeaderRequest(LeaderOperation.DropDatabase, "app", NodeId: context.Databases.FindPublished("app")!.Id);
        await InTime(context.Requests.AskAsync(request, Patience, CancellationToken.None));
        await RunAsync(await leader.OpenDatabaseAsync("app"), "CREATE TABLE t (id)");

        await InTime(context.Requests.AskAsync(request, Patience, CancellationToken.None));
        Assert.That((await leader.ListDatabasesAsync()).Select(database => database.Name), Is.EqualTo(new[] { "app" }));
        Assert.That(await ScalarAsync<long>(await leader.OpenDatabaseAsync("app"), "SELECT count(*) FROM t"), Is.Zero);
        await InTime(leader.DropDatabaseAsync("app"));
        var failure = await FailureAsync(() => InTime(leader.DropDatabaseAsync("app")));
        Assert.That(failure.Message, Does.Contain("no database named 'app'"));
    }

    [Test]
    public async Task A_name_is_taken_again_while_the_dropped_database_is_under_a_checkpoint()
    {
        // Every look finds a checkpoint due, so drops meet running ones.
        Cluster.Configure = options => options with { CheckpointLogBytes = 1, TickInterval = TimeSpan.FromMilliseconds(1) };
        await Cluster.FoundAsync(3);
        var leader = await Cluster.LeaderAsync();
        for (var round = 0; round < 25; round++)
        {
            var source = await InTime(leader.OpenDatabaseAsync("app"));
            await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)");
            await RunAsync(source, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO t SELECT i, randomblob(3000) FROM n");
            await InTime(leader.DropDatabaseAsync("app"));
        }

        await RunAsync(await InTime(leader.OpenDatabaseAsync("app")), "CREATE TABLE last (id)");
        await Cluster.CaughtUpAsync();
        foreach (var node in Cluster.Running)
        {
            Assert.That(node.Failure, Is.Null);
            Assert.That(await ScalarAsync<long>(await node.OpenDatabaseAsync("app"), "SELECT count(*) FROM last"), Is.Zero);
        }
    }
}
