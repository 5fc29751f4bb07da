using Dqlite.Net.Engine;
using Dqlite.Sqlite;
using static SQLitePCL.raw;

namespace Dqlite.Net.Data;

/// <summary>How fresh the reads of one command must be.</summary>
/// <param name="Level">The level.</param>
/// <param name="MaxStaleness">For Bounded.</param>
internal readonly record struct ReadLevel(ReadConsistency Level, TimeSpan MaxStaleness);

/// <summary>What a statement did.</summary>
/// <param name="OnRow">The statement stands on its first row and goes on from there.</param>
/// <param name="Buffered">Its rows, when they had to wait for the commit; the statement is finished.</param>
/// <param name="Changes">Rows inserted, updated or deleted; -1 for a statement that only reads.</param>
internal readonly record struct StatementResult(bool OnRow, BufferedRows? Buffered, int Changes);

/// <summary>
/// An open connection between SQLite and the engine: the writer slot, the commit and the output gate. Nothing that was derived from a draft
/// leaves it before that draft is committed: no row, no count, no rowid and no error.
/// <code>
///                 BEGIN, SAVEPOINT                first write, BEGIN IMMEDIATE
///   autocommit ───────────────────► transaction ───────────────────────────────► write transaction (has a ticket)
///       ▲   each statement takes and       │  COMMIT, ROLLBACK, RELEASE, an error that rolls back      │
///       │   gives the slot by itself       ▼                                                          ▼
///       └───────────────────────────────────────────────────────────────────────────────────────────
/// </code>
/// SQLite's own autocommit flag is the state; it is read before and after every statement, so SQL text may begin and end transactions.
/// Used by the thread that uses the connection.
/// </summary>
internal sealed partial class Session(IDatabaseEngine engine, DatabaseHandle handle)
{
    private const int MaxAttempts = 16;
    private const int MaxSchemaRetries = 10;

    private ulong _ticket;
    private ulong _ungatedLsn;
    private bool _isGateOpen;
    private long _index;

    public IDatabaseEngine Engine => engine;

    public DatabaseHandle Handle => handle;

    /// <summary>Raised when the transaction that a <see cref="DqliteTransaction"/> stands for has ended, by whatever means.</summary>
    public Action? TransactionEnded { get; set; }

    /// <summary>Log index that this session has seen or written.</summary>
    public long Index
    {
        get => _index;
        set => _index = Math.Max(_index, value);
    }

    /// <summary>Row id of the last INSERT whose result has left.</summary>
    public long LastInsertRowId { get; private set; }

    /// <summary>A result leaves: so may the row id.</summary>
    public void PublishRowId() => LastInsertRowId = sqlite3_last_insert_rowid(handle.Db);

    /// <summary>Whether a commit of this session has an unknown outcome: what SQLite still knows of it must reach no other user.</summary>
    public bool HasUndecidedCommit { get; private set; }

    public bool InTransaction => handle.InTransaction;

    public bool IsBroken => handle.Vfs.State.DeadCode != 0;

    /// <summary>Runs a statement whose parameters are bound. Its result may leave only after <see cref="GateAsync"/>.</summary>
    /// <param name="statement">Reset.</param>
    /// <param name="level">For its reads.</param>
    /// <param name="async">False: waits block, and nothing needs the thread pool.</param>
    public ValueTask<StatementResult> RunAsync(Statement statement, ReadLevel level, bool async)
    {
        if (handle.InTransaction)
        {
            return RunInTransactionAsync(statement, level, async);
        }

        if (!statement.NeedsWriter)
        {
            return RunReadAsync(statement, level, async);
        }

        return statement.Keyword == SqlKeyword.Begin ? BeginImmediateAsync(statement, async) : RunWriteAsync(statement, level, async);
    }

    /// <summary>Makes a snapshot that is taken from now on satisfy a level.</summary>
    /// <param name="level">The level.</param>
    /// <param name="async">False: blocks.</param>
    public async ValueTask BarrierAsync(ReadLevel level, bool async)
    {
        var proof = engine.BeginReadAsync(level.Level, _index, level.MaxStaleness);
        if (!proof.IsCompletedSuccessfully)
        {
            await EndsAsync(proof, ShimResult.NotLeader, "a quorum to confirm the read", async).ConfigureAwait(false);
        }
    }

    /// <summary>Before a snapshot of the running transaction is taken, if it has none yet, makes it satisfy a level.</summary>
    /// <param name="level">The level.</param>
    /// <param name="async">False: blocks.</param>
    public ValueTask BarrierBeforeSnapshotAsync(ReadLevel level, bool async) =>
        _ticket != 0 || handle.Vfs.State.InRead ? ValueTask.CompletedTask : BarrierAsync(level, async);

