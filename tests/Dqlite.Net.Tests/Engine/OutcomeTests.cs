namespace Dqlite.Net.Tests.Engine;

/// <summary>What a client learns about a commit that had no quorum.</summary>
internal sealed class OutcomeTests : EngineFixture
{
    [Test]
    public async Task A_commit_that_timed_out_without_a_quorum_is_unknown_and_its_outcome_can_be_asked_for()
    {
        // Long, so that the leader still leads when the command's time is up.
        Cluster.Configure = options => options with { ElectionTimeout = TimeSpan.FromSeconds(3) };
        var (leader, source) = await FoundAsync();
        await RunAsync(source, "INSERT INTO t VALUES (1)");
        await Cluster.CutAsync(leader);
        var unknown = (DqliteUnknownOutcomeException)await FailureAsync(() => WriteAsync(source, 2, timeoutSeconds: 1));
        Assert.Multiple(() =>
        {
            Assert.That(unknown.IsTransient, Is.False);
            Assert.That(unknown.CommitId, Is.Not.Null);
        });
        var id = CommitId.Parse(unknown.CommitId!.Value.ToString());

        // Nobody can say yet where it was made; the others elect a leader that does not have it.
        var next = await Cluster.LeaderAsync(node => node != leader);
        var elsewhere = await next.OpenDatabaseAsync("app");
        Assert.That(await InTime(elsewhere.GetOutcomeAsync(id)), Is.EqualTo(CommitOutcome.NotCommitted));
        await Cluster.HealAsync();
        await EventuallyAsync(() => leader.Leader?.Id == next.Id, "the old leader follows");
        Assert.That(await InTime(source.GetOutcomeAsync(id)), Is.EqualTo(CommitOutcome.NotCommitted));
        Assert.That(await ScalarAsync<long>(elsewhere, "SELECT count(*) FROM t"), Is.EqualTo(1));
    }

    [Test]
    public async Task A_commit_that_timed_out_and_was_committed_later_is_known_as_committed_on_every_node()
    {
        Cluster.Configure = options => options with { ElectionTimeout = TimeSpan.FromSeconds(3) };
        var (leader, source) = await FoundAsync();
        var frozen = await Task.WhenAll(Cluster.Running.Where(node => node != leader).Select(TestCluster.FreezeAsync));
        var unknown = (DqliteUnknownOutcomeException)await FailureAsync(() => WriteAsync(source, 2, timeoutSeconds: 1));
        Array.ForEach(frozen, node => node.Dispose());
        foreach (var node in Cluster.Running)
        {
            var there = await node.OpenDatabaseAsync("app");
            await EventuallyAsync(async () => await InTime(there.GetOutcomeAsync(unknown.CommitId!.Value)) == CommitOutcome.Committed, $"node {node.Id} knows that it is committed");
            Assert.That(await ScalarAsync<long>(there, "SELECT count(*) FROM t"), Is.EqualTo(1));
        }

        // It stays known across restarts.
        await Cluster.AbortAllAsync();
        for (var i = 0; i < 3; i++)
        {
            await Cluster.StartAsync(i);
        }

        Assert.That(await InTime((await Cluster.OpenOnLeaderAsync()).GetOutcomeAsync(unknown.CommitId!.Value)), Is.EqualTo(CommitOutcome.Committed));
        Assert.That(() => source.GetOutcomeAsync(new CommitId("other", 1, 1)), Throws.ArgumentException);
    }

    [Test]
    public async Task With_both_followers_killed_a_commit_in_flight_is_decided_when_they_are_back()
    {
        var (leader, source) = await FoundAsync();
        var killed = Enumerable.Range(0, 3).Where(i => Cluster[i] != leader).ToArray();
        foreach (var position in killed)
        {
            await Cluster.AbortAsync(position);
        }

        var write = WriteAsync(source, 2, timeoutSeconds: 60);
        await EventuallyAsync(() => !leader.IsLeader, "the leader notices that it has no majority");
        var failure = await FailureAsync(() => WriteAsync(source, 3, timeoutSeconds: 5));
        Assert.That((failure.IsTransient, failure.SqliteExtendedErrorCode), Is.EqualTo((true, 10250)), "a new write is refused before its commit point");

        foreach (var position in killed)
        {
            await Cluster.StartAsync(position);
        }

        // Either way, but definite: this node has lived all the time.
        var committed = true;
        try
        {
            await InTime(write);
        }
        catch (DqliteException exception) when (exception.IsTransient)
        {
            committed = false;
        }

        Assert.That(await ScalarAsync<long>(await Cluster.OpenOnLeaderAsync(), "SELECT count(*) FROM t"), Is.EqualTo(committed ? 1 : 0));
    }

    [Test]
    public async Task A_node_that_stops_tells_waiting_commits_that_their_outcome_is_unknown()
    {
        var (leader, source) = await FoundAsync();
        await Cluster.CutAsync(leader);
        var write = WriteAsync(source, 2, timeoutSeconds: 60);
        await EventuallyAsync(async () => await TestCluster.OnLoopAsync(leader, node => node.Core.LastIndex > node.Core.CommitIndex), "the commit is in the log");
        await InTime(Cluster.AbortAsync(Cluster.PositionOf(leader)));
        var failure = await FailureAsync(() => InTime(write));
        Assert.That(failure, Is.InstanceOf<DqliteUnknownOutcomeException>());
        Assert.That(((DqliteUnknownOutcomeException)failure).CommitId, Is.Not.Null);
    }

    private static async Task WriteAsync(DqliteDataSource source, int id, int timeoutSeconds)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var command = new DqliteCommand($"INSERT INTO t VALUES ({id})", connection) { CommandTimeout = timeoutSeconds };
        await InTime(command.ExecuteNonQueryAsync());
    }

    private async Task<(DqliteNode Leader, DqliteDataSource Source)> FoundAsync()
    {
        await Cluster.FoundAsync(3);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        await Cluster.CaughtUpAsync();
        return (await Cluster.LeaderAsync(), source);
    }
}
