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

    private async Task<TagWriters> StartWritersAsync(int nodes = 3)
    {
        await Cluster.FoundAsync(nodes);
        await TagWriters.CreateTableAsync(await Cluster.OpenOnLeaderAsync());
        var writers = new TagWriters(Cluster, Writers);
        writers.Start();
        return writers;
    }
}
