using Dqlite.Sqlite;

namespace Dqlite.Net.Tests.Data;

/// <summary>Before the commit point a timeout or a cancellation is definite; after it the outcome is unknown, and named.</summary>
internal sealed class InterruptionTests : DataFixture
{
    private const string Endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

    [Test]
    public async Task Waiting_for_the_right_to_write_times_out_as_transient([Values] bool async)
    {
        using var other = Source.OpenConnection();
        await using var holder = await other.BeginTransactionAsync();
        await AssertTimeout("INSERT INTO t VALUES (1, 'a')", ShimResult.SlotTimeout, async);
        await holder.RollbackAsync();
        Assert.That(Run("INSERT INTO t VALUES (1, 'a')"), Is.EqualTo(1));
    }

    [Test]
    public async Task Waiting_for_a_read_proof_times_out_as_transient([Values] bool async)
    {
        Engine.HoldReads();
        await AssertTimeout("SELECT count(*) FROM t", ShimResult.NotLeader, async);
    }

    [Test]
    public async Task A_statement_that_runs_too_long_times_out_as_transient([Values] bool async)
    {
        await AssertTimeout(Endless, SQLitePCL.raw.SQLITE_INTERRUPT, async);
        Assert.That(Count(), Is.Zero);
    }

    [Test]
    public async Task A_writing_statement_that_runs_too_long_has_no_effect([Values] bool async)
    {
        await AssertTimeout($"INSERT INTO t SELECT i, i FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n)", SQLitePCL.raw.SQLITE_INTERRUPT, async);
        Assert.That(CommittedCount(), Is.Zero);
        Assert.That(Run("INSERT INTO t VALUES (1, 'a')"), Is.EqualTo(1));
    }

    [Test]
    public async Task A_timeout_after_the_commit_point_is_an_unknown_outcome_that_names_the_commit([Values] bool async)
    {
        Engine.HoldCommits();
        var command = Command(Connection, "INSERT INTO t VALUES (1, 'a')");
        command.CommandTimeout = 1;
        var error = await Catch<DqliteUnknownOutcomeException>(() => Execute(command, async));
        Assert.That(error.IsTransient, Is.False);
        Assert.That(error.CommitId, Is.Not.Null);
        Assert.That(await Source.GetOutcomeAsync(error.CommitId!.Value), Is.EqualTo(CommitOutcome.Undecided));
        Engine.ReleaseCommits();
        Assert.That(() => Source.GetOutcomeAsync(error.CommitId.Value).Result, Is.EqualTo(CommitOutcome.Committed).After(HangMs, 5));
    }

    [Test]
    public async Task A_commit_that_was_unknown_and_dropped_is_reported_as_not_committed()
    {
        Engine.HoldCommits();
        var command = Command(Connection, "INSERT INTO t VALUES (1, 'a')");
        command.CommandTimeout = 1;
        var error = await Catch<DqliteUnknownOutcomeException>(() => Execute(command, async: true));
        Engine.Fence();
        Assert.That(await Source.GetOutcomeAsync(error.CommitId!.Value), Is.EqualTo(CommitOutcome.NotCommitted));
    }

    [Test]
    public async Task Cancelling_after_the_commit_point_is_an_unknown_outcome_and_not_a_cancellation()
    {
        Engine.HoldCommits();
        using var source = new CancellationTokenSource();
        var draft = Engine.NextDraft();
        var insert = Command(Connection, "INSERT INTO t VALUES (1, 'a')").ExecuteNonQueryAsync(source.Token);
        await InTime(draft);
        await source.CancelAsync();
        var error = await Catch<DqliteUnknownOutcomeException>(() => insert);
        Assert.Multiple(() =>
        {
            Assert.That(error.CommitId, Is.Not.Null);
            Assert.That(error.InnerException, Is.InstanceOf<OperationCanceledException>());
        });
    }

    [Test]
    public async Task Cancelling_the_commit_of_a_transaction_is_an_unknown_outcome()
    {
        await using var transaction = await Connection.BeginTransactionAsync();
        Run("INSERT INTO t VALUES (1, 'a')");
        Engine.HoldCommits();
        using var source = new CancellationTokenSource();
        var draft = Engine.NextDraft();
        var commit = transaction.CommitAsync(source.Token);
        await InTime(draft);
        await source.CancelAsync();
        Assert.That((await Catch<DqliteUnknownOutcomeException>(() => commit)).CommitId, Is.Not.Null);
    }

    [Test]
    public async Task A_cancelled_commit_that_was_never_proposed_and_is_dropped_is_definite()
    {
        Engine.HoldProposals();
        using var source = new CancellationTokenSource();
        var draft = Engine.NextDraft();
        var insert = Command(Connection, "INSERT INTO t VALUES (1, 'a')").ExecuteNonQueryAsync(source.Token);
        await InTime(draft);
        await source.CancelAsync();
        Engine.Fence();
        var error = await Catch<DqliteException>(() => insert);
        Assert.That(error, Is.Not.InstanceOf<DqliteUnknownOutcomeException>());
        Assert.That(error.IsTransient, Is.True);
    }

    [Test]
    public async Task Cancelling_before_the_commit_point_is_a_cancellation()
    {
        using var other = Source.OpenConnection();
        await using var holder = await other.BeginTransactionAsync();
        using var source = new CancellationTokenSource();
        var insert = Command(Connection, "INSERT INTO t VALUES (1, 'a')").ExecuteNonQueryAsync(source.Token);
        await source.CancelAsync();
        await Catch<OperationCanceledException>(() => insert);
        await holder.RollbackAsync();
        Assert.That(Run("INSERT INTO t VALUES (1, 'a')"), Is.EqualTo(1));
    }

