using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using Dqlite.Net.Data;

namespace Dqlite.Net;

/// <summary>
/// SQL to run on a <see cref="DqliteConnection"/>: one statement or several. Outside of a transaction each writing statement commits by
/// itself, and its result leaves when a majority has it on disk. Every failure of every statement is thrown.
/// </summary>
public sealed class DqliteCommand : DbCommand
{
    private DqliteParameterCollection? _parameters;
    private DqliteConnection? _connection;
    private string _commandText = string.Empty;
    private int? _timeout;

    /// <summary>Makes an empty command.</summary>
    public DqliteCommand()
    {
    }

    /// <summary>Makes a command.</summary>
    /// <param name="commandText">Its SQL.</param>
    public DqliteCommand(string? commandText) => CommandText = commandText;

    /// <summary>Makes a command.</summary>
    /// <param name="commandText">Its SQL.</param>
    /// <param name="connection">Its connection.</param>
    public DqliteCommand(string? commandText, DqliteConnection? connection)
        : this(commandText)
    {
        Connection = connection;
    }

    /// <summary>Makes a command.</summary>
    /// <param name="commandText">Its SQL.</param>
    /// <param name="connection">Its connection.</param>
    /// <param name="transaction">The open transaction of the connection.</param>
    public DqliteCommand(string? commandText, DqliteConnection? connection, DqliteTransaction? transaction)
        : this(commandText, connection) => Transaction = transaction;

    /// <inheritdoc/>
    [AllowNull]
    public override string CommandText
    {
        get => _commandText;
        set
        {
            RequireNoReader(nameof(CommandText));
            _commandText = value ?? string.Empty;
        }
    }

    /// <summary>Only <see cref="CommandType.Text"/> is supported.</summary>
    /// <exception cref="ArgumentException">Another type is set.</exception>
    public override CommandType CommandType
    {
        get => CommandType.Text;
        set
        {
            if (value != CommandType.Text)
            {
                throw new ArgumentException($"The CommandType '{value}' is not supported: SQLite has no stored procedures.", nameof(value));
            }
        }
    }

