using System.Data;
using System.Data.Common;
using Dqlite.Net.Data;

namespace Dqlite.Net;

/// <summary>
/// A transaction. It is over when it is committed or rolled back, also when SQLite or the cluster rolled it back by itself; disposing it
/// rolls back what is open.
/// </summary>
public sealed class DqliteTransaction : DbTransaction
{
    private readonly Session _session;
    private DqliteConnection? _connection;
    private bool _ended;

    internal DqliteTransaction(DqliteConnection connection, Session session)
    {
        _connection = connection;
        _session = session;
        _session.TransactionEnded = () => _ended = true;
    }

    /// <summary>The connection; null when the transaction was completed.</summary>
    public new DqliteConnection? Connection => _connection;

    /// <summary>Always Serializable.</summary>
    public override IsolationLevel IsolationLevel => IsolationLevel.Serializable;

    /// <inheritdoc/>
    public override bool SupportsSavepoints => true;

    /// <inheritdoc/>
    protected override DbConnection? DbConnection => _connection;

    /// <summary>Whether SQLite has ended it behind this object's back: an error that rolls back, or SQL.</summary>
    internal bool HasEnded => _ended;

    /// <summary>Commits; returns when a majority has it on disk.</summary>
    /// <exception cref="DqliteException">It did not commit, and has no effect.</exception>
    /// <exception cref="DqliteUnknownOutcomeException">It is not known whether it commits.</exception>
    public override void Commit() => Synchronous.Result(CommitAsync(async: false, CancellationToken.None));

    /// <inheritdoc cref="Commit"/>
    /// <param name="cancellationToken">Ends the wait, not the commit: after the commit point the outcome is then unknown.</param>
    public override Task CommitAsync(CancellationToken cancellationToken = default) => CommitAsync(async: true, cancellationToken).AsTask();

    /// <summary>Rolls back. Does nothing when SQLite has rolled it back already.</summary>
    public override void Rollback() => RollbackNow();

    /// <inheritdoc cref="Rollback()"/>
    /// <param name="cancellationToken">Not used: a rollback waits for nothing.</param>
    public override Task RollbackAsync(CancellationToken cancellationToken = default)
    {
        RollbackNow();
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public override void Save(string savepointName) => Synchronous.Result(SavepointAsync("SAVEPOINT ", savepointName, async: false, CancellationToken.None));

    /// <inheritdoc/>
    public override Task SaveAsync(string savepointName, CancellationToken cancellationToken = default) =>
        SavepointAsync("SAVEPOINT ", savepointName, async: true, cancellationToken).AsTask();

    /// <inheritdoc/>
    public override void Rollback(string savepointName) =>
        Synchronous.Result(SavepointAsync("ROLLBACK TO SAVEPOINT ", savepointName, async: false, CancellationToken.None));

    /// <inheritdoc/>
    public override Task RollbackAsync(string savepointName, CancellationToken cancellationToken = default) =>
        SavepointAsync("ROLLBACK TO SAVEPOINT ", savepointName, async: true, cancellationToken).AsTask();

    /// <inheritdoc/>
    public override void Release(string savepointName) =>
        Synchronous.Result(SavepointAsync("RELEASE SAVEPOINT ", savepointName, async: false, CancellationToken.None));

    /// <inheritdoc/>
    public override Task ReleaseAsync(string savepointName, CancellationToken cancellationToken = default) =>
        SavepointAsync("RELEASE SAVEPOINT ", savepointName, async: true, cancellationToken).AsTask();

    /// <summary>Its connection knows it no more.</summary>
    internal void Detach()
    {
        if (_connection is { } connection)
        {
            connection.Transaction = null;
            _connection = null;
            _session.TransactionEnded = null;
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && _connection is not null)
        {
            RollbackNow();
        }

        base.Dispose(disposing);
    }

    private async ValueTask CommitAsync(bool async, CancellationToken cancellationToken)
    {
        var connection = Usable();
        try
        {
            await connection.ExecuteControlAsync("COMMIT", async, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            // A COMMIT that fails on a deferred foreign key leaves it open.
            if (!_session.InTransaction)
            {
                Detach();
            }
        }
    }

    private void RollbackNow()
    {
        if (_connection is null)
        {
            throw Completed();
        }

        if (!_ended)
        {
            _session.Abort();
        }

        Detach();
    }

    private async ValueTask SavepointAsync(string verb, string name, bool async, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(name);
        var connection = Usable();
        await connection.ExecuteControlAsync($"{verb}\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"", async, cancellationToken).ConfigureAwait(false);
    }

    private DqliteConnection Usable() => _ended || _connection is null ? throw Completed() : _connection;

    private static InvalidOperationException Completed() => new("This DqliteTransaction has completed; it is no longer usable.");
}