    /// <summary>Steps on from a row.</summary>
    /// <param name="statement">Stands on a row.</param>
    /// <returns>Whether it stands on another.</returns>
    public bool StepOn(Statement statement)
    {
        var rc = handle.Step(statement);
        if (rc == SQLITE_ROW)
        {
            return true;
        }

        if (rc == SQLITE_DONE)
        {
            // Frees the snapshot as soon as the last row is read.
            statement.Reset();
            return false;
        }

        var error = Failure(rc, statement);
        EndOfTransaction(handle.Vfs.State);
        throw error;
    }

    private async ValueTask<StatementResult> RunReadAsync(Statement statement, ReadLevel level, bool async)
    {
        if (statement.ReadsDatabase)
        {
            await BarrierAsync(level, async).ConfigureAwait(false);
        }

        Arm(0);
        var changesBefore = sqlite3_total_changes(handle.Db);
        var rc = handle.Step(statement);
        for (var i = 0; rc == SQLITE_SCHEMA && i < MaxSchemaRetries; i++)
        {
            statement.Reset();
            rc = handle.Step(statement);
        }

        if (rc is not (SQLITE_ROW or SQLITE_DONE))
        {
            throw Failure(rc, statement);
        }

        if (statement.ReadsDatabase)
        {
            Index = engine.AppliedIndex;
        }

        if (rc == SQLITE_DONE)
        {
            statement.Reset();
        }

        return new StatementResult(rc == SQLITE_ROW, null, Changes(statement, changesBefore));
    }

