using Dqlite.Sqlite;

namespace Dqlite.Net.Tests.Data;

/// <summary>Nothing that was derived from a draft leaves before that draft is committed.</summary>
internal sealed class OutputGateTests : DataFixture
{
    [Test]
    public Task The_success_of_an_insert_leaves_when_it_is_committed() => Waits("INSERT INTO t VALUES (1, 'a')", 1);

    [Test]
    public Task The_row_of_a_returning_statement_leaves_when_it_is_committed() => WaitsForScalar("INSERT INTO t VALUES (7, 'a') RETURNING id", 7L);

    [Test]
    public async Task Opening_a_returning_reader_waits_for_the_commit()
    {
        Engine.HoldCommits();
        var draft = Engine.NextDraft();
        var reader = Command(Connection, "INSERT INTO t VALUES (1, 'a'), (2, 'b') RETURNING id").ExecuteReaderAsync();
        await InTime(draft);
        Assert.That(reader.IsCompleted, Is.False);
        Engine.ReleaseCommits();
        await using var open = await InTime(reader);
        Assert.That(open.Read() && open.GetInt64(0) == 1 && open.Read() && open.GetInt64(0) == 2 && !open.Read(), Is.True);
    }

    [Test]
    public async Task The_commit_of_a_transaction_leaves_when_it_is_committed()
    {
        await using var transaction = await Connection.BeginTransactionAsync();
        Run("INSERT INTO t VALUES (1, 'a')");
        Engine.HoldCommits();
        var draft = Engine.NextDraft();
        var commit = transaction.CommitAsync();
        await InTime(draft);
        Assert.That(commit.IsCompleted, Is.False);
        Engine.ReleaseCommits();
        await InTime(commit);
        Assert.That(CommittedCount(), Is.EqualTo(1));
    }

    [Test]
    public async Task A_constraint_error_waits_for_the_draft_that_it_stems_from()
    {
        var (other, first) = await DraftOfAnother("INSERT INTO t VALUES (1, 'a')");
        var second = Command(Connection, "INSERT INTO t VALUES (1, 'b')").ExecuteNonQueryAsync();
        Assert.That(second.IsCompleted, Is.False);
        Engine.ReleaseCommits();
        await InTime(first);
        Assert.That(async () => await InTime(second), Throws.InstanceOf<DqliteException>().With.Property("SqliteExtendedErrorCode").EqualTo(1555));
        other.Dispose();
    }

    [Test]
    public async Task A_constraint_error_of_a_draft_that_is_dropped_does_not_leave_and_the_statement_succeeds_when_it_is_repeated()
    {
        var (other, first) = await DraftOfAnother("INSERT INTO t VALUES (1, 'a')");
        var second = Command(Connection, "INSERT INTO t VALUES (1, 'b')").ExecuteNonQueryAsync();
        Assert.That(second.IsCompleted, Is.False);
        Engine.ReleaseCommits(dropping: true);
        await InTime(Task.WhenAny(first, second));

        // Both are repeated: one of them is the first now, whichever it is.
        await InTime(Task.WhenAll(first, second).ContinueWith(static _ => { }));
        var failed = new[] { first, second }.Single(task => task.IsFaulted);
        Assert.That(((DqliteException)failed.Exception!.InnerException!).SqliteExtendedErrorCode, Is.EqualTo(1555));
        Assert.That(CommittedCount(), Is.EqualTo(1));
        other.Dispose();
    }

    [Test]
    public async Task A_count_of_no_rows_waits_for_the_draft_that_it_stems_from()
    {
        Run("INSERT INTO t VALUES (1, 'a')");
        var (other, first) = await DraftOfAnother("DELETE FROM t");
        var second = Command(Connection, "UPDATE t SET name = 'b' WHERE id = 1").ExecuteNonQueryAsync();
        Assert.That(second.IsCompleted, Is.False);
        Engine.ReleaseCommits();
        await InTime(first);
        Assert.That(await InTime(second), Is.Zero);
        other.Dispose();
    }

