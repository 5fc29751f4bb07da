namespace Dqlite.Net.Tests.Data;

internal sealed class BatchTests : DataFixture
{
    [Test]
    public void A_batch_is_one_transaction([Values] bool async)
    {
        var before = Engine.Drafts;
        using var batch = Batch("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (2, 'b'), (3, 'c')", "SELECT count(*) FROM t");
        Assert.That(async ? batch.ExecuteNonQueryAsync().Result : batch.ExecuteNonQuery(), Is.EqualTo(3));
        Assert.That(batch.BatchCommands.Select(command => command.RecordsAffected), Is.EqualTo(new[] { 1, 2, -1 }));
        Assert.That(Engine.Drafts, Is.EqualTo(before + 1));
    }

    [Test]
    public void A_batch_whose_last_command_fails_leaves_nothing()
    {
        using var batch = Batch("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (1, 'b')");
        Assert.That(() => batch.ExecuteNonQuery(), Throws.InstanceOf<DqliteException>().With.Property("SqliteErrorCode").EqualTo(19));
        Assert.That(CommittedCount(), Is.Zero);
        Assert.That(Run("INSERT INTO t VALUES (1, 'a')"), Is.EqualTo(1));
    }

    [Test]
    public void A_batch_whose_commit_fails_throws_and_gives_no_row()
    {
        Engine.FailNextCommits(1);
        using var batch = Batch("INSERT INTO t VALUES (1, 'a') RETURNING id");
        Assert.That(() => batch.ExecuteReader(), Throws.InstanceOf<DqliteException>().With.Property("IsTransient").True);
        Assert.That(CommittedCount(), Is.Zero);
    }

    [Test]
    public async Task Rows_of_a_batch_leave_when_it_is_committed()
    {
        Engine.HoldCommits();
        var draft = Engine.NextDraft();
        await using var batch = Batch("INSERT INTO t VALUES (1, 'a') RETURNING id", "SELECT name FROM t");
        var reading = batch.ExecuteReaderAsync();
        await InTime(draft);
        Assert.That(reading.IsCompleted, Is.False);
        Engine.ReleaseCommits();
        await using var reader = await InTime(reading);
        Assert.That(reader.Read() && reader.GetInt64(0) == 1 && !reader.Read(), Is.True);
        Assert.That(reader.NextResult() && reader.Read() && reader.GetString(0) == "a", Is.True);
        Assert.That(reader.GetName(0), Is.EqualTo("name"));
        Assert.That(reader.NextResult(), Is.False);
        Assert.That(reader.RecordsAffected, Is.EqualTo(1));
    }

    [Test]
    public void A_batch_in_a_transaction_is_a_savepoint()
    {
        using var transaction = Connection.BeginTransaction();
        Run("INSERT INTO t VALUES (1, 'a')");
        using (var failing = Batch("INSERT INTO t VALUES (2, 'b')", "INSERT INTO t VALUES (1, 'x')"))
        {
            Assert.That(() => failing.ExecuteNonQuery(), Throws.InstanceOf<DqliteException>());
        }

        using (var batch = Batch("INSERT INTO t VALUES (3, 'c')"))
        {
            Assert.That(batch.ExecuteNonQuery(), Is.EqualTo(1));
        }

        transaction.Commit();
        Assert.That(CommittedCount(), Is.EqualTo(2));
    }

    [Test]
    public void A_batch_that_only_reads_needs_no_right_to_write()
    {
        using var other = Source.OpenConnection();
        using var holder = other.BeginTransaction();
        using var batch = Batch("SELECT 1", "SELECT count(*) FROM t");
        Assert.That(batch.ExecuteScalar(), Is.EqualTo(1L));
    }

    [Test]
    public void A_later_command_may_use_what_an_earlier_one_made()
    {
        using var batch = Batch("CREATE TABLE made (a)", "INSERT INTO made VALUES ($a)", "SELECT a FROM made");
        batch.BatchCommands[1].Parameters.AddWithValue("a", 5);
        using var reader = batch.ExecuteReader();
        Assert.That(reader.Read() && reader.GetInt32(0) == 5, Is.True);
    }

    private DqliteBatch Batch(params string[] commands)
    {
        var batch = Connection.CreateBatch();
        foreach (var command in commands)
        {
            batch.BatchCommands.Add(command);
        }

        return batch;
    }
}
