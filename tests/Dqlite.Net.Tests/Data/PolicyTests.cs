using System.Diagnostics;
using System.Diagnostics.Metrics;
using Dqlite.Net.Data;
using Dqlite.Sqlite;

namespace Dqlite.Net.Tests.Data;

/// <summary>What is denied, what needs no right to write, sessions, functions, and what is reported.</summary>
internal sealed class PolicyTests : DataFixture
{
    [Test]
    public void Vacuum_into_is_denied_and_points_to_the_export() =>
        Assert.That(() => Run("/* a */ VACUUM main INTO '/tmp/x.db'"), Throws.InstanceOf<DqliteException>().With.Message.Contains("ExportAsync"));

    [Test]
    public void Vacuum_works()
    {
        Run("INSERT INTO t VALUES (1, 'a')");
        Assert.That(() => Run("VACUUM"), Throws.Nothing);
        Assert.That(CommittedCount(), Is.EqualTo(1));
    }

    [TestCase("ATTACH '' AS a")]
    [TestCase("ATTACH 'other.db' AS a")]
    [TestCase("ATTACH 'file:other.db?vfs=dqlite' AS a")]
    [TestCase("ATTACH $file AS a")]
    public void An_attach_into_the_replicated_vfs_is_denied(string sql) =>
        Assert.That(() => Run(sql, ("$file", "x")), Throws.InstanceOf<DqliteException>().With.Message.Contains("ATTACH"));

    [Test]
    public void A_local_file_may_be_attached_and_written_without_the_right_to_write()
    {
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        Run($"ATTACH 'file:{path}?vfs=unix' AS local");
        Engine.Fence();
        Run("CREATE TABLE local.x (a); INSERT INTO local.x VALUES (1)");
        Assert.That(Scalar("SELECT count(*) FROM local.x"), Is.EqualTo(1L));
        Connection.Close();
        File.Delete(path);
        Connection.Open();
    }

    [Test]
    public void Temporary_tables_need_no_right_to_write()
    {
        Run("INSERT INTO t VALUES (1, 'a')");
        Engine.Fence();
        Run("CREATE TEMP TABLE x (a); INSERT INTO x SELECT id FROM t; UPDATE x SET a = a + 1");
        Assert.That(Scalar("SELECT a FROM x"), Is.EqualTo(2L));
        Assert.That(() => Run("INSERT INTO t SELECT * FROM x"), Throws.InstanceOf<DqliteException>());
    }

    [Test]
    public void A_temporary_trigger_that_writes_to_the_database_needs_the_right_to_write()
    {
        Run("CREATE TEMP TABLE x (a); CREATE TEMP TRIGGER g AFTER INSERT ON x BEGIN INSERT INTO t VALUES (new.a, 'a'); END");
        Assert.That(Run("INSERT INTO x VALUES (5)"), Is.EqualTo(1));
        Assert.That(CommittedCount(), Is.EqualTo(1));
    }

    [TestCase("PRAGMA journal_mode=DELETE", "always in WAL mode")]
    [TestCase("PRAGMA wal_checkpoint", "checkpointed by its node")]
    [TestCase("PRAGMA wal_autocheckpoint=10", "checkpointed by its node")]
    [TestCase("PRAGMA schema_version=5", "schema_version of a replicated database cannot be set")]
    [TestCase("PRAGMA locking_mode=EXCLUSIVE", "cannot be locked exclusively")]
    [TestCase("PRAGMA page_size=1024", "page size of a replicated database is fixed")]
    public void The_shim_denies_a_pragma_with_a_text(string sql, string text) =>
        Assert.That(() => Run(sql), Throws.InstanceOf<DqliteException>().With.Message.Contains(text).And.Property(nameof(DqliteException.SqliteErrorCode)).EqualTo(1));

    [Test]
    public void The_journal_mode_can_be_asked_for_without_the_right_to_write()
    {
        Engine.Fence();
        Assert.That(Scalar("PRAGMA journal_mode"), Is.EqualTo("wal"));
    }

    [Test]
    public void A_pragma_that_writes_is_a_commit()
    {
        Run("PRAGMA user_version=7");
        using var other = Source.OpenConnection();
        Assert.That(Command(other, "PRAGMA user_version").ExecuteScalar(), Is.EqualTo(7L));
    }

