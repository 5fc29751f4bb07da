using System.Data;
using System.Data.Common;
using Dqlite.Net.Data;

namespace Dqlite.Net;

/// <summary>
/// Commands that run as one transaction: all of them or none. Their results leave when it is committed. In an open transaction the batch is
/// a savepoint of it.
/// </summary>
public sealed class DqliteBatch : DbBatch
{
    private readonly DqliteBatchCommandCollection _commands = new();
    private int? _timeout;

    /// <summary>Makes an empty batch.</summary>
    public DqliteBatch()
    {
    }

    /// <summary>Makes an empty batch.</summary>
    /// <param name="connection">Its connection.</param>
    /// <param name="transaction">The open transaction of the connection.</param>
    public DqliteBatch(DqliteConnection? connection, DqliteTransaction? transaction = null)
    {
        Connection = connection;
        Transaction = transaction;
    }

    /// <summary>The commands.</summary>
    public new DqliteBatchCommandCollection BatchCommands => _commands;

    /// <summary>Seconds until the batch gives up, 0 for never; see <see cref="DqliteCommand.CommandTimeout"/>.</summary>
    public override int Timeout
    {
        get => _timeout ?? Connection?.DefaultTimeout ?? 30;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _timeout = value;
        }
    }

    /// <summary>The connection.</summary>
    public new DqliteConnection? Connection { get; set; }

    /// <summary>The transaction; must be the open one of the connection.</summary>
    public new DqliteTransaction? Transaction { get; set; }

    /// <inheritdoc/>
    protected override DbBatchCommandCollection DbBatchCommands => _commands;

    /// <inheritdoc/>
    protected override DbConnection? DbConnection
    {
        get => Connection;
        set => Connection = (DqliteConnection?)value;
    }

    /// <inheritdoc/>
    protected override DbTransaction? DbTransaction
    {
        get => Transaction;
        set => Transaction = (DqliteTransaction?)value;
    }

    /// <summary>Ends what the batch is doing, from any thread; see <see cref="DqliteCommand.Cancel"/>.</summary>
    public override void Cancel() => Connection?.CurrentSession?.Handle.Interruption.Cancel(this);

    /// <summary>Does nothing: every connection keeps what it ran last.</summary>
    public override void Prepare()
    {
    }

    /// <inheritdoc/>
    public override Task PrepareAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

    /// <summary>Runs the batch.</summary>
    /// <returns>Rows inserted, updated and deleted; -1 when it only read.</returns>
    public override int ExecuteNonQuery() => Synchronous.Result(RunAsync(static results => results.RecordsAffected, async: false, CancellationToken.None));

    /// <inheritdoc cref="ExecuteNonQuery"/>
    /// <param name="cancellationToken">Ends the wait; after the commit point the outcome is then unknown.</param>
    public override Task<int> ExecuteNonQueryAsync(CancellationToken cancellationToken = default) =>
        RunAsync(static results => results.RecordsAffected, async: true, cancellationToken).AsTask();

    /// <summary>Runs the batch.</summary>
    /// <returns>The first column of the first row; null when there is no row.</returns>
    public override object? ExecuteScalar() => Synchronous.Result(RunAsync(First, async: false, CancellationToken.None));

    /// <inheritdoc cref="ExecuteScalar"/>
    /// <param name="cancellationToken">Ends the wait; after the commit point the outcome is then unknown.</param>
    public override Task<object?> ExecuteScalarAsync(CancellationToken cancellationToken = default) =>
        RunAsync(First, async: true, cancellationToken).AsTask();

    /// <summary>Runs the batch; the reader has all its results.</summary>
    /// <param name="behavior">CloseConnection closes it with the reader; the rest is ignored.</param>
    public new DqliteDataReader ExecuteReader(CommandBehavior behavior = CommandBehavior.Default) =>
        Synchronous.Result(ReaderAsync(behavior, async: false, CancellationToken.None));

    /// <summary>Runs the batch; the reader has all its results.</summary>
    /// <param name="cancellationToken">Ends the wait; after the commit point the outcome is then unknown.</param>
    public new Task<DqliteDataReader> ExecuteReaderAsync(CancellationToken cancellationToken = default) =>
        ReaderAsync(CommandBehavior.Default, async: true, cancellationToken).AsTask();

    /// <inheritdoc/>
    protected override DbBatchCommand CreateDbBatchCommand() => new DqliteBatchCommand();

    /// <inheritdoc/>
    protected override DbDataReader ExecuteDbDataReader(CommandBehavior behavior) => ExecuteReader(behavior);

    /// <inheritdoc/>
    protected override async Task<DbDataReader> ExecuteDbDataReaderAsync(CommandBehavior behavior, CancellationToken cancellationToken) =>
        await ReaderAsync(behavior, async: true, cancellationToken).ConfigureAwait(false);

    private static object? First(BatchExecution results) => results.NextRow() ? results.Row!.GetValue(0) : null;

    private async ValueTask<T> RunAsync<T>(Func<BatchExecution, T> select, bool async, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var (connection, results) = Start();
        var interruption = connection.CurrentSession!.Handle.Interruption;
        interruption.Begin(this, Timeout, cancellationToken);
        var operation = Telemetry.Start(connection.Database, "BATCH");
        Exception? error = null;
        try
        {
            await results.NextResultAsync(async).ConfigureAwait(false);
            return select(results);
        }
        catch (Exception e)
        {
            error = e;
            throw;
        }
        finally
        {
            results.Close();
            interruption.End();
            operation.End(error);
        }
    }

    private async ValueTask<DqliteDataReader> ReaderAsync(CommandBehavior behavior, bool async, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var (connection, results) = Start();
        var operation = Telemetry.Start(connection.Database, "BATCH");
        var reader = new DqliteDataReader(connection, null, this, results, Timeout, behavior.HasFlag(CommandBehavior.CloseConnection), operation);
        await reader.StartAsync(async, cancellationToken).ConfigureAwait(false);
        return reader;
    }

    private (DqliteConnection Connection, BatchExecution Results) Start()
    {
        var connection = Connection ?? throw new InvalidOperationException("A batch can only be executed when its Connection property is set.");
        var session = connection.OpenSession("Execute");
        DqliteCommand.RequireTransaction(connection, Transaction);
        var level = new ReadLevel(connection.Consistency, connection.MaxStaleness);
        return (connection, new BatchExecution(session, _commands, level));
    }
}
