using System.Data;
using System.Data.Common;
using Dapper;
using Microsoft.Data.Sqlite;

namespace Dqlite.Net.Tests.Data;

/// <summary>Commands, readers, parameters and their errors, beside those of Microsoft.Data.Sqlite.</summary>
internal sealed class ReaderTests : DataFixture
{
    private const string Table = "CREATE TABLE m (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(20) NOT NULL UNIQUE, price DECIMAL(10,2), data BLOB, weight REAL, other)";

    [TestCase("CREATE TABLE x (a)")]
    [TestCase("INSERT INTO p VALUES (1), (2)")]
    [TestCase("INSERT INTO p VALUES (1); INSERT INTO p VALUES (2), (3)")]
    [TestCase("UPDATE p SET a = 2 WHERE a = 99")]
    [TestCase("SELECT 1")]
    [TestCase("SELECT 1; DELETE FROM p")]
    [TestCase("INSERT INTO p VALUES (1); SELECT 1")]
    [TestCase("-- nothing")]
    [TestCase("")]
    [TestCase("BEGIN; ROLLBACK")]
    public void ExecuteNonQuery_counts_as_Microsoft_Data_Sqlite_does(string sql)
    {
        using var reference = Reference("CREATE TABLE p (a)");
        Run("CREATE TABLE p (a)");
        using var theirs = new SqliteCommand(sql, reference);
        Assert.That(Run(sql), Is.EqualTo(theirs.ExecuteNonQuery()));
    }

    [TestCase("SELECT 1, 2")]
    [TestCase("SELECT 1 WHERE 0")]
    [TestCase("SELECT NULL")]
    [TestCase("CREATE TABLE IF NOT EXISTS p (a); SELECT 7")]
    [TestCase("INSERT INTO p VALUES (5) RETURNING a")]
    [TestCase("PRAGMA user_version")]
    [TestCase("VALUES ('a'), ('b')")]
    public void ExecuteScalar_gives_what_Microsoft_Data_Sqlite_gives(string sql)
    {
        using var reference = Reference("CREATE TABLE p (a)");
        Run("CREATE TABLE p (a)");
        using var theirs = new SqliteCommand(sql, reference);
        Assert.That(Scalar(sql), Is.EqualTo(theirs.ExecuteScalar()));
    }

    [Test]
    public void A_reader_walks_over_results_and_rows()
    {
        using var reader = Command(Connection, "SELECT 1 AS a UNION ALL SELECT 2; INSERT INTO t VALUES (1, 'x'); SELECT 'z' AS b WHERE 0; SELECT 3").ExecuteReader();
        Assert.That(reader.HasRows && reader.FieldCount == 1 && reader.GetName(0) == "a", Is.True);
        Assert.That(() => reader.GetValue(0), Throws.InvalidOperationException);
        Assert.That(reader.Read() && reader.GetInt32(0) == 1 && reader.Read() && (long)reader["A"] == 2 && !reader.Read() && !reader.Read(), Is.True);
        Assert.That(reader.NextResult() && !reader.HasRows && !reader.Read() && reader.GetOrdinal("b") == 0, Is.True);
        Assert.That(reader.RecordsAffected, Is.EqualTo(1));
        Assert.That(reader.NextResult() && reader.Read() && reader.GetInt32(0) == 3, Is.True);
        Assert.That(reader.NextResult(), Is.False);
        reader.Close();
        Assert.That(reader.IsClosed, Is.True);
        Assert.That(() => reader.Read(), Throws.InvalidOperationException);
    }

    [Test]
    public void A_reader_that_is_closed_early_runs_the_rest()
    {
        Command(Connection, "SELECT 1; INSERT INTO t VALUES (1, 'x'); SELECT 2; INSERT INTO t VALUES (2, 'y')").ExecuteReader().Close();
        Assert.That(CommittedCount(), Is.EqualTo(2));
    }

    [Test]
    public void A_reader_closes_its_connection_when_it_is_told_to()
    {
        using var connection = Source.OpenConnection();
        using (Command(connection, "SELECT 1").ExecuteReader(CommandBehavior.CloseConnection))
        {
        }

        Assert.That(connection.State, Is.EqualTo(ConnectionState.Closed));
    }

    [Test]
    public void A_command_has_one_reader_at_a_time()
    {
        using var command = Command(Connection, "SELECT 1");
        using (command.ExecuteReader())
        {
            Assert.That(() => command.ExecuteReader(), Throws.InvalidOperationException);
            Assert.That(() => command.CommandText = "SELECT 2", Throws.InvalidOperationException);
        }

        Assert.That(command.ExecuteScalar(), Is.EqualTo(1L));
    }