    [Test]
    public void Levels_reach_the_engine_from_command_connection_and_data_source()
    {
        Count();
        Assert.That(Engine.LastRead.Level, Is.EqualTo(ReadConsistency.Linearizable));
        Connection.Consistency = ReadConsistency.Session;
        Count();
        Assert.That(Engine.LastRead.Level, Is.EqualTo(ReadConsistency.Session));
        using var command = Command(Connection, "SELECT 1 FROM t");
        command.Consistency = ReadConsistency.Bounded;
        command.MaxStaleness = TimeSpan.FromSeconds(2);
        command.ExecuteScalar();
        Assert.That(Engine.LastRead, Is.EqualTo((ReadConsistency.Bounded, Engine.LastRead.SessionIndex, TimeSpan.FromSeconds(2))));
        using var local = new DqliteDataSource(Engine, new ConnectionSettings { Consistency = ReadConsistency.Local });
        using var connection = local.OpenConnection();
        Command(connection, "SELECT 1 FROM t").ExecuteScalar();
        Assert.That(Engine.LastRead.Level, Is.EqualTo(ReadConsistency.Local));
    }

    [Test]
    public void A_session_token_travels_to_another_session()
    {
        Run("INSERT INTO t VALUES (1, 'a')");
        var token = Connection.SessionToken;
        using var other = Source.OpenConnection();
        other.Consistency = ReadConsistency.Session;
        other.SessionToken = token;
        Command(other, "SELECT 1 FROM t").ExecuteScalar();
        Assert.That(Engine.LastRead.SessionIndex, Is.EqualTo(Engine.AppliedIndex));
        Assert.That(other.SessionToken, Is.EqualTo(token));
        Assert.That(() => other.SessionToken = "rubbish", Throws.InstanceOf<FormatException>());
        Assert.That(() => other.SessionToken = "another:5", Throws.ArgumentException);
    }

    [Test]
    public void Functions_aggregates_and_collations_are_called()
    {
        Connection.CreateFunction("twice", (long a) => a * 2);
        Connection.CreateFunction("state", "s", (string s, string a, int? b) => s + a + (b?.ToString() ?? "null"));
        Connection.CreateFunction("many", (object?[] args) => args.Length);
        Connection.CreateAggregate("longest", "", (string best, string a) => a.Length > best.Length ? a : best);
        Connection.CreateAggregate("mean", (Sum: 0.0, Count: 0), ((double Sum, int Count) a, double v) => (a.Sum + v, a.Count + 1), a => a.Sum / a.Count);
        Connection.CreateCollation("length", (left, right) => left.Length.CompareTo(right.Length));
        Run("INSERT INTO t VALUES (1, 'aaa'), (2, 'b'), (3, 'cc')");
        Assert.Multiple(() =>
        {
            Assert.That(Scalar("SELECT twice(21)"), Is.EqualTo(42L));
            Assert.That(Scalar("SELECT state('a', NULL)"), Is.EqualTo("sanull"));
            Assert.That(Scalar("SELECT many(1, NULL, 'x')"), Is.EqualTo(3L));
            Assert.That(Scalar("SELECT longest(name) FROM t"), Is.EqualTo("aaa"));
            Assert.That(Scalar("SELECT mean(id) FROM t"), Is.EqualTo(2.0));
            Assert.That(Scalar("SELECT group_concat(name) FROM (SELECT name FROM t ORDER BY name COLLATE length)"), Is.EqualTo("b,cc,aaa"));
            Assert.That(() => Scalar("SELECT twice(NULL)"), Throws.InstanceOf<DqliteException>().With.Message.Contains("twice"));
        });
    }

    [Test]
    public void A_function_that_throws_is_an_sql_error()
    {
        Connection.CreateFunction("fail", string () => throw new InvalidOperationException("on purpose"));
        Assert.That(() => Scalar("SELECT fail()"), Throws.InstanceOf<DqliteException>().With.Message.Contains("on purpose"));
        Connection.CreateFunction<string>("fail", (Func<string>?)null);
        Assert.That(() => Scalar("SELECT fail()"), Throws.InstanceOf<DqliteException>().With.Message.Contains("no such function"));
    }

    [Test]
    public void Functions_belong_to_the_connection_also_when_it_is_opened_again()
    {
        using var connection = Source.CreateConnection();
        connection.CreateFunction("one", () => 1);
        connection.Open();
        Assert.That(Command(connection, "SELECT one()").ExecuteScalar(), Is.EqualTo(1L));
        connection.Close();
        using (var other = Source.OpenConnection())
        {
            Assert.That(() => Command(other, "SELECT one()").ExecuteScalar(), Throws.InstanceOf<DqliteException>());
        }

        connection.Open();
        Assert.That(Command(connection, "SELECT one()").ExecuteScalar(), Is.EqualTo(1L));
    }

