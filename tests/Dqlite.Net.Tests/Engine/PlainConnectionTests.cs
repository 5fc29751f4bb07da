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
        var frozen = await Task.WhenAll(Cluster.Running.Where(node => node != leader).Select(TestCluster.FreezeAsync));
        var write = RunAsync(source, "INSERT INTO t VALUES (2, 'two')");
        await EventuallyAsync(async () => await TestCluster.OnLoopAsync(leader, node => node.Core.LastIndex > node.Core.CommitIndex), "the commit is in the log");

        // The lease has run out, so the read must ask; it can only end after the followers go on.
        var read = Task.Factory.StartNew(() => Scalar(plain, "SELECT count(*) FROM t"), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        Assert.That(write.IsCompleted, Is.False);
        Array.ForEach(frozen, node => node.Dispose());
        await InTime(write);
        Assert.That(await InTime(read), Is.AnyOf(1L, 2L));
        Assert.That(Scalar(plain, "SELECT count(*) FROM t"), Is.EqualTo(2L));
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
        Cluster.Configure = options => options with { ElectionTimeout = TimeSpan.FromSeconds(3) };
        var (source, _) = await FoundAsync();
        var leader = await Cluster.LeaderAsync();
        var term = leader.Leader!.Term;
        ThreadPool.GetMinThreads(out var minWorkers, out var minIo);
        ThreadPool.GetMaxThreads(out var maxWorkers, out var maxIo);
        var busy = Environment.ProcessorCount * 4;
        try
        {
            Assert.That(ThreadPool.SetMinThreads(Math.Min(minWorkers, busy), minIo) && ThreadPool.SetMaxThreads(busy, maxIo), Is.True);
            var done = new CountdownEvent(busy * 4);
            var failures = new System.Collections.Concurrent.ConcurrentQueue<Exception>();
            for (var i = 0; i < busy * 4; i++)
            {
                ThreadPool.QueueUserWorkItem(id =>
                {
                    try
                    {
                        using var plain = Open(source);
                        Execute(plain, $"INSERT INTO t VALUES ({id}, 'x')");
                    }
                    catch (Exception exception)
                    {
                        failures.Enqueue(exception);
                    }

                    done.Signal();
                }, i, preferLocal: false);
            }

            Assert.That(done.Wait(Patience), Is.True, "all commits complete");
            Assert.That(failures, Is.Empty);
        }
        finally
        {
            ThreadPool.SetMaxThreads(maxWorkers, maxIo);
            ThreadPool.SetMinThreads(minWorkers, minIo);
        }

        Assert.That(leader.Leader!.Term, Is.EqualTo(term));
        Assert.That(await ScalarAsync<long>(source, "SELECT count(*) FROM t"), Is.EqualTo(busy * 4));
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
