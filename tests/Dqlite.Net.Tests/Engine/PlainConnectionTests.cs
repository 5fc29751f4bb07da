using Dapper;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Dqlite.Net.Tests.Engine;

/// <summary>Existing code over Microsoft.Data.Sqlite.</summary>
internal sealed class PlainConnectionTests : EngineFixture
{
    [Test]
    public async Task A_plain_connection_reads_and_writes_on_the_leader()
    {
        var (source, follower) = await FoundAsync();
        using (var plain = Open(source))
        {
            Execute(plain, "INSERT INTO t VALUES (1, 'one')");
            using var transaction = plain.BeginTransaction();
            Execute(plain, "INSERT INTO t VALUES (2, 'two')");
            transaction.Commit();
        }

        Assert.That(await ScalarAsync<long>(source, "SELECT count(*) FROM t"), Is.EqualTo(2));
        Assert.That(await ScalarAsync<long>(follower, "SELECT count(*) FROM t"), Is.EqualTo(2));
        using var again = Open(source);
        Assert.That(Scalar(again, "SELECT group_concat(name) FROM t"), Is.EqualTo("one,two"));
    }

    [Test]
    public async Task Dapper_works_on_a_plain_connection()
    {
        var (source, _) = await FoundAsync();
        using var plain = Open(source);
        plain.Execute("INSERT INTO t VALUES (@Id, @Name)", new[] { new { Id = 1, Name = "one" }, new { Id = 2, Name = "two" } });
        Assert.That(plain.Query<string>("SELECT name FROM t ORDER BY id"), Is.EqualTo(new[] { "one", "two" }));
    }

    [Test]
    public async Task Entity_Framework_works_on_a_plain_connection()
    {
        var (source, follower) = await FoundAsync();
        await using (var context = new RowContext(source.PlainConnectionString))
        {
            context.Rows.Add(new Row { Id = 1, Name = "one" });
            await context.SaveChangesAsync();
            (await context.Rows.SingleAsync()).Name = "changed";
            context.Rows.Add(new Row { Id = 2, Name = "two" });
            await context.SaveChangesAsync();
            Assert.That(await context.Rows.Where(row => row.Name.StartsWith('c')).CountAsync(), Is.EqualTo(1));
        }

        Assert.That(await ScalarAsync<string>(follower, "SELECT group_concat(name) FROM t"), Is.EqualTo("changed,two"));
    }