    [Test]
    public void What_the_initializer_makes_stays_with_the_handle()
    {
        var handles = 0;
        using var source = new DqliteDataSource(Engine, new ConnectionSettings
        {
            HandleInitializer = connection =>
            {
                handles++;
                connection.CreateFunction("init", () => 5);
            },
        });
        for (var i = 0; i < 3; i++)
        {
            using var connection = source.OpenConnection();
            Assert.That(Command(connection, "SELECT init()").ExecuteScalar(), Is.EqualTo(5L));
        }

        Assert.That(handles, Is.EqualTo(1));
    }

    [Test]
    public void Commands_are_reported_to_listeners()
    {
        var activities = new List<Activity>();
        var durations = 0;
        var connections = 0L;
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == Telemetry.Name,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activities.Add,
        };
        ActivitySource.AddActivityListener(listener);
        using var meters = new MeterListener { InstrumentPublished = (instrument, self) => self.EnableMeasurementEvents(instrument) };
        meters.SetMeasurementEventCallback<double>((instrument, _, _, _) => durations += instrument.Name == "db.client.operation.duration" ? 1 : 0);
        meters.SetMeasurementEventCallback<long>((instrument, value, _, _) => connections += instrument.Name == "db.client.connection.count" ? value : 0);
        meters.Start();
        Count();
        Assert.That(() => Run("SELEKT"), Throws.InstanceOf<DqliteException>());
        using (Source.OpenConnection())
        {
            Assert.That(connections, Is.EqualTo(1));
        }

        Assert.Multiple(() =>
        {
            Assert.That(activities.Select(activity => activity.Status), Is.EqualTo(new[] { ActivityStatusCode.Unset, ActivityStatusCode.Error }));
            Assert.That(activities[0].GetTagItem("db.namespace"), Is.EqualTo("app"));
            Assert.That(activities[1].GetTagItem("error.type"), Is.EqualTo("1"));
            Assert.That(durations, Is.EqualTo(2));
            Assert.That(connections, Is.EqualTo(1), "idle now");
        });
    }

    [Test]
    public void A_plain_connection_string_is_one_of_Microsoft_Data_Sqlite()
    {
        var builder = new Microsoft.Data.Sqlite.SqliteConnectionStringBuilder(Source.PlainConnectionString);
        Assert.That(builder.Vfs, Is.EqualTo(ShimRuntime.VfsName));
        Assert.That(builder.DataSource, Is.EqualTo(Engine.Path));
        Run("INSERT INTO t VALUES (1, 'a')");
        using var plain = new Microsoft.Data.Sqlite.SqliteConnection(Source.PlainConnectionString);
        plain.Open();
        using var command = plain.CreateCommand();
        command.CommandText = "INSERT INTO t VALUES (2, 'b'); SELECT count(*) FROM t";
        Assert.That(command.ExecuteScalar(), Is.EqualTo(2L));
        Assert.That(Count(), Is.EqualTo(2));
    }

    [Test]
    public async Task A_write_transaction_that_is_open_for_too_long_is_revoked()
    {
        using var engine = new LocalEngine(TimeSpan.FromMilliseconds(1));
        using var source = new DqliteDataSource(engine);
        await using var holder = await source.OpenConnectionAsync();
        Command(holder, "CREATE TABLE t (id)").ExecuteNonQuery();
        await using var transaction = await holder.BeginTransactionAsync();
        Command(holder, "INSERT INTO t VALUES (1)").ExecuteNonQuery();
        await using var other = await source.OpenConnectionAsync();
        var write = Command(other, "INSERT INTO t VALUES (2)").ExecuteNonQueryAsync();
        var ticket = holder.CurrentSession!.Handle.Vfs.State.HoldsSlot;
        Assert.That(ticket, Is.True);
        Assert.That(engine.RevokeWriter(), Is.True);
        Assert.That(await InTime(write), Is.EqualTo(1));
        Assert.That(
            async () => await transaction.CommitAsync(),
            Throws.InstanceOf<DqliteException>().With.Property("SqliteExtendedErrorCode").EqualTo(ShimResult.SlotRevoked).And.Property("IsTransient").True);
    }
}
