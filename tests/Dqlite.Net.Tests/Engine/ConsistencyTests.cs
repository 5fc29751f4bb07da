using System.Globalization;

namespace Dqlite.Net.Tests.Engine;

/// <summary>How fresh reads are on a node that does not lead.</summary>
internal sealed class ConsistencyTests : EngineFixture
{
    [Test]
    public async Task A_linearizable_read_on_a_follower_sees_a_commit_that_was_acknowledged_just_before()
    {
        var (leader, follower) = await FoundAsync();
        for (var i = 1; i <= 50; i++)
        {
            await RunAsync(leader, $"INSERT INTO t VALUES ({i})");
            Assert.That(await ScalarAsync<long>(follower, "SELECT max(id) FROM t"), Is.EqualTo(i));
        }
    }

    [Test]
    public async Task Without_a_lease_reads_are_linearizable_too()
    {
        Cluster.Configure = options => options with { LeaseDuration = TimeSpan.Zero };
        var (leader, follower) = await FoundAsync();
        for (var i = 1; i <= 20; i++)
        {
            await RunAsync(leader, $"INSERT INTO t VALUES ({i})");
            Assert.That(await ScalarAsync<long>(follower, "SELECT max(id) FROM t"), Is.EqualTo(i));
            Assert.That(await ScalarAsync<long>(leader, "SELECT max(id) FROM t"), Is.EqualTo(i));
        }
    }

    [Test]
    public async Task Every_level_works_on_a_follower()
    {
        var (leader, follower) = await FoundAsync();
        await RunAsync(leader, "INSERT INTO t VALUES (1)");
        await Cluster.CaughtUpAsync();
        foreach (var level in Enum.GetValues<ReadConsistency>())
        {
            await using var connection = await follower.OpenConnectionAsync();
            await using var command = new DqliteCommand("SELECT count(*) FROM t", connection) { Consistency = level, MaxStaleness = TimeSpan.FromSeconds(30) };
            Assert.That(await InTime(command.ExecuteScalarAsync()), Is.EqualTo(1), level.ToString());
        }
    }

    [Test]
    public async Task A_session_token_travels_to_another_node()
    {
        var (leader, follower) = await FoundAsync();
        for (var i = 1; i <= 50; i++)
        {
            await using var writer = await leader.OpenConnectionAsync();
            await using var insert = new DqliteCommand($"INSERT INTO t VALUES ({i})", writer);
            await InTime(insert.ExecuteNonQueryAsync());

            await using var reader = await follower.OpenConnectionAsync();
            reader.Consistency = ReadConsistency.Session;
            reader.SessionToken = writer.SessionToken;
            await using var select = new DqliteCommand("SELECT max(id) FROM t", reader);
            Assert.That(await InTime(select.ExecuteScalarAsync()), Is.EqualTo(i));
        }
    }

    [Test]
    public async Task A_write_on_a_follower_is_refused_and_names_the_leader()
    {
        var (_, follower) = await FoundAsync();
        var failure = await FailureAsync(() => RunAsync(follower, "INSERT INTO t VALUES (1)"));
        Assert.Multiple(async () =>
        {
            Assert.That(failure.IsTransient, Is.True);
            Assert.That(failure.SqliteExtendedErrorCode, Is.EqualTo(10250));
            Assert.That(failure.LeaderAddress, Is.EqualTo((await Cluster.LeaderAsync()).Address));
        });
    }

    [Test]
    public async Task A_leader_that_is_cut_off_refuses_linearizable_reads_and_serves_local_ones()
    {
        var (leader, _) = await FoundAsync();
        await RunAsync(leader, "INSERT INTO t VALUES (1)");
        var cut = await Cluster.LeaderAsync();
        await Cluster.CutAsync(cut);
        var next = await Cluster.LeaderAsync(node => node != cut);
        await RunAsync(await next.OpenDatabaseAsync("app"), "INSERT INTO t VALUES (2)");

        var failure = await FailureAsync(() => ScalarAsync<long>(leader, "SELECT count(*) FROM t"));
        Assert.Multiple(async () =>
        {
            Assert.That(failure.IsTransient, Is.True, failure.Message);
            Assert.That(await ScalarAsync<long>(leader, "SELECT count(*) FROM t", ReadConsistency.Local), Is.EqualTo(1));
        });

        await Cluster.HealAsync();
        await EventuallyAsync(() => cut.Leader?.Id == next.Id, "the cut node knows the new leader");
        Assert.That(await ScalarAsync<long>(leader, "SELECT count(*) FROM t"), Is.EqualTo(2));
    }

    [Test]
    public async Task No_linearizable_read_goes_back_while_leadership_moves()
    {
        var (leader, _) = await FoundAsync();
        await RunAsync(leader, "INSERT INTO t VALUES (0)");
        using var stop = new CancellationTokenSource();
        var acknowledged = 0L;
        var stale = new System.Collections.Concurrent.ConcurrentQueue<string>();
        var readers = Cluster.Running.Select(node => Task.Run(() => ReadAsync(node))).ToArray();
        for (var i = 1; i <= 100; i++)
        {
            await WriteAsync(i);
            Volatile.Write(ref acknowledged, i);
            if (i % 20 == 0)
            {
                await InTime(Cluster.Running.First().Cluster.TransferLeadershipAsync());
            }
        }

        await stop.CancelAsync();
        await InTime(Task.WhenAll(readers));
        Assert.That(stale, Is.Empty);

        async Task WriteAsync(int id)
        {
            await EventuallyAsync(
                async () =>
                {
                    try
                    {
                        await RunAsync(await Cluster.OpenOnLeaderAsync(), string.Create(CultureInfo.InvariantCulture, $"INSERT INTO t VALUES ({id})"));
                        return true;
                    }
                    catch (DqliteException exception) when (exception.IsTransient)
                    {
                        return false;
                    }
                },
                $"row {id} is written");
        }

        async Task ReadAsync(DqliteNode node)
        {
            var source = await node.OpenDatabaseAsync("app");
            while (!stop.IsCancellationRequested)
            {
                var before = Volatile.Read(ref acknowledged);
                try
                {
                    var seen = await ScalarAsync<long>(source, "SELECT max(id) FROM t");
                    if (seen < before)
                    {
                        stale.Enqueue($"Node {node.Id} saw {seen} after {before} was acknowledged.");
                    }
                }
                catch (DqliteException exception) when (exception.IsTransient)
                {
                    // No leader at the moment.
                }
            }
        }
    }

    private async Task<(DqliteDataSource Leader, DqliteDataSource Follower)> FoundAsync()
    {
        await Cluster.FoundAsync(3);
        var leader = await Cluster.OpenOnLeaderAsync();
        await RunAsync(leader, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        var follower = await (await Cluster.FollowerAsync()).OpenDatabaseAsync("app");
        return (leader, follower);
    }
}
