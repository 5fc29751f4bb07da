using System.Collections.Concurrent;
using Dqlite.Sqlite;

namespace Dqlite.Net.Tests.Engine;

/// <summary>Disks that fail, and what the application hears of leaders and failures.</summary>
internal sealed class NodeFailureTests : EngineFixture
{
    private const int NoSpace = 28;
    private const int InputOutput = 5;

    [Test]
    public async Task A_failing_flush_of_the_log_stops_the_node_and_the_others_elect_a_leader()
    {
        using var faults = ShimFaults.Install();
        await using var running = Cluster; // its nodes must end before the faults are taken out, also when an assertion fails
        await Cluster.FoundAsync(3);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        await Cluster.CaughtUpAsync();
        var failing = await Cluster.LeaderAsync();
        var heard = new ConcurrentQueue<DqliteLeader?>();
        failing.LeaderChanged += (_, leader) => heard.Enqueue(leader);
        var log = Path.Combine(failing.DataDirectory, "log");
        faults.Fail(ShimOperation.Write, 1, InputOutput, sticky: true, log); // past the page cache a flush is a write
        faults.Fail(ShimOperation.DataSync, 1, InputOutput, sticky: true, log);
        faults.Fail(ShimOperation.Sync, 1, InputOutput, sticky: true, log);

        var write = RunAsync(source, "INSERT INTO t VALUES (1)");
        await EventuallyAsync(() => failing.Failure is not null, "the node stops");
        var next = await Cluster.LeaderAsync(node => node != failing);
        try
        {
            await InTime(write);
        }
        catch (DqliteException exception)
        {
            // The entry may have reached the others before the flush failed; where it did not, nothing happened.
            Assert.That(exception is DqliteUnknownOutcomeException || exception.IsTransient, Is.True, exception.Message);
        }

        Assert.That(failing.Failure!.Message, Does.Contain(log + Path.DirectorySeparatorChar).And.Contain(".segment"), failing.Failure.ToString());
        Assert.That((failing.IsLeader, failing.Leader), Is.EqualTo((false, (DqliteLeader?)null)));
        await EventuallyAsync(() => heard.Count > 0 && heard.Last() is null, "LeaderChanged says that there is no leader");
        Assert.That(async () => await InTime(failing.WaitForLeaderAsync()), Throws.InstanceOf<DqliteException>().With.Message.Contains("stopped"));
        await RunAsync(await next.OpenDatabaseAsync("app"), "INSERT INTO t VALUES (2)");

        // The disk is well again: the node comes back with what it has.
        faults.Clear();
        var position = Cluster.PositionOf(failing);
        await InTime(Cluster.StopAsync(position));
        await Cluster.StartAsync(position);
        await Cluster.CaughtUpAsync();
        Assert.That(await ScalarAsync<long>(await Cluster[position].OpenDatabaseAsync("app"), "SELECT count(*) FROM t WHERE id = 2"), Is.EqualTo(1));
    }

    [Test]
    public async Task A_failing_checkpoint_stops_the_node_and_loses_nothing()
    {
        using var faults = ShimFaults.Install();
        await using var running = Cluster; // its nodes must end before the faults are taken out, also when an assertion fails
        Cluster.Configure = options => options with { SegmentBytes = 128 << 10, CheckpointLogBytes = 64 << 10 };
        await Cluster.FoundAsync(1);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)");
        var node = Cluster[0];
        faults.Fail(ShimOperation.Write, 1, InputOutput, sticky: true, "app.db");
        var written = 0;
        try
        {
            for (; written < 10_000; written++)
            {
                await RunAsync(source, $"INSERT INTO t VALUES ({written}, zeroblob(3000))");
            }
        }
        catch (DqliteException)
        {
            // The node has stopped.
        }

