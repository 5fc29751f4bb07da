using System.Data;
using Dqlite.Sqlite;

namespace Dqlite.Net.Tests.Data;

internal sealed class TransactionTests : DataFixture
{
    [Test]
    public void A_connection_writes_after_another_one_has_changed_the_schema()
    {
        using var other = Source.OpenConnection();
        Assert.That(Command(other, "INSERT INTO t VALUES (1, 'one')").ExecuteNonQuery(), Is.EqualTo(1));
        Run("CREATE TABLE u (id INTEGER PRIMARY KEY)");
        Assert.That(Command(other, "INSERT INTO t VALUES (2, 'two')").ExecuteNonQuery(), Is.EqualTo(1));
        Run("ALTER TABLE t ADD COLUMN extra DEFAULT 5");
        Assert.That(Command(other, "INSERT INTO t (id) VALUES (3) RETURNING extra").ExecuteScalar(), Is.EqualTo(5));
        Assert.That(CommittedCount(), Is.EqualTo(3));
    }

    [Test]
    public void A_transaction_commits_everything_or_nothing()
    {
        using (var transaction = Connection.BeginTransaction())
        {
            Run("INSERT INTO t VALUES (1, 'a')");
            Run("INSERT INTO t VALUES (2, 'b')");
            Assert.That(CommittedCount(), Is.Zero);
            transaction.Commit();
        }

        using (var transaction = Connection.BeginTransaction())
        {
            Run("INSERT INTO t VALUES (3, 'c')");
        }

        Assert.That(CommittedCount(), Is.EqualTo(2));
        Assert.That(Engine.Drafts, Is.EqualTo(2), "CREATE TABLE and one transaction");
    }