    [Test]
    public async Task A_row_read_in_a_write_transaction_waits_for_the_draft_that_it_stems_from()
    {
        var (other, first) = await DraftOfAnother("INSERT INTO t VALUES (1, 'a')");
        await using var transaction = await Connection.BeginTransactionAsync();
        var read = Command(Connection, "SELECT count(*) FROM t").ExecuteScalarAsync();
        Assert.That(read.IsCompleted, Is.False);
        Engine.ReleaseCommits();
        await InTime(first);
        Assert.That(await InTime(read), Is.EqualTo(1L));
        other.Dispose();
    }

    [Test]
    public async Task A_row_count_in_a_write_transaction_waits_for_the_draft_that_it_stems_from()
    {
        var (other, first) = await DraftOfAnother("INSERT INTO t VALUES (1, 'a')");
        await using var transaction = await Connection.BeginTransactionAsync();
        var update = Command(Connection, "UPDATE t SET name = 'b'").ExecuteNonQueryAsync();
        Assert.That(update.IsCompleted, Is.False);
        Engine.ReleaseCommits();
        await InTime(first);
        Assert.That(await InTime(update), Is.EqualTo(1));
        other.Dispose();
    }

    [Test]
    public async Task A_row_of_a_dropped_draft_never_leaves_and_the_transaction_is_over()
    {
        var (other, first) = await DraftOfAnother("INSERT INTO t VALUES (1, 'a')");
        var transaction = await Connection.BeginTransactionAsync();
        var read = Command(Connection, "SELECT count(*) FROM t").ExecuteScalarAsync();
        Engine.Fence();
        Assert.That(async () => await InTime(read), Throws.InstanceOf<DqliteException>().With.Property("IsTransient").True);
        Assert.That(async () => await transaction.CommitAsync(), Throws.InvalidOperationException);
        await transaction.DisposeAsync();
        Assert.That(async () => await InTime(first), Throws.InstanceOf<DqliteException>());
        Engine.Lead();
        Assert.That(CommittedCount(), Is.Zero);
        other.Dispose();
    }

    [Test]
    public async Task A_script_that_commits_waits_once_and_for_its_own_commit()
    {
        Engine.HoldCommits();
        var draft = Engine.NextDraft();
        var script = Command(Connection, "BEGIN IMMEDIATE; INSERT INTO t VALUES (1, 'a'); UPDATE t SET name = 'b'; COMMIT").ExecuteNonQueryAsync();
        await InTime(draft);
        Assert.That(script.IsCompleted, Is.False);
        Engine.ReleaseCommits();
        Assert.That(await InTime(script), Is.EqualTo(2));
    }

    [Test]
    public async Task Readers_do_not_see_a_draft()
    {
        var (other, first) = await DraftOfAnother("INSERT INTO t VALUES (1, 'a')");
        Assert.That(Count(), Is.Zero);
        Engine.ReleaseCommits();
        await InTime(first);
        Assert.That(Count(), Is.EqualTo(1));
        other.Dispose();
    }

    [Test]
    public async Task The_last_row_id_leaves_with_its_commit()
    {
        Run("INSERT INTO t VALUES (5, 'a')");
        Engine.HoldCommits();
        var draft = Engine.NextDraft();
        var insert = Command(Connection, "INSERT INTO t VALUES (9, 'b')").ExecuteNonQueryAsync();
        await InTime(draft);
        Assert.That(Connection.LastInsertRowId, Is.EqualTo(5));
        Engine.ReleaseCommits();
        await InTime(insert);
        Assert.That(Connection.LastInsertRowId, Is.EqualTo(9));
    }

    [Test]
    public async Task A_linearizable_result_without_a_commit_needs_a_proof_that_began_after_it()
    {
        Engine.HoldReads();
        var update = Command(Connection, "UPDATE t SET name = 'b' WHERE id = 1").ExecuteNonQueryAsync();
        Assert.That(update.IsCompleted, Is.False);
        Engine.ReleaseReads();
        Assert.That(await InTime(update), Is.Zero);
    }

    [Test]
    public async Task A_linearizable_write_transaction_is_proven_once_before_its_first_row_leaves()
    {
        await using var transaction = await Connection.BeginTransactionAsync();
        Engine.HoldReads();
        var first = Command(Connection, "SELECT count(*) FROM t").ExecuteScalarAsync();
        Assert.That(first.IsCompleted, Is.False);
        Engine.ReleaseReads();
        await InTime(first);
        var begun = Engine.ReadsBegun;
        Run("INSERT INTO t VALUES (1, 'a')");
        Assert.That(Engine.ReadsBegun, Is.EqualTo(begun));
        await transaction.CommitAsync();
    }