        await EventuallyAsync(() => node.Failure is not null, "the node stops");
        faults.Clear();
        await InTime(Cluster.StopAsync(0));
        await Cluster.StartAsync(0);
        source = await Cluster.OpenOnLeaderAsync();
        Assert.That(await ScalarAsync<long>(source, "SELECT count(*) FROM t"), Is.GreaterThanOrEqualTo(written));
        Assert.That(await ScalarAsync<string>(source, "PRAGMA integrity_check"), Is.EqualTo("ok"));
    }

    [TestCase(ShimOperation.Write, ".meta")]
    [TestCase(ShimOperation.Sync, ".db")]
    public async Task A_polite_stop_whose_last_checkpoint_fails_says_so_and_loses_nothing(object operation, string file)
    {
        using var faults = ShimFaults.Install();
        await using var running = Cluster; // its nodes must end before the faults are taken out, also when an assertion fails
        await Cluster.FoundAsync(1);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
        faults.Fail((ShimOperation)operation, 1, InputOutput, pathPart: file);
        var failure = await FailureAsync(() => InTime(Cluster.StopAsync(0)));
        Assert.That((failure.SqliteErrorCode, failure.IsTransient), Is.EqualTo((10, false)), failure.ToString());
        await Cluster.StartAsync(0);
        Assert.That(await ScalarAsync<long>(await Cluster.OpenOnLeaderAsync(), "SELECT count(*) FROM t"), Is.EqualTo(1));
    }

    [TestCase(ShimOperation.Sync, InputOutput, "metadata", 10)]
    [TestCase(ShimOperation.Write, InputOutput, "metadata", 10)]
    [TestCase(ShimOperation.Allocate, NoSpace, "log", 13)]
    public async Task A_blank_node_whose_disk_fails_refuses_to_start_and_can_be_started_again(object operation, int errno, string file, int code)
    {
        using var faults = ShimFaults.Install();
        await using var running = Cluster; // its nodes must end before the faults are taken out, also when an assertion fails
        Cluster.Reserve(1);
        var refusals = 0;
        while (true)
        {
            faults.Fail((ShimOperation)operation, refusals + 1, errno, pathPart: Path.DirectorySeparatorChar + file);
            try
            {
                await Cluster.StartAsync(0);
                break;
            }
            catch (DqliteException exception)
            {
                Assert.That(exception.SqliteErrorCode, Is.EqualTo(code), exception.ToString());
                refusals++;
            }
        }

        Assert.That(refusals, Is.Positive);
        faults.Clear();
        await Cluster.AbortAsync(0); // the last fault may have come when it ran already
        await Cluster.StartAsync(0);
        await Cluster.LeaderAsync();
    }

    /// <param name="tickMs">Short: writes are refused before the log is full to the last byte, so that nothing waits for room. Long: after.</param>
    [TestCase(1)]
    [TestCase(50)]
    public async Task A_full_disk_of_the_leader_refuses_writes_stops_nobody_and_ends_with_the_shortage(int tickMs)
    {
        using var faults = ShimFaults.Install();
        await using var running = Cluster; // its nodes must end before the faults are taken out, also when an assertion fails
        Cluster.Configure = options => options with { SegmentBytes = 128 << 10, TickInterval = TimeSpan.FromMilliseconds(tickMs) };
        await Cluster.FoundAsync(3);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)");
        await Cluster.CaughtUpAsync();
        var leader = await Cluster.LeaderAsync();
        var term = leader.Leader!.Term;
        faults.Fail(ShimOperation.Allocate, 1, NoSpace, sticky: true, Path.Combine(leader.DataDirectory, "log"));
        DqliteException? failure = null;
        var written = 0;
        while (written < 1000 && failure is null)
        {
            try
            {
                await RunAsync(source, $"INSERT INTO t VALUES ({written}, zeroblob(3000))");
                written++;
            }
            catch (DqliteException exception)
            {
                failure = exception;
            }
        }

        Assert.That(failure, Is.Not.Null, "the disk is full in the end");
        Assert.That((failure!.SqliteErrorCode, failure.IsTransient), Is.EqualTo((13, false)), failure.ToString());
        var another = await FailureAsync(() => RunAsync(source, "INSERT INTO t VALUES (-1, NULL)"));
        Assert.That(another.SqliteErrorCode, Is.EqualTo(13), another.ToString());
        Assert.That(await ScalarAsync<long>(source, "SELECT count(*) FROM t"), Is.EqualTo(written), "reads go on, and what was refused had no effect");
        AssertUnmoved();

        // The same nodes, no restart: the log grows again by itself.
        faults.Clear();
        await EventuallyAsync(
            async () =>
            {
                try
                {
                    await RunAsync(source, "INSERT INTO t VALUES (1000000, NULL)");
                    return true;
                }
                catch (DqliteException exception) when (exception.SqliteErrorCode == 13)
                {
                    return false;
                }
            },
            "writes go on when there is room");
        for (var i = 1; i <= 100; i++)
        {
            await RunAsync(source, $"INSERT INTO t VALUES ({1000000 + i}, zeroblob(3000))");
        }

        AssertUnmoved();
        foreach (var node in Cluster.Running)
        {
            Assert.That(await ScalarAsync<long>(await node.OpenDatabaseAsync("app"), "SELECT count(*) FROM t"), Is.EqualTo(written + 101));
        }

        void AssertUnmoved()
        {
            Assert.That(Cluster.Running.Select(node => node.Failure), Is.All.Null);
            Assert.That(Cluster.Running.Select(node => node.Leader), Is.All.Not.Null.And.All.Property(nameof(DqliteLeader.Id)).EqualTo(leader.Id).And.All.Property(nameof(DqliteLeader.Term)).EqualTo(term), "no election");
        }
    }

    [Test]
    public async Task LeaderChanged_comes_in_order_and_outlives_a_handler_that_throws()
    {
        await Cluster.FoundAsync(3);
        await Cluster.CaughtUpAsync();
        var node = await Cluster.FollowerAsync();
        var heard = new ConcurrentQueue<DqliteLeader?>();
        node.LeaderChanged += (_, leader) =>
        {
            heard.Enqueue(leader);
            throw new InvalidOperationException("A handler of the application.");
        };
        await InTime(node.Cluster.TransferLeadershipAsync(node.Id));
        await EventuallyAsync(() => heard.Any(leader => leader is { IsLocal: true }), "the handler hears that the node leads");
        await InTime(Cluster.StopAsync(Cluster.PositionOf(node)));
        await EventuallyAsync(() => heard.Last() is null, "the handler hears that there is no leader");
        var terms = heard.Where(leader => leader is not null).Select(leader => leader!.Term).ToArray();
        Assert.Multiple(() =>
        {
            Assert.That(terms, Is.Ordered);
            Assert.That(Cluster.Log.Lines(18), Is.Not.Empty, "the handler's failure is logged");
        });
    }

    [Test]
    public async Task Waiting_for_a_leader_ends_with_the_node()
    {
        Cluster.Reserve(3);
        var blank = await Cluster.StartAsync(0);
        var wait = blank.WaitForLeaderAsync();
        var open = blank.OpenDatabaseAsync("app");
        using (var timer = new CancellationTokenSource(TimeSpan.FromMilliseconds(20)))
        {
            Assert.That(async () => await InTime(blank.WaitForLeaderAsync(timer.Token)), Throws.InstanceOf<OperationCanceledException>());
        }

        await InTime(Cluster.StopAsync(0));
        Assert.That(async () => await InTime(wait), Throws.InstanceOf<DqliteException>());
        Assert.That(async () => await InTime(open), Throws.InstanceOf<DqliteException>());
        Assert.That(async () => await InTime(blank.OpenDatabaseAsync("app")), Throws.InstanceOf<DqliteException>());
    }
}