    [Test]
    public void Sql_text_may_begin_and_end_transactions([Values("BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "SAVEPOINT s")] string begin)
    {
        var end = begin.StartsWith("BEGIN", StringComparison.Ordinal) ? "COMMIT" : "RELEASE s";
        Run(begin);
        Run("INSERT INTO t VALUES (1, 'a')");
        Run("INSERT INTO t VALUES (2, 'b')");
        Assert.That(CommittedCount(), Is.Zero);
        Run(end);
        Assert.That(CommittedCount(), Is.EqualTo(2));
        Run(begin);
        Run("INSERT INTO t VALUES (3, 'c')");
        Run("ROLLBACK");
        Assert.That(CommittedCount(), Is.EqualTo(2));
        Assert.That(Run("INSERT INTO t VALUES (3, 'c')"), Is.EqualTo(1));
    }

    [Test]
    public void Savepoints_nest_and_roll_back()
    {
        using var transaction = Connection.BeginTransaction();
        Run("INSERT INTO t VALUES (1, 'a')");
        transaction.Save("one \"quoted\"");
        Run("INSERT INTO t VALUES (2, 'b')");
        transaction.Save("two");
        Run("INSERT INTO t VALUES (3, 'c')");
        transaction.Rollback("two");
        transaction.Release("two");
        Assert.That(Count(), Is.EqualTo(2));
        transaction.Rollback("one \"quoted\"");
        Assert.That(Count(), Is.EqualTo(1));
        transaction.Commit();
        Assert.That(CommittedCount(), Is.EqualTo(1));
    }

    [Test]
    public void A_deferred_transaction_gets_the_right_to_write_when_it_writes()
    {
        using var transaction = Connection.BeginTransaction(deferred: true);
        using var other = Source.OpenConnection();
        Assert.That(Command(other, "INSERT INTO t VALUES (1, 'a')").ExecuteNonQuery(), Is.EqualTo(1));
        Run("INSERT INTO t VALUES (2, 'b')");
        transaction.Commit();
        Assert.That(CommittedCount(), Is.EqualTo(2));
    }

    [Test]
    public void A_deferred_transaction_that_read_upgrades_when_nobody_wrote_since()
    {
        using var transaction = Connection.BeginTransaction(deferred: true);
        Assert.That(Count(), Is.Zero);
        Run("INSERT INTO t VALUES (1, 'a')");
        transaction.Commit();
        Assert.That(CommittedCount(), Is.EqualTo(1));
    }

    [Test]
    public void An_upgrade_after_others_wrote_is_a_transient_conflict_and_frees_the_slot()
    {
        using var other = Source.OpenConnection();
        using (var transaction = Connection.BeginTransaction(deferred: true))
        {
            Assert.That(Count(), Is.Zero);
            Command(other, "INSERT INTO t VALUES (1, 'a')").ExecuteNonQuery();
            Assert.That(
                () => Run("INSERT INTO t VALUES (2, 'b')"),
                Throws.InstanceOf<DqliteException>().With.Property("SqliteExtendedErrorCode").EqualTo(ShimResult.UpgradeConflict).And.Property("IsTransient").True);
            Assert.That(Command(other, "INSERT INTO t VALUES (3, 'c')").ExecuteNonQuery(), Is.EqualTo(1));
            Assert.That(Count(), Is.Zero, "its snapshot stays");
        }

        Assert.That(Count(), Is.EqualTo(2));
    }

    [Test]
    public void A_read_transaction_keeps_its_snapshot_and_needs_no_right_to_write()
    {
        using var other = Source.OpenConnection();
        using var transaction = Connection.BeginTransaction(deferred: true);
        Assert.That(Count(), Is.Zero);
        Command(other, "INSERT INTO t VALUES (1, 'a')").ExecuteNonQuery();
        Assert.That(Count(), Is.Zero);
        transaction.Commit();
        Assert.That(Count(), Is.EqualTo(1));
    }

    [Test]
    public void A_transaction_that_changed_nothing_makes_no_entry()
    {
        var before = Engine.Proposals;
        using (var transaction = Connection.BeginTransaction())
        {
            Assert.That(Count(), Is.Zero);
            transaction.Commit();
        }

        Assert.That(Engine.Proposals, Is.EqualTo(before));
        Assert.That(Run("INSERT INTO t VALUES (1, 'a')"), Is.EqualTo(1), "the slot is free");
    }

    [Test]
    public void A_failed_statement_leaves_the_transaction_open()
    {
        using var transaction = Connection.BeginTransaction();
        Run("INSERT INTO t VALUES (1, 'a')");
        Assert.That(() => Run("INSERT INTO t VALUES (1, 'b')"), Throws.InstanceOf<DqliteException>());
        Run("INSERT INTO t VALUES (2, 'b')");
        transaction.Commit();
        Assert.That(CommittedCount(), Is.EqualTo(2));
    }

    [Test]
    public void A_conflict_that_rolls_back_ends_the_transaction()
    {
        using var transaction = Connection.BeginTransaction();
        Run("INSERT INTO t VALUES (1, 'a')");
        Assert.That(() => Run("INSERT OR ROLLBACK INTO t VALUES (1, 'b')"), Throws.InstanceOf<DqliteException>());
        Assert.That(() => transaction.Commit(), Throws.InvalidOperationException);
        transaction.Rollback();
        Assert.That(CommittedCount(), Is.Zero);
        Assert.That(Run("INSERT INTO t VALUES (1, 'a')"), Is.EqualTo(1));
    }

    [Test]
    public void A_commit_that_fails_on_a_deferred_foreign_key_leaves_the_transaction_open()
    {
        Run("CREATE TABLE c (t INTEGER REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED)");
        using var transaction = Connection.BeginTransaction();
        Run("INSERT INTO c VALUES (1)");
        Assert.That(() => transaction.Commit(), Throws.InstanceOf<DqliteException>().With.Property("SqliteExtendedErrorCode").EqualTo(787));
        Run("INSERT INTO t VALUES (1, 'a')");
        transaction.Commit();
        Assert.That(CommittedCount(), Is.EqualTo(1));
    }

    [Test]
    public async Task A_fence_ends_an_open_write_transaction_before_its_commit()
    {
        var transaction = await Connection.BeginTransactionAsync();
        Run("INSERT INTO t VALUES (1, 'a')");
        Engine.Fence();
        Assert.That(async () => await transaction.CommitAsync(), Throws.InstanceOf<DqliteException>().With.Property("IsTransient").True);
        await transaction.DisposeAsync();
        Engine.Lead();
        Assert.That(CommittedCount(), Is.Zero);
    }

    [Test]
    public void A_commit_of_sql_text_completes_the_transaction_object()
    {
        var transaction = Connection.BeginTransaction();
        Run("INSERT INTO t VALUES (1, 'a')");
        Run("COMMIT");
        Assert.That(() => transaction.Commit(), Throws.InvalidOperationException);
        transaction.Dispose();
        Assert.That(CommittedCount(), Is.EqualTo(1));
    }

    [Test]
    public void The_transaction_of_a_command_must_be_that_of_its_connection()
    {
        using var transaction = Connection.BeginTransaction();
        using var command = new DqliteCommand("SELECT 1", Connection);
        Assert.That(() => command.ExecuteScalar(), Throws.InvalidOperationException);
        command.Transaction = transaction;
        Assert.That(command.ExecuteScalar(), Is.EqualTo(1L));
        Assert.That(() => Connection.BeginTransaction(), Throws.InvalidOperationException);
    }

    [Test]
    public void Isolation_is_serializable_or_refused()
    {
        using (var transaction = Connection.BeginTransaction(IsolationLevel.ReadUncommitted))
        {
            Assert.That(transaction.IsolationLevel, Is.EqualTo(IsolationLevel.Serializable));
        }

        Assert.That(() => Connection.BeginTransaction(IsolationLevel.Chaos), Throws.ArgumentException);
    }

    [Test]
    public void Closing_a_connection_rolls_back()
    {
        using (var other = Source.OpenConnection())
        {
            other.BeginTransaction();
            Command(other, "INSERT INTO t VALUES (1, 'a')").ExecuteNonQuery();
        }

        Assert.That(CommittedCount(), Is.Zero);
        Assert.That(Run("INSERT INTO t VALUES (1, 'a')"), Is.EqualTo(1));
    }

    [Test]
    public void A_reader_that_is_open_does_not_keep_its_connection_from_writing()
    {
        Run("INSERT INTO t VALUES (1, 'a'), (2, 'b')");
        using var reader = Command(Connection, "SELECT id FROM t").ExecuteReader();
        Assert.That(reader.Read(), Is.True);
        Assert.That(Run("UPDATE t SET name = 'x' WHERE id = 1"), Is.EqualTo(1));
        Assert.That(reader.Read(), Is.True);
        Assert.That(CommittedCount(), Is.EqualTo(2));
    }
}
