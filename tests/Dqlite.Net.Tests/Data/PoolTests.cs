using Dqlite.Net.Data;

namespace Dqlite.Net.Tests.Data;

internal sealed class PoolTests : DataFixture
{
    protected override ConnectionSettings Settings => new() { MaxPoolSize = 3, DefaultTimeoutSeconds = 1 };

    [Test]
    public void A_closed_connection_leaves_its_handle_to_the_next()
    {
        DatabaseHandle first;
        using (var connection = Source.OpenConnection())
        {
            first = connection.CurrentSession!.Handle;
        }

        using var next = Source.OpenConnection();
        Assert.That(next.CurrentSession!.Handle, Is.SameAs(first));
    }

    [Test]
    public void The_handle_that_was_returned_last_is_used_first()
    {
        var one = Source.OpenConnection();
        var two = Source.OpenConnection();
        var handle = two.CurrentSession!.Handle;
        one.Close();
        two.Close();
        one.Open();
        Assert.That(one.CurrentSession!.Handle, Is.SameAs(handle));
        one.Dispose();
        two.Dispose();
    }

    [Test]
    public void A_handle_left_inside_a_raw_begin_comes_back_clean()
    {
        using (var connection = Source.OpenConnection())
        {
            Command(connection, "BEGIN IMMEDIATE").ExecuteNonQuery();
            Command(connection, "INSERT INTO t VALUES (1, 'a')").ExecuteNonQuery();
        }

        using var next = Source.OpenConnection();
        Assert.That(next.CurrentSession!.InTransaction, Is.False);
        Assert.That(Command(next, "INSERT INTO t VALUES (1, 'a')").ExecuteNonQuery(), Is.EqualTo(1));
    }

    [TestCase("CREATE TEMP TABLE x (a)")]
    [TestCase("PRAGMA foreign_keys=0")]
    [TestCase("ATTACH ':memory:' AS m")]
    public void A_handle_with_state_of_its_own_is_not_reused(string sql)
    {
        DatabaseHandle first;
        using (var connection = Source.OpenConnection())
        {
            first = connection.CurrentSession!.Handle;
            Command(connection, sql).ExecuteNonQuery();
        }

        using var next = Source.OpenConnection();
        Assert.That(next.CurrentSession!.Handle, Is.Not.SameAs(first));
    }

    [TestCase("PRAGMA foreign_keys")]
    [TestCase("PRAGMA table_info(t)")]
    [TestCase("SELECT 1")]
    public void A_handle_that_was_only_read_with_is_reused(string sql)
    {
        DatabaseHandle first;
        using (var connection = Source.OpenConnection())
        {
            first = connection.CurrentSession!.Handle;
            Command(connection, sql).ExecuteNonQuery();
        }

        using var next = Source.OpenConnection();
        Assert.That(next.CurrentSession!.Handle, Is.SameAs(first));
    }

    [Test]
    public async Task A_full_pool_is_waited_for([Values] bool async)
    {
        var one = Source.OpenConnection();
        using var two = Source.OpenConnection();
        var waiting = async ? Source.OpenConnectionAsync().AsTask() : OnThread(() => Source.OpenConnection());
        Assert.That(waiting.IsCompleted, Is.False);
        one.Dispose();
        (await InTime(waiting)).Dispose();
    }

    [Test]
    public void A_pool_that_stays_full_fails_in_time()
    {
        using var one = Source.OpenConnection();
        using var two = Source.OpenConnection();
        Assert.That(() => Source.OpenConnection(), Throws.InstanceOf<DqliteException>().With.Message.Contains("Max Pool Size").And.Property("IsTransient").True);
        two.Dispose();
        Source.OpenConnection().Dispose();
    }

    [Test]
    public async Task Waiting_for_the_pool_can_be_cancelled()
    {
        using var one = Source.OpenConnection();
        using var two = Source.OpenConnection();
        using var source = new CancellationTokenSource();
        var waiting = Source.OpenConnectionAsync(source.Token).AsTask();
        await source.CancelAsync();
        Assert.That(async () => await InTime(waiting), Throws.InstanceOf<OperationCanceledException>());
        two.Dispose();
        Source.OpenConnection().Dispose();
    }

    [Test]
    public void Disposing_the_data_source_closes_idle_handles_and_used_ones_when_they_come_back()
    {
        var connection = Source.OpenConnection();
        Source.OpenConnection().Dispose();
        Source.Dispose();
        Assert.That(Source.Pool.IdleCount, Is.Zero);
        Assert.That(() => Source.OpenConnection(), Throws.InstanceOf<ObjectDisposedException>());
        connection.Dispose();
        Connection.Dispose();
        Assert.That(Source.Pool.OpenCount, Is.Zero);
    }

    [Test]
    public async Task A_handle_that_saw_a_dropped_schema_change_is_broken_and_not_reused()
    {
        Engine.HoldCommits();
        var connection = Source.OpenConnection();
        var handle = connection.CurrentSession!.Handle;
        var draft = Engine.NextDraft();
        var create = Command(connection, "CREATE TABLE dropped (a)").ExecuteNonQueryAsync();
        await InTime(draft);
        Engine.Fence();
        Assert.That(async () => await InTime(create), Throws.InstanceOf<DqliteException>());
        Engine.Lead();
        Engine.ReleaseCommits();
        Assert.That(connection.State, Is.EqualTo(System.Data.ConnectionState.Broken));
        Assert.That(() => Command(connection, "SELECT 1 FROM t").ExecuteScalar(), Throws.InstanceOf<DqliteException>());
        connection.Close();
        connection.Open();
        Assert.That(connection.CurrentSession!.Handle, Is.Not.SameAs(handle));
        Assert.That(Command(connection, "INSERT INTO t VALUES (1, 'a')").ExecuteNonQuery(), Is.EqualTo(1));
        connection.Dispose();
    }

    [Test]
    public void Settings_of_one_connection_do_not_reach_the_next()
    {
        OpenDatabases.Add("/nowhere", Source);
        using (var connection = new DqliteConnection("Data Source=app;Foreign Keys=False;Recursive Triggers=True"))
        {
            connection.Open();
            Assert.That(Command(connection, "PRAGMA foreign_keys").ExecuteScalar(), Is.EqualTo(0L));
            Assert.That(Command(connection, "PRAGMA recursive_triggers").ExecuteScalar(), Is.EqualTo(1L));
        }

        using var next = Source.OpenConnection();
        Assert.That(Command(next, "PRAGMA foreign_keys").ExecuteScalar(), Is.EqualTo(1L));
        Assert.That(Command(next, "PRAGMA recursive_triggers").ExecuteScalar(), Is.EqualTo(0L));
    }

    [Test]
    public void A_command_finds_its_statement_prepared()
    {
        var cache = Connection.CurrentSession!.Handle.Scripts;
        Run("INSERT INTO t(name) VALUES ($n)", ("$n", "a"));
        var count = cache.Count;
        Run("INSERT INTO t(name) VALUES ($n)", ("$n", "b"));
        Assert.That(cache.Count, Is.EqualTo(count));
        for (var i = 0; i < ScriptCache.Capacity * 2; i++)
        {
            Scalar($"SELECT {i}");
        }

        Assert.That(cache.Count, Is.EqualTo(ScriptCache.Capacity));
    }

    [Test]
    public void A_pragma_takes_effect_each_time()
    {
        Run("PRAGMA foreign_keys=0");
        Run("PRAGMA foreign_keys=1");
        Run("PRAGMA foreign_keys=0");
        Assert.That(Scalar("PRAGMA foreign_keys"), Is.EqualTo(0L));
    }
}