    [Test]
    public void Two_commands_may_read_the_same_sql_at_once()
    {
        Run("INSERT INTO t VALUES (1, 'a'), (2, 'b')");
        using var one = Command(Connection, "SELECT id FROM t ORDER BY id").ExecuteReader();
        using var two = Command(Connection, "SELECT id FROM t ORDER BY id").ExecuteReader();
        Assert.That(one.Read() && two.Read() && one.Read() && one.GetInt64(0) == 2 && two.GetInt64(0) == 1, Is.True);
    }

    [Test]
    public async Task Everything_works_asynchronously()
    {
        await using var reader = await Command(Connection, "SELECT 1 UNION SELECT 2; SELECT 'a'").ExecuteReaderAsync();
        Assert.That(await reader.ReadAsync() && await reader.ReadAsync() && !await reader.ReadAsync(), Is.True);
        Assert.That(await reader.NextResultAsync() && await reader.ReadAsync(), Is.True);
        Assert.That(await reader.GetFieldValueAsync<string>(0), Is.EqualTo("a"));
        Assert.That(await reader.IsDBNullAsync(0), Is.False);
    }

    [TestCase("$a", "$a")]
    [TestCase("@a", "@a")]
    [TestCase(":a", ":a")]
    [TestCase("$a", "a")]
    [TestCase("@a", "a")]
    [TestCase(":a", "a")]
    [TestCase("?", "")]
    [TestCase("?1", "")]
    [TestCase("?1", "?1")]
    public void A_parameter_may_have_the_prefix_of_the_sql_or_none(string inSql, string name) =>
        Assert.That(Scalar($"SELECT {inSql}", (name, 5)), Is.EqualTo(5L));

    [Test]
    public void Positional_parameters_are_taken_in_order() => Assert.That(Scalar("SELECT ? || ? || ?2", ("", "a"), ("", "b")), Is.EqualTo("abb"));

    [Test]
    public void A_parameter_may_be_used_by_several_statements_and_one_that_is_not_used_is_ignored() =>
        Assert.That(Run("INSERT INTO t VALUES ($a, $a); UPDATE t SET name = $b WHERE id = $a", ("$a", 5), ("$b", "x"), ("$c", 1)), Is.EqualTo(2));

    [Test]
    public void A_missing_parameter_is_named() =>
        Assert.That(() => Scalar("SELECT $a, $b", ("$a", 1)), Throws.InvalidOperationException.With.Message.Contains("$b").And.Message.Not.Contains("$a"));

    [Test]
    public void A_parameter_without_value_is_refused()
    {
        using var command = Command(Connection, "SELECT $a");
        command.Parameters.Add("$a", DqliteType.Text);
        Assert.That(() => command.ExecuteScalar(), Throws.InvalidOperationException.With.Message.EqualTo("Value must be set."));
    }

    [Test]
    public void A_parameter_is_cut_to_its_size()
    {
        using var command = Command(Connection, "SELECT $a", ("$a", "abcdef"));
        command.Parameters[0].Size = 3;
        Assert.That(command.ExecuteScalar(), Is.EqualTo("abc"));
    }

    [Test]
    public void Parameters_change_between_executions()
    {
        using var command = Command(Connection, "INSERT INTO t(name) VALUES ($n)", ("$n", "a"));
        command.Prepare();
        command.ExecuteNonQuery();
        command.Parameters["$n"].Value = "b";
        command.ExecuteNonQuery();
        Assert.That(Scalar("SELECT group_concat(name) FROM t"), Is.EqualTo("a,b"));
    }

    [TestCase("INSERT INTO absent VALUES (1)")]
    [TestCase("SELEKT")]
    [TestCase("INSERT INTO u VALUES (1), (1)")]
    [TestCase("SELECT abs(-9223372036854775808)")]
    [TestCase("INSERT INTO u VALUES (NULL)")]
    [TestCase("COMMIT")]
    public void Errors_are_those_of_Microsoft_Data_Sqlite(string sql)
    {
        using var reference = Reference("CREATE TABLE u (a NOT NULL UNIQUE)");
        Run("CREATE TABLE u (a NOT NULL UNIQUE)");
        using var command = new SqliteCommand(sql, reference);
        var theirs = Assert.Throws<SqliteException>(() => command.ExecuteNonQuery())!;
        var ours = Assert.Throws<DqliteException>(() => Run(sql))!;
        Assert.Multiple(() =>
        {
            Assert.That(ours.Message, Is.EqualTo(theirs.Message));
            Assert.That(ours.SqliteErrorCode, Is.EqualTo(theirs.SqliteErrorCode));
            Assert.That(ours.SqliteExtendedErrorCode, Is.EqualTo(theirs.SqliteExtendedErrorCode));
            Assert.That(ours.IsTransient, Is.False);
        });
    }

