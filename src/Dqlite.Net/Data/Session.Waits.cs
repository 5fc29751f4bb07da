using Dqlite.Sqlite;
using static SQLitePCL.raw;

namespace Dqlite.Net.Data;

/// <summary>What a session waits for: the slot, the commit, the gate. Before the commit point an interruption is definite, after it not.</summary>
internal sealed partial class Session
{
    /// <summary>How long an interrupted commit waits for its place in the log, so that its error can name it. A leader without a quorum steps
    /// down, and thereby decides, in less.</summary>
    private const int CommitIdLimitMs = 5000;

    /// <summary>
    /// The output gate: completes when everything that this session has read in drafts is committed. Before it nothing may leave. When it
    /// fails the transaction is rolled back, since its user cannot know what it did.
    /// </summary>
    /// <param name="level">Of the command whose result leaves.</param>
    /// <param name="async">False: blocks.</param>
    public ValueTask GateAsync(ReadLevel level, bool async) => _ungatedLsn == 0 ? ValueTask.CompletedTask : PassGateAsync(level, async);

    /// <summary>After an error in a transaction: marks what the error says as read from a draft.</summary>
    public void MarkRead()
    {
        if (_ticket != 0 && !_isGateOpen)
        {
            _ungatedLsn = handle.Vfs.State.SnapshotLsn;
        }
    }

    /// <summary>Rolls back whatever is open. Never throws.</summary>
    public void Abort()
    {
        if (handle.InTransaction)
        {
            sqlite3_exec(handle.Db, "ROLLBACK");
        }

        if (_ticket != 0)
        {
            engine.ReleaseWriter(_ticket);
            _ticket = 0;
        }

        _ungatedLsn = 0;
        TransactionEnded?.Invoke();
    }

    private async ValueTask PassGateAsync(ReadLevel level, bool async)
    {
        try
        {
            await CoveredAsync(_ungatedLsn, level, async).ConfigureAwait(false);
        }
        catch
        {
            Abort();
            throw;
        }

        _ungatedLsn = 0;
        _isGateOpen = true;
    }

    private async ValueTask CoveredAsync(ulong snapshotLsn, ReadLevel level, bool async)
    {
        // Committed is not enough for Linearizable: a leader that was replaced does not know what was committed since.
        var proof = level.Level == ReadConsistency.Linearizable
            ? engine.BeginReadAsync(ReadConsistency.Linearizable, _index, level.MaxStaleness)
            : Task.CompletedTask;
        Interruption.Observe(proof);
        var covered = engine.WaitCoveredAsync(snapshotLsn);
        await EndsAsync(covered, ShimResult.NotLeader, "the commits that the result depends on", async).ConfigureAwait(false);
        await EndsAsync(proof, ShimResult.NotLeader, "a quorum to confirm the read", async).ConfigureAwait(false);
        Index = engine.AppliedIndex;
    }

    private async ValueTask CommittedAsync(ulong lsn, bool async)
    {
        _ungatedLsn = 0;
        var commit = engine.WaitCommittedAsync(lsn);
        if (!await handle.Interruption.TryWaitAsync(commit, async).ConfigureAwait(false)
            && await UndecidedAsync(lsn, async).ConfigureAwait(false) is { } error && !commit.IsCompleted)
        {
            HasUndecidedCommit = error is DqliteUnknownOutcomeException;
            throw error;
        }

        try
        {
            Index = (await commit.ConfigureAwait(false)).Index;
            CommitEvents.Log.WaiterCompleted(Index);
        }
        catch (DqliteUnknownOutcomeException)
        {
            HasUndecidedCommit = true;
            throw;
        }
    }

    /// <summary>The error of a commit whose wait was interrupted: unknown, unless it is known that it was never proposed.</summary>
    private async ValueTask<Exception> UndecidedAsync(ulong lsn, bool async)
    {
        var interruption = handle.Interruption;
        var cause = interruption.Reason == InterruptReason.Cancelled ? new OperationCanceledException(interruption.UserToken) : null;
        var proposed = engine.GetCommitIdAsync(lsn);
        if (!await Interruption.TryWaitAsync(proposed, CommitIdLimitMs, async).ConfigureAwait(false))
        {
            return new DqliteUnknownOutcomeException(null, null, cause);
        }

        return await proposed.ConfigureAwait(false) is { } id
            ? new DqliteUnknownOutcomeException(null, id, cause)
            : Errors.FromCode(ShimResult.NotLeader, engine.LeaderAddress);
    }

    /// <summary>Gets the writer slot and arms the handle with it.</summary>
    private async ValueTask<ulong> AcquireAsync(bool async)
    {
        var ticket = engine.NextTicket();
        var acquired = engine.AcquireWriterAsync(ticket);
        try
        {
            if (!acquired.IsCompletedSuccessfully)
            {
                await EndsAsync(acquired, ShimResult.SlotTimeout, "the right to write", async).ConfigureAwait(false);
            }

            Arm(ticket);
            return ticket;
        }
        catch
        {
            engine.ReleaseWriter(ticket);
            throw;
        }
    }

    private async ValueTask EndsAsync(Task task, int timeoutCode, string waitedFor, bool async)
    {
        if (!await handle.Interruption.TryWaitAsync(task, async).ConfigureAwait(false))
        {
            throw Errors.Interrupted(handle.Interruption, timeoutCode, waitedFor, engine.LeaderAddress);
        }

        // Completed: this rethrows its failure, and waits for nothing.
        await task.ConfigureAwait(false);
    }
}
