using System.Data.Common;
using Dqlite.Sqlite;

namespace Dqlite.Net.Tests.Data;

/// <summary>Microsoft.Data.Sqlite swallows the failure of a later statement's commit. Every form in which it does so is here.</summary>
internal sealed class LostCommitTests : DataFixture
{
    private const string Later = "SELECT 1; INSERT INTO t VALUES (1, 'a')";

    [TearDown]
    public void Nothing_was_stored()
    {
        Engine.FailNextCommits(0);
        if (!Engine.CanWrite)
        {
            Engine.Lead();
        }

        Assert.That(CommittedCount(), Is.Zero);
    }

    [Test]
    public void ExecuteNonQuery_throws_what_the_commit_of_a_later_statement_failed_with() => AssertLost(sql => Command(Connection, sql).ExecuteNonQuery(), Later);

    [Test]
    public void ExecuteScalar_throws_what_the_commit_of_a_later_statement_failed_with() => AssertLost(sql => Command(Connection, sql).ExecuteScalar(), Later);

    [Test]
    public void NextResult_throws_what_the_commit_of_a_later_statement_failed_with() => AssertLost(
        sql =>
        {
            using var reader = Command(Connection, sql).ExecuteReader();
            reader.NextResult();
        },
        Later);

    [Test]
    public void Dispose_of_a_reader_throws_what_the_commit_of_a_later_statement_failed_with() => AssertLost(
        sql =>
        {
            var reader = Command(Connection, sql).ExecuteReader();
            Assert.That(reader.Read(), Is.True);
            reader.Dispose();
        },
        Later);

    [Test]
    public void DisposeAsync_of_a_reader_throws_what_the_commit_of_a_later_statement_failed_with()
    {
        Engine.FailNextCommits(100);
        Assert.That(
            async () =>
            {
                var reader = await Command(Connection, Later).ExecuteReaderAsync();
                await reader.DisposeAsync();
            },
            Throws.InstanceOf<DqliteException>());
    }

    [Test]
    public void Close_of_the_connection_throws_what_the_commit_of_a_later_statement_failed_with() => AssertLost(
        sql =>
        {
            using var other = Source.OpenConnection();
            Command(other, sql).ExecuteReader();
            other.Close();
        },
        Later);

    [Test]
    public void A_returning_reader_that_is_disposed_early_has_thrown_before() => AssertLost(
        sql =>
        {
            using var reader = Command(Connection, sql).ExecuteReader();
        },
        "INSERT INTO t VALUES (1, 'a') RETURNING id");

    [Test]
    public void A_commit_in_a_script_throws() => AssertLost(
        sql => Command(Connection, sql).ExecuteNonQuery(),
        "BEGIN; INSERT INTO t VALUES (1, 'a'); SELECT 1; INSERT INTO t VALUES (2, 'b'); COMMIT");

    [Test]
    public void A_commit_in_a_script_throws_from_ExecuteScalar() => AssertLost(
        sql => Command(Connection, sql).ExecuteScalar(),
        "BEGIN; INSERT INTO t VALUES (1, 'a'); SELECT 1; INSERT INTO t VALUES (2, 'b'); COMMIT");

    [Test]
    public void A_commit_in_a_script_throws_from_the_dispose_of_the_reader() => AssertLost(
        sql => Command(Connection, sql).ExecuteReader().Dispose(),
        "BEGIN; INSERT INTO t VALUES (1, 'a'); SELECT 1; INSERT INTO t VALUES (2, 'b'); COMMIT");

    [Test]
    public void A_release_that_commits_throws() => AssertLost(
        sql => Command(Connection, sql).ExecuteNonQuery(),
        "SAVEPOINT a; INSERT INTO t VALUES (1, 'a'); RELEASE a");

    [Test]
    public void Commit_of_a_transaction_throws() => AssertLost(
        sql =>
        {
            using var transaction = Connection.BeginTransaction();
            Command(Connection, sql).ExecuteNonQuery();
            transaction.Commit();
        },
        "INSERT INTO t VALUES (1, 'a')");

    [Test]
    public void A_constraint_in_a_later_statement_throws_from_every_form()
    {
        const string Sql = "SELECT 1; INSERT INTO t VALUES (1, 'a'), (1, 'b')";
        Assert.Multiple(() =>
        {
            Assert.That(() => Command(Connection, Sql).ExecuteNonQuery(), Throws.InstanceOf<DqliteException>().With.Property("SqliteErrorCode").EqualTo(19));
            Assert.That(() => Command(Connection, Sql).ExecuteScalar(), Throws.InstanceOf<DqliteException>().With.Property("SqliteErrorCode").EqualTo(19));
            Assert.That(() => Command(Connection, Sql).ExecuteReader().Dispose(), Throws.InstanceOf<DqliteException>().With.Property("SqliteErrorCode").EqualTo(19));
        });
    }

    private void AssertLost(Action<string> run, string sql)
    {
        Engine.FailNextCommits(100);
        Assert.That(
            () => run(sql),
            Throws.InstanceOf<DbException>()
                .With.Property(nameof(DqliteException.SqliteExtendedErrorCode)).EqualTo(ShimResult.LeadershipLost)
                .And.Property(nameof(DbException.IsTransient)).True);
    }
}
