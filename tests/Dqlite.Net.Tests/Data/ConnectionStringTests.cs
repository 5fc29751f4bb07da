using System.Data;
using Dqlite.Net.Data;

namespace Dqlite.Net.Tests.Data;

internal sealed class ConnectionStringTests : DataFixture
{
    [Test]
    public void Every_keyword_is_read_and_written()
    {
        const string Text = "Data Source=app;Node=/data;Consistency=Bounded;Max Staleness=00:00:02;Default Timeout=7;Pooling=False;Max Pool Size=5;Foreign Keys=True;Recursive Triggers=False";
        var builder = new DqliteConnectionStringBuilder(Text);
        Assert.Multiple(() =>
        {
            Assert.That(builder.DataSource, Is.EqualTo("app"));
            Assert.That(builder.Node, Is.EqualTo("/data"));
            Assert.That(builder.Consistency, Is.EqualTo(ReadConsistency.Bounded));
            Assert.That(builder.MaxStaleness, Is.EqualTo(TimeSpan.FromSeconds(2)));
            Assert.That(builder.DefaultTimeout, Is.EqualTo(7));
            Assert.That(builder.Pooling, Is.False);
            Assert.That(builder.MaxPoolSize, Is.EqualTo(5));
            Assert.That(builder.ForeignKeys, Is.True);
            Assert.That(builder.RecursiveTriggers, Is.False);
            Assert.That(new DqliteConnectionStringBuilder(builder.ConnectionString).EquivalentTo(builder), Is.True);
            Assert.That(builder.Keys, Has.Count.EqualTo(9));
        });
    }

    [TestCase("Data Source=app;Cache=Shared", "cache")]
    [TestCase("Server=x", "server")]
    [TestCase("Consistency=Sometimes", "Sometimes")]
    [TestCase("Pooling=maybe", "maybe")]
    [TestCase("Default Timeout=-1", "-1")]
    public void What_is_not_understood_is_named(string text, string named) =>
        Assert.That(() => new DqliteConnectionStringBuilder(text), Throws.ArgumentException.With.Message.Contains(named));

    [Test]
    public void A_connection_string_finds_the_database_of_this_process()
    {
        OpenDatabases.Add("/data/node1", Source);
        using var connection = new DqliteConnection("Data Source=app;Node=/data/node1;Consistency=Local;Default Timeout=3");
        connection.Open();
        Assert.Multiple(() =>
        {
            Assert.That(connection.Consistency, Is.EqualTo(ReadConsistency.Local));
            Assert.That(connection.DefaultTimeout, Is.EqualTo(3));
            Assert.That(connection.Database, Is.EqualTo("app"));
            Assert.That(connection.State, Is.EqualTo(ConnectionState.Open));
            Assert.That(Command(connection, "SELECT count(*) FROM t").ExecuteScalar(), Is.Zero);
        });
    }

    [Test]
    public void A_database_that_is_not_open_is_named() =>
        Assert.That(() => new DqliteConnection("Data Source=elsewhere").Open(), Throws.InvalidOperationException.With.Message.Contains("elsewhere"));

    [Test]
    public void A_connection_that_is_not_open_runs_nothing()
    {
        using var connection = Source.CreateConnection();
        Assert.That(() => Command(connection, "SELECT 1").ExecuteScalar(), Throws.InvalidOperationException);
        Assert.That(() => connection.BeginTransaction(), Throws.InvalidOperationException);
    }

    [TestCase("BEGIN", SqlKeyword.Begin)]
    [TestCase(" -- c\n /* d */ begin immediate", SqlKeyword.Begin)]
    [TestCase(";;commit", SqlKeyword.TransactionControl)]
    [TestCase("END", SqlKeyword.TransactionControl)]
    [TestCase("PRAGMA x", SqlKeyword.Pragma)]
    [TestCase("/* never closed", SqlKeyword.Other)]
    [TestCase("BEGINNER", SqlKeyword.Other)]
    [TestCase("detach x", SqlKeyword.Attach)]
    [TestCase("vacuum", SqlKeyword.Vacuum)]
    [TestCase("", SqlKeyword.Other)]
    public void A_statement_is_known_by_its_first_word(string sql, SqlKeyword keyword) => Assert.That(SqlText.KeywordOf(sql), Is.EqualTo(keyword));

    [TestCase("VACUUM", false)]
    [TestCase("VACUUM main", false)]
    [TestCase("VACUUM INTO 'x'", true)]
    [TestCase("VACUUM \"main\" /**/ into 'x'", true)]
    public void A_vacuum_into_is_told_from_a_vacuum(string sql, bool into) => Assert.That(SqlText.IsVacuumInto(sql), Is.EqualTo(into));
}