    [Test]
    public async Task A_token_that_is_cancelled_before_starts_nothing()
    {
        using var source = new CancellationTokenSource();
        await source.CancelAsync();
        await Catch<OperationCanceledException>(() => Command(Connection, "INSERT INTO t VALUES (1, 'a')").ExecuteNonQueryAsync(source.Token));
        Assert.That(CommittedCount(), Is.Zero);
    }

    [Test]
    public async Task A_token_interrupts_a_running_select()
    {
        using var source = new CancellationTokenSource();
        Connection.CreateFunction("cancel", () =>
        {
            source.Cancel();
            return 1;
        });
        await Catch<OperationCanceledException>(() => Command(Connection, "SELECT cancel(), (" + Endless + ")").ExecuteScalarAsync(source.Token));
        Assert.That(Count(), Is.Zero);
    }

    [Test]
    public async Task Cancel_works_from_another_thread_on_a_running_select()
    {
        using var running = new ManualResetEventSlim();
        Connection.CreateFunction("signal", () =>
        {
            running.Set();
            return 1;
        });
        var command = Command(Connection, "SELECT signal(), (" + Endless + ")");
        var run = OnThread(command.ExecuteScalar);
        Assert.That(running.Wait(HangMs), Is.True);
        command.Cancel();
        await Catch<OperationCanceledException>(() => run);
        Assert.That(Count(), Is.Zero);
    }

    [Test]
    public async Task Cancel_works_from_another_thread_on_a_blocked_commit()
    {
        Engine.HoldCommits();
        var draft = Engine.NextDraft();
        var command = Command(Connection, "INSERT INTO t VALUES (1, 'a')");
        var run = OnThread(command.ExecuteNonQuery);
        await InTime(draft);
        command.Cancel();
        await Catch<DqliteUnknownOutcomeException>(() => run);
    }

    [Test]
    public void Cancel_of_a_command_that_does_not_run_does_nothing()
    {
        var command = Command(Connection, "SELECT 1");
        command.Cancel();
        Assert.That(command.ExecuteScalar(), Is.EqualTo(1L));
    }

    [Test]
    public async Task A_node_that_stops_makes_the_outcome_unknown()
    {
        Engine.HoldCommits();
        var draft = Engine.NextDraft();
        var insert = Command(Connection, "INSERT INTO t VALUES (1, 'a')").ExecuteNonQueryAsync();
        await InTime(draft);
        Engine.Stop();
        Assert.That((await Catch<DqliteUnknownOutcomeException>(() => insert)).CommitId, Is.Not.Null);
    }

    [Test]
    public void A_handle_that_outlives_its_node_answers_not_leader_for_good()
    {
        Engine.Stop();
        for (var i = 0; i < 2; i++)
        {
            Assert.That(() => Count(), Throws.InstanceOf<DqliteException>().With.Property("SqliteExtendedErrorCode").EqualTo(ShimResult.NotLeader));
        }
    }

    [Test]
    public async Task A_handle_whose_commit_is_unknown_is_not_reused()
    {
        var before = Source.Pool.OpenCount;
        Engine.HoldCommits();
        await using (var other = Source.OpenConnection())
        {
            var command = Command(other, "INSERT INTO t VALUES (1, 'a')");
            command.CommandTimeout = 1;
            await Catch<DqliteUnknownOutcomeException>(() => Execute(command, async: true));
        }

        Assert.That(Source.Pool.OpenCount, Is.EqualTo(before));
    }

    [Test]
    public async Task A_gate_that_times_out_rolls_the_transaction_back()
    {
        Engine.HoldCommits();
        using var other = Source.OpenConnection();
        var draft = Engine.NextDraft();
        var first = Command(other, "INSERT INTO t VALUES (1, 'a')").ExecuteNonQueryAsync();
        await InTime(draft);
        var transaction = await Connection.BeginTransactionAsync();
        var command = Command(Connection, "INSERT INTO t VALUES (2, 'b')");
        command.CommandTimeout = 1;
        Assert.That((await Catch<DqliteException>(() => Execute(command, async: true))).IsTransient, Is.True);
        Assert.That(async () => await transaction.CommitAsync(), Throws.InvalidOperationException);
        await transaction.DisposeAsync();
        Engine.ReleaseCommits();
        await InTime(first);
        Assert.That(CommittedCount(), Is.EqualTo(1));
    }

    private async Task AssertTimeout(string sql, int code, bool async)
    {
        var command = Command(Connection, sql);
        command.CommandTimeout = 1;
        var error = await Catch<DqliteException>(() => Execute(command, async));
        Assert.Multiple(() =>
        {
            Assert.That(error, Is.Not.InstanceOf<DqliteUnknownOutcomeException>());
            Assert.That(error.SqliteExtendedErrorCode, Is.EqualTo(code));
            Assert.That(error.IsTransient, Is.True);
            Assert.That(error.Message, Does.Contain("timed out"));
        });
    }

    private static Task<int> Execute(DqliteCommand command, bool async) => async ? command.ExecuteNonQueryAsync() : OnThread(command.ExecuteNonQuery);

    private static async Task<T> Catch<T>(Func<Task> action)
        where T : Exception
    {
        try
        {
            await InTime(action());
        }
        catch (T e)
        {
            return e;
        }

        throw new AssertionException($"Expected {typeof(T).Name}.");
    }
}