    [TestCase("SELECT id, name AS n, price, data, weight, other, 1 + 1 AS e, count(*) OVER () FROM m")]
    [TestCase("SELECT * FROM (SELECT id, name FROM m)")]
    public void The_schema_of_a_result_is_that_of_Microsoft_Data_Sqlite(string sql)
    {
        const string Row = "; INSERT INTO m VALUES (1, 'n', '1.5', x'01', 2.5, 'o')";
        using var reference = Reference(Table + Row);
        Run(Table + Row);
        using var theirs = new SqliteCommand(sql, reference).ExecuteReader();
        using var ours = Command(Connection, sql).ExecuteReader();
        Assert.That(theirs.Read() && ours.Read(), Is.True);
        var expected = theirs.GetSchemaTable()!;
        var actual = ours.GetSchemaTable();
        Assert.Multiple(() =>
        {
            for (var i = 0; i < expected.Rows.Count; i++)
            {
                foreach (DataColumn column in expected.Columns)
                {
                    if (column.ColumnName != SchemaTableOptionalColumn.BaseServerName && column.ColumnName != SchemaTableColumn.DataType)
                    {
                        Assert.That(actual.Rows[i][column.ColumnName], Is.EqualTo(expected.Rows[i][column]), $"{expected.Rows[i][0]}: {column.ColumnName}");
                    }
                }
            }

            Assert.That(ours.GetColumnSchema(), Has.Count.EqualTo(expected.Rows.Count));
        });
    }

    [Test]
    public void A_data_table_loads_from_a_reader()
    {
        Run(Table + "; INSERT INTO m(name, price, weight) VALUES ('a', '1.5', 2.5), ('b', NULL, NULL)");
        var table = new DataTable();
        table.Load(Command(Connection, "SELECT id, name, price, weight FROM m ORDER BY id").ExecuteReader());
        Assert.That(table.Rows, Has.Count.EqualTo(2));
        Assert.That(table.Rows[1]["name"], Is.EqualTo("b"));
    }

    [Test]
    public void Columns_follow_the_schema_when_a_prepared_statement_meets_a_new_one()
    {
        Run("CREATE TABLE g (a); INSERT INTO g VALUES (1)");
        Assert.That(Columns(), Is.EqualTo(1));
        Run("ALTER TABLE g ADD COLUMN b DEFAULT 2");
        Assert.That(Columns(), Is.EqualTo(2));

        int Columns()
        {
            using var reader = Command(Connection, "SELECT * FROM g").ExecuteReader();
            Assert.That(reader.Read() && reader.GetInt64(reader.FieldCount - 1) == reader.FieldCount, Is.True);
            return reader.FieldCount;
        }
    }

    [Test]
    public async Task Dapper_runs_over_a_connection()
    {
        await Connection.ExecuteAsync("INSERT INTO t(id, name) VALUES (@Id, @Name)", new[] { new Row(1, "a"), new Row(2, "b") });
        Assert.That(await Connection.QueryAsync<Row>("SELECT id, name FROM t WHERE id > @id", new { id = 0 }), Is.EqualTo(new[] { new Row(1, "a"), new Row(2, "b") }));
        Assert.That(Connection.QuerySingle<string>("SELECT name FROM t WHERE id IN @ids", new { ids = new[] { 2, 3 } }), Is.EqualTo("b"));
        using var transaction = Connection.BeginTransaction();
        Connection.Execute("DELETE FROM t", transaction: transaction);
        transaction.Rollback();
        Assert.That(Connection.ExecuteScalar<int>("SELECT count(*) FROM t"), Is.EqualTo(2));
    }

    [Test]
    public void The_provider_factory_makes_what_a_connection_needs()
    {
        var factory = DbProviderFactories.GetFactory(Connection)!;
        Assert.That(factory, Is.SameAs(DqliteProviderFactory.Instance));
        using var command = factory.CreateCommand()!;
        command.Connection = Connection;
        command.CommandText = "SELECT $a";
        var parameter = factory.CreateParameter()!;
        parameter.ParameterName = "$a";
        parameter.Value = 3;
        command.Parameters.Add(parameter);
        Assert.That(command.ExecuteScalar(), Is.EqualTo(3L));
    }

    private static SqliteConnection Reference(string sql)
    {
        var connection = new SqliteConnection("Data Source=:memory:");
        connection.Open();
        using var command = new SqliteCommand(sql, connection);
        command.ExecuteNonQuery();
        return connection;
    }

    private sealed record Row(long Id, string Name);
}