    private async ValueTask<StatementResult> RunWriteAsync(Statement statement, ReadLevel level, bool async)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await TryWriteAsync(statement, level, async).ConfigureAwait(false);
            }
            catch (DqliteException e) when (attempt < MaxAttempts && MayRepeat(e))
            {
                // It is known to have had no effect, and this node may write again.
            }
        }
    }

    private bool MayRepeat(DqliteException error) =>
        error is { IsTransient: true, SqliteExtendedErrorCode: ShimResult.NotLeader or ShimResult.LeadershipLost }
        && engine.CanWrite && !IsBroken && handle.Interruption.Reason == InterruptReason.None;

    private async ValueTask<StatementResult> TryWriteAsync(Statement statement, ReadLevel level, bool async)
    {
        var ticket = await AcquireAsync(async).ConfigureAwait(false);
        var changesBefore = sqlite3_total_changes(handle.Db);
        var rc = StepToEnd(statement, out var rows);
        var result = new StatementResult(false, rows, Changes(statement, changesBefore));
        var error = rc == SQLITE_DONE ? null : Failure(rc, statement);
        statement.Reset();
        var state = handle.Vfs.State;
        if (state.DraftLsn != 0)
        {
            // The draft decides, whatever SQLite said: an interruption can be reported after the commit point.
            await CommittedAsync(state.DraftLsn, async).ConfigureAwait(false);
            return result;
        }

        engine.ReleaseWriter(ticket);
        if (error is null or DqliteException && !Errors.IsIndependentOfData(rc))
        {
            // "No row changed" and "UNIQUE constraint failed" were read from the snapshot, which may hold drafts of others.
            await CoveredAsync(state.SnapshotLsn, level, async).ConfigureAwait(false);
        }

        return error is null ? result : throw error;
    }

    private async ValueTask<StatementResult> BeginImmediateAsync(Statement statement, bool async)
    {
        var ticket = await AcquireAsync(async).ConfigureAwait(false);
        var rc = handle.Step(statement);
        if (rc != SQLITE_DONE)
        {
            var error = Failure(rc, statement);
            engine.ReleaseWriter(ticket);
            throw error;
        }

        statement.Reset();
        _ticket = ticket;
        _isGateOpen = false;
        return new StatementResult(false, null, -1);
    }

    private async ValueTask<StatementResult> RunInTransactionAsync(Statement statement, ReadLevel level, bool async)
    {
        if (_ticket != 0)
        {
            ArmOpenTransaction();
        }
        else if (statement.NeedsWriter)
        {
            // A snapshot that was taken before is a committed one, and was proven when it was taken: there is nothing to gate.
            var hasSnapshot = handle.Vfs.State.InRead;
            _ticket = await AcquireAsync(async).ConfigureAwait(false);
            _isGateOpen = hasSnapshot;
        }
        else
        {
            if (statement.ReadsDatabase)
            {
                await BarrierBeforeSnapshotAsync(level, async).ConfigureAwait(false);
            }

            Arm(0);
        }

        return await FinishInTransactionAsync(statement, level, async).ConfigureAwait(false);
    }

    private async ValueTask<StatementResult> FinishInTransactionAsync(Statement statement, ReadLevel level, bool async)
    {
        var changesBefore = sqlite3_total_changes(handle.Db);
        BufferedRows? rows = null;
        var rc = statement.NeedsWriter ? StepToEnd(statement, out rows) : handle.Step(statement);
        var result = new StatementResult(rc == SQLITE_ROW, rows, Changes(statement, changesBefore));
        var error = rc is SQLITE_ROW or SQLITE_DONE ? null : Failure(rc, statement);
        if (rc != SQLITE_ROW)
        {
            statement.Reset();
        }

        var state = handle.Vfs.State;
        if (_ticket != 0 && !_isGateOpen && statement.ReadsDatabase)
        {
            _ungatedLsn = state.SnapshotLsn;
        }

        EndOfTransaction(state);
        if (state.DraftLsn != 0)
        {
            await CommittedAsync(state.DraftLsn, async).ConfigureAwait(false);
            return result;
        }

        if (error is null)
        {
            return result;
        }

        if (error is DqliteException && !Errors.IsIndependentOfData(rc))
        {
            if (_ticket != 0 && !_isGateOpen)
            {
                // A COMMIT that fails on a deferred foreign key reads too.
                _ungatedLsn = state.SnapshotLsn;
            }

            await GateAsync(level, async).ConfigureAwait(false);
        }

        throw error;
    }

    private int StepToEnd(Statement statement, out BufferedRows? rows)
    {
        rows = statement.Count != 0 ? new BufferedRows(statement.Count) : null;
        var rc = handle.Step(statement);
        for (var i = 0; rc == SQLITE_SCHEMA && i < MaxSchemaRetries; i++)
        {
            statement.Reset();
            rc = handle.Step(statement);
        }

        while (rc == SQLITE_ROW)
        {
            rows?.Add(statement);
            rc = handle.Step(statement);
        }

        return rc;
    }

    /// <summary>After a statement: notices that the transaction is over and gives up what it held.</summary>
    private void EndOfTransaction(VfsHandleState state)
    {
        if (handle.InTransaction)
        {
            if (_ticket != 0 && !state.InWrite)
            {
                // The first write of a deferred transaction failed: it goes on as a reader.
                engine.ReleaseWriter(_ticket);
                _ticket = 0;
            }

            return;
        }

        if (_ticket != 0)
        {
            if (state.DraftLsn == 0)
            {
                engine.ReleaseWriter(_ticket);
            }

            _ticket = 0;
        }

        TransactionEnded?.Invoke();
    }

    private int Changes(Statement statement, int before) =>
        statement.Count != 0 && sqlite3_stmt_readonly(statement.Handle) != 0 ? -1
        : sqlite3_total_changes(handle.Db) == before ? 0
        : sqlite3_changes(handle.Db);

    private void Arm(ulong ticket)
    {
        try
        {
            handle.Vfs.Arm(ticket);
        }
        catch (ShimException e)
        {
            // Busy: the slot was granted, and lost before it was used, since leadership went and came back.
            throw Errors.FromCode(e.ResultCode == ShimResult.Busy ? ShimResult.NotLeader : e.ResultCode, engine.LeaderAddress);
        }
    }

    private void ArmOpenTransaction()
    {
        try
        {
            Arm(_ticket);
        }
        catch (DqliteException)
        {
            // Revoked, or dead: the same end as that of a statement which the VFS refuses.
            var revoked = handle.Vfs.State.RevokedCode;
            Abort();
            if (revoked != 0)
            {
                throw Errors.FromCode(revoked, engine.LeaderAddress);
            }

            throw;
        }
    }

    /// <summary>The exception for a failed step. The statement is reset: a failed one holds its snapshot otherwise.</summary>
    private Exception Failure(int rc, Statement statement)
    {
        Exception error = handle.DeniedBecause is { } reason && (rc & 0xff) == SQLITE_AUTH
            ? new DqliteException(reason, SQLITE_AUTH)
            : (rc & 0xff) == SQLITE_INTERRUPT && handle.Interruption.Reason != InterruptReason.None
                ? Errors.Interrupted(handle.Interruption, SQLITE_INTERRUPT, "the statement to finish", engine.LeaderAddress)
                : Errors.FromCode(rc, handle.Db, engine.LeaderAddress);
        statement.Reset();
        return error;
    }
}
