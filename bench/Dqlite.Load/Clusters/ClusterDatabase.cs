using System.Data.Common;
using Dqlite.Load.Operations;
using Dqlite.Net;
using Microsoft.Data.Sqlite;

namespace Dqlite.Load.Clusters;

/// <summary>A database of the cluster, created on its leader and dropped at the end.</summary>
internal sealed class ClusterDatabase : IDatabaseUnderLoad
{
    private readonly DqliteNode _leader;
    private readonly DqliteDataSource _source;
    private readonly Api _api;

    private ClusterDatabase(DqliteNode leader, DqliteDataSource source, Api api)
    {
        _leader = leader;
        _source = source;
        _api = api;
    }

    public bool Blocks => _api == Api.Plain;

    public static async Task<ClusterDatabase> CreateAsync(DqliteNode leader, string name, Api api, int clients)
    {
        var options = new DqliteDatabaseOptions { ConnectionString = new DqliteConnectionStringBuilder { MaxPoolSize = clients }.ConnectionString };
        return new ClusterDatabase(leader, await leader.OpenDatabaseAsync(name, options), api);
    }

    public async Task<DbConnection> OpenAsync()
    {
        if (_api == Api.Dqlite)
        {
            return await _source.OpenConnectionAsync();
        }

        var connection = new SqliteConnection(_source.PlainConnectionString);
        await connection.OpenAsync();
        return connection;
    }

    public async ValueTask DisposeAsync()
    {
        await _leader.DropDatabaseAsync(_source.Database);
        await _source.DisposeAsync();
    }
}
