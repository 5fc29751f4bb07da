using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Dqlite.Net.Data;

namespace Dqlite.Net;

/// <summary>
/// A connection to a replicated database. Commits can be awaited, and no error is lost: see <see cref="DqliteDataReader.Close"/>. Not
/// thread-safe, except for <see cref="DqliteCommand.Cancel"/>.
/// </summary>
public sealed partial class DqliteConnection : DbConnection
{
    private readonly List<DqliteDataReader> _readers = [];
    private DqliteDataSource? _dataSource;
    private DqliteConnectionStringBuilder? _builder;
    private ConnectionSettings _settings = new();
    private ConnectionState _state;
    private Session? _session;
    private bool _initializes;
    private long _sessionIndex;
    private int? _defaultTimeout;
    private ReadConsistency? _consistency;
    private TimeSpan? _maxStaleness;

    /// <summary>Makes a connection without a connection string.</summary>
    public DqliteConnection()
    {
    }

    /// <summary>Makes a connection from a connection string.</summary>
    /// <param name="connectionString">See <see cref="DqliteConnectionStringBuilder"/>.</param>
    public DqliteConnection(string? connectionString) => ConnectionString = connectionString;

    internal DqliteConnection(DqliteDataSource dataSource)
    {
        _dataSource = dataSource;
        _settings = dataSource.Settings;
    }

    /// <inheritdoc/>
    [AllowNull]
    public override string ConnectionString
    {
        get => _builder?.ConnectionString ?? _dataSource?.ConnectionString ?? string.Empty;
        set
        {
            if (_session is not null)
            {
                throw new InvalidOperationException("The connection string of an open connection cannot be changed.");
            }

            _builder = new DqliteConnectionStringBuilder(value);
            _dataSource = null;
            _settings = new ConnectionSettings().With(_builder);
        }
    }

    /// <summary>Name of the database.</summary>
    public override string Database => _dataSource?.Database ?? _builder?.DataSource ?? string.Empty;

    /// <summary>Name of the database.</summary>
    public override string DataSource => Database;

    /// <summary>Version of SQLite.</summary>
    public override string ServerVersion => SQLitePCL.raw.sqlite3_libversion().utf8_to_string();

    /// <summary>
    /// Open, Closed, or Broken: it has seen state that the cluster did not keep, so it can only be closed.
    /// </summary>
    public override ConnectionState State => _session is { IsBroken: true } ? ConnectionState.Broken : _state;

    /// <inheritdoc/>
    public override bool CanCreateBatch => true;