    /// <summary>
    /// Seconds until a command gives up, 0 for never. Before the commit point that is definite, and transient; after it the outcome is unknown.
    /// </summary>
    public override int CommandTimeout
    {
        get => _timeout ?? _connection?.DefaultTimeout ?? 30;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _timeout = value;
        }
    }

    /// <summary>How fresh the reads of this command are; null: as its connection says.</summary>
    public ReadConsistency? Consistency { get; set; }

    /// <summary>For <see cref="ReadConsistency.Bounded"/>: how far behind the leader a read may be; null: as its connection says.</summary>
    public TimeSpan? MaxStaleness { get; set; }

    /// <summary>The connection.</summary>
    public new DqliteConnection? Connection
    {
        get => _connection;
        set
        {
            RequireNoReader(nameof(Connection));
            _connection = value;
        }
    }

    /// <summary>The transaction; must be the open one of the connection.</summary>
    public new DqliteTransaction? Transaction { get; set; }

    /// <summary>The parameters.</summary>
    public new DqliteParameterCollection Parameters => _parameters ??= new DqliteParameterCollection();

    /// <inheritdoc/>
    public override bool DesignTimeVisible { get; set; }

    /// <inheritdoc/>
    public override UpdateRowSource UpdatedRowSource { get; set; }

    internal DqliteDataReader? Reader { get; set; }

    internal ReadLevel Level => new(Consistency ?? _connection!.Consistency, MaxStaleness ?? _connection!.MaxStaleness);

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

    /// <inheritdoc/>
    protected override DbParameterCollection DbParameterCollection => Parameters;

    /// <summary>
    /// Ends what this command is doing, from any thread; nothing when it does nothing. It throws <see cref="OperationCanceledException"/>
    /// then, or <see cref="DqliteUnknownOutcomeException"/> after the commit point.
    /// </summary>
    public override void Cancel()
    {
        Reader?.Cancel();
        _connection?.CurrentSession?.Handle.Interruption.Cancel(this);
    }

    /// <summary>Makes a parameter that is not added yet.</summary>
    public new DqliteParameter CreateParameter() => new();

    /// <summary>Prepares the SQL; execution then finds it prepared. Not needed: every connection keeps what it ran last.</summary>
    public override void Prepare()
    {
        var execution = Start(nameof(Prepare));
        try
        {
            execution.Prepare();
        }
        finally
        {
            execution.Close();
        }
    }

    /// <summary>Runs all statements.</summary>
    /// <returns>Rows inserted, updated and deleted; -1 when they only read.</returns>
    /// <exception cref="DqliteException">A statement failed; those before it have run.</exception>
    /// <exception cref="DqliteUnknownOutcomeException">It is not known whether a statement commits.</exception>
    public override int ExecuteNonQuery() => Synchronous.Result(ExecuteNonQueryAsync(async: false, CancellationToken.None));

    /// <inheritdoc cref="ExecuteNonQuery"/>
    /// <param name="cancellationToken">Ends the wait; after the commit point the outcome is then unknown.</param>
    public override Task<int> ExecuteNonQueryAsync(CancellationToken cancellationToken) => ExecuteNonQueryAsync(async: true, cancellationToken).AsTask();

    /// <summary>Runs all statements.</summary>
    /// <returns>The first column of the first row; null when there is no row.</returns>
    /// <exception cref="DqliteException">A statement failed; those before it have run.</exception>
    /// <exception cref="DqliteUnknownOutcomeException">It is not known whether a statement commits.</exception>
    public override object? ExecuteScalar() => Synchronous.Result(ExecuteScalarAsync(async: false, CancellationToken.None));

    /// <inheritdoc cref="ExecuteScalar"/>
    /// <param name="cancellationToken">Ends the wait; after the commit point the outcome is then unknown.</param>
    public override Task<object?> ExecuteScalarAsync(CancellationToken cancellationToken) => ExecuteScalarAsync(async: true, cancellationToken).AsTask();

    /// <summary>Runs the statements up to the first one that has columns.</summary>
    public new DqliteDataReader ExecuteReader() => ExecuteReader(CommandBehavior.Default);

    /// <summary>Runs the statements up to the first one that has columns.</summary>
    /// <param name="behavior">CloseConnection closes it with the reader; the rest is ignored.</param>
    public new DqliteDataReader ExecuteReader(CommandBehavior behavior) =>
        Synchronous.Result(ExecuteReaderAsync(behavior, async: false, CancellationToken.None));

    /// <summary>Runs the statements up to the first one that has columns.</summary>
    /// <param name="cancellationToken">Ends the wait; after the commit point the outcome is then unknown.</param>
    public new Task<DqliteDataReader> ExecuteReaderAsync(CancellationToken cancellationToken = default) =>
        ExecuteReaderAsync(CommandBehavior.Default, cancellationToken);

    /// <summary>Runs the statements up to the first one that has columns.</summary>
    /// <param name="behavior">CloseConnection closes it with the reader; the rest is ignored.</param>
    /// <param name="cancellationToken">Ends the wait; after the commit point the outcome is then unknown.</param>
    public new Task<DqliteDataReader> ExecuteReaderAsync(CommandBehavior behavior, CancellationToken cancellationToken = default) =>
        ExecuteReaderAsync(behavior, async: true, cancellationToken).AsTask();

    /// <inheritdoc/>
    protected override DbParameter CreateDbParameter() => CreateParameter();

    /// <inheritdoc/>
    protected override DbDataReader ExecuteDbDataReader(CommandBehavior behavior) => ExecuteReader(behavior);

    /// <inheritdoc/>
    protected override async Task<DbDataReader> ExecuteDbDataReaderAsync(CommandBehavior behavior, CancellationToken cancellationToken) =>
        await ExecuteReaderAsync(behavior, async: true, cancellationToken).ConfigureAwait(false);

    private async ValueTask<int> ExecuteNonQueryAsync(bool async, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var execution = Start(nameof(ExecuteNonQuery));
        var interruption = _connection!.CurrentSession!.Handle.Interruption;
        interruption.Begin(this, CommandTimeout, cancellationToken);
        var operation = Telemetry.Start(_connection.Database, _commandText);
        Exception? error = null;
        try
        {
            while (await execution.NextResultAsync(async).ConfigureAwait(false))
            {
            }

            return execution.RecordsAffected;
        }
        catch (Exception e)
        {
            error = e;
            throw;
        }
        finally
        {
            execution.Close();
            interruption.End();
            operation.End(error);
        }
    }

    private async ValueTask<object?> ExecuteScalarAsync(bool async, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var execution = Start(nameof(ExecuteScalar));
        var interruption = _connection!.CurrentSession!.Handle.Interruption;
        interruption.Begin(this, CommandTimeout, cancellationToken);
        var operation = Telemetry.Start(_connection.Database, _commandText);
        Exception? error = null;
        try
        {
            object? value = null;
            if (await execution.NextResultAsync(async).ConfigureAwait(false))
            {
                value = execution.NextRow() ? execution.Row!.GetValue(0) : null;
                while (await execution.NextResultAsync(async).ConfigureAwait(false))
                {
                }
            }

            return value;
        }
        catch (Exception e)
        {
            error = e;
            throw;
        }
        finally
        {
            execution.Close();
            interruption.End();
            operation.End(error);
        }
    }

    private async ValueTask<DqliteDataReader> ExecuteReaderAsync(CommandBehavior behavior, bool async, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var execution = Start(nameof(ExecuteReader));
        var operation = Telemetry.Start(_connection!.Database, _commandText);
        var reader = new DqliteDataReader(_connection, this, this, execution, CommandTimeout, behavior.HasFlag(CommandBehavior.CloseConnection), operation);
        await reader.StartAsync(async, cancellationToken).ConfigureAwait(false);
        return reader;
    }

    private Execution Start(string operation)
    {
        RequireNoReader(operation);
        var connection = _connection ?? throw new InvalidOperationException($"{operation} can only be called when the Connection property is set.");
        var session = connection.OpenSession(operation);
        RequireTransaction(connection, Transaction);
        return new Execution(session, _commandText, _parameters, Level);
    }

    internal static void RequireTransaction(DqliteConnection connection, DqliteTransaction? transaction)
    {
        if (transaction != connection.Transaction)
        {
            throw new InvalidOperationException(transaction is null
                ? "Execute requires the command to have a transaction object when the connection assigned to the command is in a pending local transaction. The Transaction property of the command has not been initialized."
                : "The transaction object is not associated with the same connection object as this command.");
        }

        if (transaction is { HasEnded: true })
        {
            throw new InvalidOperationException("This DqliteTransaction has completed; it is no longer usable.");
        }
    }

    private void RequireNoReader(string operation)
    {
        if (Reader is not null)
        {
            throw new InvalidOperationException($"{operation} needs the data reader of this command to be closed first.");
        }
    }
}
