using System.Data.Common;
using Dqlite.Load.Operations;
using Dqlite.Net;
using Microsoft.Data.Sqlite;

namespace Dqlite.Load.Clusters;

/// <summary>The clients' connections to a <see cref="ClusterDatabase"/>, on one node or on several in turn.</summary>
internal sealed class ClusterConnections : IDatabaseUnderLoad
{
    private readonly DqliteDataSource[] _sources;
    private readonly Api _api;
    private readonly LoadSpec _spec;
    private int _next;

    private ClusterConnections(DqliteDataSource[] sources, Api api, LoadSpec spec)
    {
        _sources = sources;
        _api = api;
        _spec = spec;
    }

    public bool Blocks => _api == Api.Plain;

    /// <summary>Each of the nodes has everything then that was committed before.</summary>
    public static async Task<ClusterConnections> CreateAsync(IEnumerable<DqliteNode> nodes, string name, Api api, LoadSpec spec)
    {
        var builder = new DqliteConnectionStringBuilder { MaxPoolSize = spec.Clients, Consistency = spec.Level };
        List<DqliteDataSource> sources = [];
        foreach (var node in nodes)
        {
            var source = await node.OpenDatabaseAsync(name, new DqliteDatabaseOptions { ConnectionString = builder.ConnectionString });
            await CatchUpAsync(source);
            sources.Add(source);
        }

        return new ClusterConnections([.. sources], api, spec);
    }

    public async Task<DbConnection> OpenAsync()
    {
        var source = _sources[_next++ % _sources.Length];
        if (_api == Api.Dqlite)
        {
            return await source.OpenConnectionAsync();
        }

        var connection = new SqliteConnection(PlainConnectionString(source));
        await connection.OpenAsync();
        return connection;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var source in _sources)
        {
            await source.DisposeAsync();
        }
    }

    /// <summary>A linearizable read is answered when the node has applied what was committed before.</summary>
    private static async Task CatchUpAsync(DqliteDataSource source)
    {
        await using var connection = await source.OpenConnectionAsync();
        connection.Consistency = ReadConsistency.Linearizable;
        await connection.RunAsync("SELECT count(*) FROM sqlite_schema");
    }

    /// <summary>By itself a plain connection is linearizable on the leader and local on the other nodes; any other level is part of a URI.</summary>
    private string PlainConnectionString(DqliteDataSource source)
    {
        var builder = new SqliteConnectionStringBuilder(source.PlainConnectionString);
        if (!_spec.IsLinearizableOnLeader)
        {
            builder.DataSource = $"file:{Uri.EscapeDataString(builder.DataSource).Replace("%2F", "/", StringComparison.Ordinal)}?level={Names.Of(_spec.Level)}";
        }

        return builder.ConnectionString;
    }
}