    /// <summary>Command timeout in seconds for commands that do not set their own; 0: none.</summary>
    public int DefaultTimeout
    {
        get => _defaultTimeout ?? _settings.DefaultTimeoutSeconds;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _defaultTimeout = value;
        }
    }

    /// <summary>How fresh the reads of this connection are.</summary>
    public ReadConsistency Consistency
    {
        get => _consistency ?? _settings.Consistency;
        set => _consistency = value;
    }

    /// <summary>For <see cref="ReadConsistency.Bounded"/>: how far behind the leader a read may be.</summary>
    public TimeSpan MaxStaleness
    {
        get => _maxStaleness ?? _settings.MaxStaleness;
        set => _maxStaleness = value;
    }

    /// <summary>
    /// What this session has written and read, as a text that can travel (say, in a cookie) to a session on another node: with
    /// <see cref="ReadConsistency.Session"/> that one then sees at least as much. Setting never goes back. Opaque.
    /// </summary>
    /// <exception cref="FormatException">The text is not such a token.</exception>
    /// <exception cref="ArgumentException">The token is one of another database.</exception>
    public string SessionToken
    {
        get => string.Create(CultureInfo.InvariantCulture, $"{Database}:{SessionIndex}");
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            var colon = value.LastIndexOf(':');
            if (colon <= 0 || !long.TryParse(value.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var index))
            {
                throw new FormatException($"'{value}' is not a session token.");
            }

            if (!value.AsSpan(0, colon).SequenceEqual(Database))
            {
                throw new ArgumentException($"Session token '{value}' is not one of database '{Database}'.", nameof(value));
            }

            SessionIndex = index;
        }
    }

    /// <summary>Row id of the last INSERT of this connection whose result has left it; 0 when there was none.</summary>
    public long LastInsertRowId => OpenSession(nameof(LastInsertRowId)).LastInsertRowId;

    internal DqliteTransaction? Transaction { get; set; }

    internal Session? CurrentSession => _session;

    /// <inheritdoc/>
    protected override DbProviderFactory DbProviderFactory => DqliteProviderFactory.Instance;

    private long SessionIndex
    {
        get => Math.Max(_sessionIndex, _session?.Index ?? 0);
        set
        {
            _sessionIndex = Math.Max(_sessionIndex, value);
            if (_session is not null)
            {
                _session.Index = value;
            }
        }
    }

    /// <inheritdoc/>
    public override void Open() => Synchronous.Result(OpenAsync(async: false, CancellationToken.None));

    /// <inheritdoc/>
    public override Task OpenAsync(CancellationToken cancellationToken) => OpenAsync(async: true, cancellationToken).AsTask();

    /// <summary>
    /// Closes it: readers that are open finish, an open transaction is rolled back, and the handle goes back to the pool. An error of a
    /// reader that had to finish is thrown after that.
    /// </summary>
    public override void Close() => Synchronous.Result(CloseAsync(async: false));

    /// <inheritdoc cref="Close"/>
    public override Task CloseAsync() => CloseAsync(async: true).AsTask();

    /// <summary>Not supported: open a connection to the other database.</summary>
    /// <param name="databaseName">Its name.</param>
    public override void ChangeDatabase(string databaseName) => throw new NotSupportedException("Open a connection to the other database instead.");

    /// <summary>Makes a command of this connection, in its transaction.</summary>
    public new DqliteCommand CreateCommand() => new() { Connection = this, Transaction = Transaction };

    /// <summary>Makes a batch of this connection, in its transaction. One batch is one transaction.</summary>
    public new DqliteBatch CreateBatch() => new() { Connection = this, Transaction = Transaction };

    /// <summary>Begins a write transaction: waits for the right to write.</summary>
    public new DqliteTransaction BeginTransaction() => BeginTransaction(IsolationLevel.Unspecified, deferred: false);

    /// <summary>Begins a transaction.</summary>
    /// <param name="deferred">True: it gets the right to write when it first writes; that fails when others have written since it first read.</param>
    public DqliteTransaction BeginTransaction(bool deferred) => BeginTransaction(IsolationLevel.Unspecified, deferred);

    /// <summary>Begins a write transaction.</summary>
    /// <param name="isolationLevel">Every level gives Serializable; Chaos and Snapshot are refused.</param>
    public new DqliteTransaction BeginTransaction(IsolationLevel isolationLevel) => BeginTransaction(isolationLevel, deferred: false);

    /// <summary>Begins a transaction.</summary>
    /// <param name="isolationLevel">Every level gives Serializable; Chaos and Snapshot are refused.</param>
    /// <param name="deferred">See <see cref="BeginTransaction(bool)"/>.</param>
    public DqliteTransaction BeginTransaction(IsolationLevel isolationLevel, bool deferred) =>
        Synchronous.Result(BeginAsync(isolationLevel, deferred, async: false, CancellationToken.None));

    /// <summary>Begins a transaction.</summary>
    /// <param name="deferred">See <see cref="BeginTransaction(bool)"/>.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public ValueTask<DqliteTransaction> BeginTransactionAsync(bool deferred, CancellationToken cancellationToken = default) =>
        BeginAsync(IsolationLevel.Unspecified, deferred, async: true, cancellationToken);

    /// <summary>Begins a write transaction: waits for the right to write.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    public new ValueTask<DqliteTransaction> BeginTransactionAsync(CancellationToken cancellationToken = default) =>
        BeginTransactionAsync(deferred: false, cancellationToken);

    /// <summary>The open session, for something that needs one.</summary>
    /// <param name="operation">Which; for the error.</param>
    internal Session OpenSession(string operation) => _session ?? throw new InvalidOperationException($"{operation} can only be called when the connection is open.");

    internal void AddReader(DqliteDataReader reader) => _readers.Add(reader);

    internal void RemoveReader(DqliteDataReader reader) => _readers.Remove(reader);

    /// <summary>Runs a statement without results, such as COMMIT.</summary>
    internal async ValueTask ExecuteControlAsync(string sql, bool async, CancellationToken cancellationToken)
    {
        var session = OpenSession(sql);
        var interruption = session.Handle.Interruption;
        interruption.Begin(this, DefaultTimeout, cancellationToken);
        var execution = new Execution(session, sql, null, new ReadLevel(Consistency, MaxStaleness));
        try
        {
            await execution.NextResultAsync(async).ConfigureAwait(false);
        }
        finally
        {
            execution.Close();
            interruption.End();
        }
    }

    /// <inheritdoc/>
    protected override DbTransaction BeginDbTransaction(IsolationLevel isolationLevel) => BeginTransaction(isolationLevel);

    /// <inheritdoc/>
    protected override async ValueTask<DbTransaction> BeginDbTransactionAsync(IsolationLevel isolationLevel, CancellationToken cancellationToken) =>
        await BeginAsync(isolationLevel, deferred: false, async: true, cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    protected override DbCommand CreateDbCommand() => CreateCommand();

    /// <inheritdoc/>
    protected override DbBatch CreateDbBatch() => CreateBatch();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Close();
        }

        base.Dispose(disposing);
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await CloseAsync().ConfigureAwait(false);
        await base.DisposeAsync().ConfigureAwait(false);
    }

    private async ValueTask OpenAsync(bool async, CancellationToken cancellationToken)
    {
        if (_state != ConnectionState.Closed)
        {
            return;
        }

        if (_dataSource is null)
        {
            var builder = _builder ?? throw new InvalidOperationException("The connection string must be set before the connection is opened.");
            _dataSource = OpenDatabases.Find(builder);
            _settings = _dataSource.Settings.With(builder);
        }

        var (handle, isNew) = await _dataSource.Pool.RentAsync(DefaultTimeout, async, cancellationToken).ConfigureAwait(false);
        try
        {
            handle.Apply(_settings);
            _session = new Session(_dataSource.Engine, handle) { Index = _sessionIndex };
            _state = ConnectionState.Open;
            if (isNew && _settings.HandleInitializer is { } initializer)
            {
                _initializes = true;
                initializer(this);
                handle.KeepAsBaseline();
            }

            _initializes = false;
            RegisterFunctions();
        }
        catch
        {
            _initializes = false;
            _session = null;
            _state = ConnectionState.Closed;
            _dataSource.Pool.Return(handle, reuse: false);
            throw;
        }

        OnStateChange(new StateChangeEventArgs(ConnectionState.Closed, ConnectionState.Open));
    }

    internal async ValueTask CloseAsync(bool async)
    {
        if (_session is not { } session)
        {
            return;
        }

        Exception? failure = null;
        foreach (var reader in _readers.ToArray())
        {
            try
            {
                await reader.CloseAsync(async).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                failure ??= e;
            }
        }

        session.Abort();
        Transaction?.Detach();
        _sessionIndex = session.Index;
        _session = null;
        _state = ConnectionState.Closed;
        _dataSource!.Pool.Return(session.Handle, _settings.Pooling && !session.HasUndecidedCommit);
        OnStateChange(new StateChangeEventArgs(ConnectionState.Open, ConnectionState.Closed));
        if (failure is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        }
    }

    private async ValueTask<DqliteTransaction> BeginAsync(IsolationLevel isolationLevel, bool deferred, bool async, CancellationToken cancellationToken)
    {
        if (isolationLevel is IsolationLevel.Chaos or IsolationLevel.Snapshot)
        {
            throw new ArgumentException($"Isolation level '{isolationLevel}' is not supported.", nameof(isolationLevel));
        }

        var session = OpenSession(nameof(BeginTransaction));
        if (Transaction is not null)
        {
            throw new InvalidOperationException("SQLite does not support nested transactions.");
        }

        await ExecuteControlAsync(deferred ? "BEGIN" : "BEGIN IMMEDIATE", async, cancellationToken).ConfigureAwait(false);
        return Transaction = new DqliteTransaction(this, session);
    }
}
