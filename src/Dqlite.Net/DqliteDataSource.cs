using System.Data.Common;
using System.Globalization;
using Dqlite.Net.Data;
using Dqlite.Net.Engine;

namespace Dqlite.Net;

/// <summary>
/// A replicated database on this node, and where its connections come from. Long-lived and thread-safe; the node makes it. Disposing it
/// closes idle connections at once and used ones when they are closed.
/// </summary>
public sealed class DqliteDataSource : DbDataSource
{
    private readonly IDatabaseEngine _engine;

    internal DqliteDataSource(IDatabaseEngine engine, ConnectionSettings? settings = null)
    {
        _engine = engine;
        Settings = settings ?? new ConnectionSettings();
        Pool = new ConnectionPool(engine, Settings.MaxPoolSize);
    }

    /// <summary>Name of the database.</summary>
    public string Database => _engine.Name;

    /// <inheritdoc/>
    public override string ConnectionString => new DqliteConnectionStringBuilder { DataSource = _engine.Name }.ConnectionString;

    /// <summary>How fresh reads are, unless a connection or command says otherwise.</summary>
    public ReadConsistency DefaultConsistency => Settings.Consistency;

    /// <summary>
    /// A connection string for Microsoft.Data.Sqlite, Dapper or EF Core over it: existing code, whose commits block until the cluster has
    /// committed. Its own pool is off, since a pooled handle that outlives the node can never be used again.
    /// </summary>
    public string PlainConnectionString
    {
        get
        {
            var builder = new DbConnectionStringBuilder
            {
                ["Data Source"] = _engine.Path,
                ["Mode"] = "ReadWrite",
                ["Vfs"] = Dqlite.Sqlite.ShimRuntime.VfsName,
                ["Pooling"] = "False",
                ["Default Timeout"] = Settings.DefaultTimeoutSeconds.ToString(CultureInfo.InvariantCulture),
            };
            return builder.ConnectionString;
        }
    }

    internal ConnectionSettings Settings { get; }

    internal ConnectionPool Pool { get; }

    internal IDatabaseEngine Engine => _engine;

    /// <summary>Makes a connection that is not open yet.</summary>
    public new DqliteConnection CreateConnection() => new(this);

    /// <summary>Makes a connection and opens it.</summary>
    public new DqliteConnection OpenConnection() => (DqliteConnection)base.OpenConnection();

    /// <summary>Makes a connection and opens it.</summary>
    /// <param name="cancellationToken">Ends the wait for a place in the pool.</param>
    public new async ValueTask<DqliteConnection> OpenConnectionAsync(CancellationToken cancellationToken = default) =>
        (DqliteConnection)await base.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);

    /// <summary>What became of a commit whose outcome was unknown. May be asked on any node, also after restarts.</summary>
    /// <param name="commit">From <see cref="DqliteUnknownOutcomeException.CommitId"/>.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="ArgumentException">The commit is one of another database.</exception>
    public Task<CommitOutcome> GetOutcomeAsync(CommitId commit, CancellationToken cancellationToken = default)
    {
        if (commit.Database != _engine.Name)
        {
            throw new ArgumentException($"Commit '{commit}' is not one of database '{_engine.Name}'.", nameof(commit));
        }

        return _engine.GetOutcomeAsync(commit, cancellationToken);
    }

    /// <summary>Writes what this node has committed to a plain SQLite file, while writes go on.</summary>
    /// <param name="path">A file that does not exist.</param>
    /// <param name="cancellationToken">Ends the export; the file is removed.</param>
    public Task ExportAsync(string path, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return _engine.ExportAsync(path, cancellationToken);
    }

    /// <summary>Closes idle connections.</summary>
    public void ClearPool() => Pool.Clear();

    /// <inheritdoc/>
    protected override DbConnection CreateDbConnection() => CreateConnection();

    /// <inheritdoc/>
    protected override ValueTask DisposeAsyncCore()
    {
        // The base class does not call Dispose(true) from DisposeAsync.
        Dispose(disposing: true);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            OpenDatabases.Remove(this);
            Pool.Dispose();
        }

        base.Dispose(disposing);
    }
}