    [Test]
    public async Task A_linearizable_read_waits_for_its_proof_before_its_snapshot()
    {
        Engine.HoldReads();
        var read = Command(Connection, "SELECT count(*) FROM t").ExecuteScalarAsync();
        Assert.That(read.IsCompleted, Is.False);
        using (var other = Source.OpenConnection())
        {
            Command(other, "INSERT INTO t VALUES (1, 'a')").ExecuteNonQuery();
        }

        Engine.ReleaseReads();
        Assert.That(await InTime(read), Is.EqualTo(1L));
    }

    [Test]
    public void A_read_that_cannot_be_proven_fails_as_transient()
    {
        Engine.ReadFailure = new DqliteException("no quorum", 10, ShimResult.NotLeader);
        Assert.That(() => Count(), Throws.InstanceOf<DqliteException>().With.Property("IsTransient").True);
    }

    [Test]
    public void An_unknown_table_is_reported_after_a_proof()
    {
        var begun = Engine.ReadsBegun;
        Assert.That(() => Run("SELECT * FROM absent"), Throws.InstanceOf<DqliteException>().With.Message.Contains("no such table: absent"));
        Assert.That(Engine.ReadsBegun, Is.GreaterThan(begun));
    }

    [Test]
    public void An_autocommit_statement_that_is_dropped_is_repeated_while_this_node_leads()
    {
        Engine.FailNextCommits(3);
        Assert.That(Run("INSERT INTO t VALUES (1, 'a')"), Is.EqualTo(1));
        Assert.That(CommittedCount(), Is.EqualTo(1));
    }

    [Test]
    public void A_returning_statement_that_is_repeated_gives_its_rows_once()
    {
        Engine.FailNextCommits(2);
        using var reader = Command(Connection, "INSERT INTO t(name) VALUES ('a'), ('b') RETURNING name").ExecuteReader();
        var rows = 0;
        while (reader.Read())
        {
            rows++;
        }

        Assert.That(rows, Is.EqualTo(2));
    }

    [Test]
    public void A_slot_that_is_lost_before_it_is_used_is_asked_for_again()
    {
        Engine.LoseNextSlot();
        Assert.That(Run("INSERT INTO t VALUES (1, 'a')"), Is.EqualTo(1));
    }

    [Test]
    public void A_write_on_a_node_that_does_not_lead_says_who_does()
    {
        Engine.LeaderAddress = "node2:9000";
        Engine.Fence();
        Assert.That(
            () => Run("INSERT INTO t VALUES (1, 'a')"),
            Throws.InstanceOf<DqliteException>().With.Property("LeaderAddress").EqualTo("node2:9000").And.Property("IsTransient").True
                .And.Property("SqliteExtendedErrorCode").EqualTo(ShimResult.NotLeader));
    }

    private async Task Waits(string sql, int expected)
    {
        Engine.HoldCommits();
        var draft = Engine.NextDraft();
        var task = Command(Connection, sql).ExecuteNonQueryAsync();
        await InTime(draft);
        Assert.That(task.IsCompleted, Is.False);
        Engine.ReleaseCommits();
        Assert.That(await InTime(task), Is.EqualTo(expected));
    }

    private async Task WaitsForScalar(string sql, object expected)
    {
        Engine.HoldCommits();
        var draft = Engine.NextDraft();
        var task = Command(Connection, sql).ExecuteScalarAsync();
        await InTime(draft);
        Assert.That(task.IsCompleted, Is.False);
        Engine.ReleaseCommits();
        Assert.That(await InTime(task), Is.EqualTo(expected));
    }

    private async Task<(DqliteConnection Other, Task<int> Write)> DraftOfAnother(string sql)
    {
        var other = Source.OpenConnection();
        Engine.HoldCommits();
        var draft = Engine.NextDraft();
        var write = Command(other, sql).ExecuteNonQueryAsync();
        await InTime(draft);
        return (other, write);
    }
}