    [Test]
    public async Task A_plain_connection_never_sees_a_commit_that_is_not_committed_by_the_cluster()
    {
        Cluster.Configure = options => options with { ElectionTimeout = TimeSpan.FromSeconds(5) };
        var (source, _) = await FoundAsync();
        await RunAsync(source, "INSERT INTO t VALUES (1, 'one')");
        var leader = await Cluster.LeaderAsync();
        using var plain = Open(source);
        using var local = new SqliteConnection($"Data Source=file:{Cluster.DatabasePath(Cluster.PositionOf(leader))}?level=local;Vfs=dqlite;Pooling=False");
        local.Open();
        Assert.That(Scalar(local, "SELECT count(*) FROM t"), Is.EqualTo(1L));
        var frozen = await Task.WhenAll(Cluster.Running.Where(node => node != leader).Select(TestCluster.FreezeAsync));
        var write = RunAsync(source, "INSERT INTO t VALUES (2, 'two')");
        await EventuallyAsync(async () => await TestCluster.OnLoopAsync(leader, node => node.Core.LastIndex > node.Core.CommitIndex), "the commit is in the log");
        await EventuallyAsync(async () => await TestCluster.OnLoopAsync(leader, node => node.Core.LeaseDeadlineNs < node.NowNs), "the lease has run out");

        // The commit is in the leader's log and in its page store, and nobody may see it, not even a read that asks nobody.
        Assert.That(Scalar(local, "SELECT count(*) FROM t"), Is.EqualTo(1L));
        using var begun = new ManualResetEventSlim();
        var read = Task.Factory.StartNew(
            () =>
            {
                begun.Set();
                return Scalar(plain, "SELECT count(*) FROM t");
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
        begun.Wait();
        for (var i = 0; i < 100; i++)
        {
            Assert.That(Scalar(local, "SELECT count(*) FROM t"), Is.EqualTo(1L));
            await TestCluster.OnLoopAsync(leader, node => node.NowNs);
        }

        Assert.That((write.IsCompleted, read.IsCompleted), Is.EqualTo((false, false)), "without a majority there is neither a commit nor a linearizable read");
        Assert.That(leader.IsLeader, Is.True);
        Array.ForEach(frozen, node => node.Dispose());
        await InTime(write);
        Assert.That(await InTime(read), Is.AnyOf(1L, 2L), "it began before the commit was acknowledged");
        Assert.That(Scalar(plain, "SELECT count(*) FROM t"), Is.EqualTo(2L));
        await EventuallyAsync(() => Scalar(local, "SELECT count(*) FROM t") is 2L, "a local read sees it, too");
    }

    [Test]
    public async Task A_plain_connection_on_a_follower_reads_and_is_refused_to_write()
    {
        var (source, follower) = await FoundAsync();
        await RunAsync(source, "INSERT INTO t VALUES (1, 'one')");
        await Cluster.CaughtUpAsync();
        using var plain = Open(follower);
        Assert.That(Scalar(plain, "SELECT count(*) FROM t"), Is.EqualTo(1L));
        var failure = Assert.Throws<SqliteException>(() => Execute(plain, "INSERT INTO t VALUES (2, 'two')"))!;
        Assert.That(failure.SqliteExtendedErrorCode, Is.EqualTo(10250));
        Assert.That(Scalar(plain, "SELECT count(*) FROM t"), Is.EqualTo(1L), "the connection goes on");
    }

    [Test]
    public async Task With_every_pool_thread_blocked_in_a_plain_commit_all_complete_and_nobody_is_elected()
    {
        var (source, _) = await FoundAsync();
        var leader = await Cluster.LeaderAsync();
        var term = leader.Leader!.Term;
        var context = await leader.ReadyAsync(CancellationToken.None);
        var busy = Environment.ProcessorCount * 4;
        var connections = Enumerable.Range(0, busy * 4).Select(_ => Open(source)).ToArray();
        ThreadPool.GetMinThreads(out var minWorkers, out var minIo);
        ThreadPool.GetMaxThreads(out var maxWorkers, out var maxIo);
        var frozen = await Task.WhenAll(Cluster.Running.Where(node => node != leader).Select(TestCluster.FreezeAsync));
        try
        {
            // On a thread of its own: the pool has none to spare from here on.
            await Task.Factory.StartNew(BlockThePool, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }
        finally
        {
            ThreadPool.SetMaxThreads(maxWorkers, maxIo);
            ThreadPool.SetMinThreads(minWorkers, minIo);
            Array.ForEach(connections, connection => connection.Dispose());
        }

        Assert.That(Cluster.Running.Select(node => node.Leader), Is.All.Property(nameof(DqliteLeader.Term)).EqualTo(term), "no election");
        Assert.That(await ScalarAsync<long>(source, "SELECT count(*) FROM t"), Is.EqualTo(connections.Length));

        void BlockThePool()
        {
            using var done = new CountdownEvent(connections.Length);
            var failures = new System.Collections.Concurrent.ConcurrentQueue<Exception>();
            var begun = 0;
            Assert.That(ThreadPool.SetMinThreads(Math.Min(minWorkers, busy), minIo) && ThreadPool.SetMaxThreads(busy, maxIo) && ThreadPool.SetMinThreads(busy, minIo), Is.True);
            for (var i = 0; i < connections.Length; i++)
            {
                ThreadPool.QueueUserWorkItem(
                    id =>
                    {
                        Interlocked.Increment(ref begun);
                        try
                        {
                            Execute(connections[id], $"INSERT INTO t VALUES ({id}, 'x')");
                        }
                        catch (Exception exception)
                        {
                            failures.Enqueue(exception);
                        }

                        done.Signal();
                    },
                    i,
                    preferLocal: false);
            }

            // One of them is in the log, where it stays while the followers are frozen; the others wait behind it.
            // The test host may sit on a pool thread for good, so the ones that are left count.
            SpinUntil(() => Volatile.Read(ref begun) > 1 && IsPoolExhausted(), "no pool thread is left");
            SpinUntil(IsCommitPending, "a commit waits for the followers");
            Assert.That(done.CurrentCount, Is.EqualTo(connections.Length), "nothing has completed");
            Array.ForEach(frozen, node => node.Dispose());
            Assert.That(done.Wait(Patience), Is.True, "all commits complete");
            Assert.That(failures, Is.Empty);
        }

        bool IsCommitPending()
        {
            using var answered = new ManualResetEventSlim();
            var isPending = false;
            context.Call((_, _) =>
            {
                isPending = context.Core.LastIndex > context.Core.CommitIndex;
                answered.Set();
            });
            return answered.Wait(Patience) && isPending;
        }

        static bool IsPoolExhausted()
        {
            ThreadPool.GetAvailableThreads(out var workers, out _);
            return workers == 0;
        }

        static void SpinUntil(Func<bool> condition, string what) => Assert.That(SpinWait.SpinUntil(condition, Patience), Is.True, what);
    }

    [Test]
    public async Task A_plain_connection_that_outlives_its_node_gets_an_error()
    {
        var (source, _) = await FoundAsync();
        using var plain = Open(source);
        Assert.That(Scalar(plain, "SELECT count(*) FROM t"), Is.Zero);
        await Cluster.AbortAsync(Cluster.PositionOf(await Cluster.LeaderAsync()));
        Assert.That(() => Scalar(plain, "SELECT count(*) FROM t"), Throws.InstanceOf<SqliteException>().With.Property("SqliteExtendedErrorCode").EqualTo(10250));
    }

    private static SqliteConnection Open(DqliteDataSource source)
    {
        var plain = new SqliteConnection(source.PlainConnectionString);
        plain.Open();
        return plain;
    }

    private static void Execute(SqliteConnection plain, string sql)
    {
        using var command = plain.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static object? Scalar(SqliteConnection plain, string sql)
    {
        using var command = plain.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar();
    }

    private async Task<(DqliteDataSource Leader, DqliteDataSource Follower)> FoundAsync()
    {
        await Cluster.FoundAsync(3);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
        await Cluster.CaughtUpAsync();
        return (source, await (await Cluster.FollowerAsync()).OpenDatabaseAsync("app"));
    }

    private sealed class Row
    {
        public int Id { get; set; }

        public string Name { get; set; } = "";
    }

    private sealed class RowContext(string connectionString) : DbContext
    {
        public DbSet<Row> Rows => Set<Row>();

        protected override void OnConfiguring(DbContextOptionsBuilder optionsBuilder) => optionsBuilder.UseSqlite(connectionString);

        protected override void OnModelCreating(ModelBuilder modelBuilder) => modelBuilder.Entity<Row>(row =>
        {
            row.ToTable("t");
            row.Property(entity => entity.Id).HasColumnName("id").ValueGeneratedNever();
            row.Property(entity => entity.Name).HasColumnName("name");
        });
    }
}
