using Dqlite.Load.Operations;
using Dqlite.Net;

namespace Dqlite.Load.Clusters;

/// <summary>A database of the cluster, created and filled on the leader; dropped at the end.</summary>
internal sealed class ClusterDatabase : IAsyncDisposable
{
    private readonly DqliteNode _leader;
    private readonly string _name;

    private ClusterDatabase(DqliteNode leader, string name)
    {
        _leader = leader;
        _name = name;
    }

    public static async Task<ClusterDatabase> CreateAsync(DqliteNode leader, string name, LoadSpec spec)
    {
        await using var source = await leader.OpenDatabaseAsync(name);
        await using var connection = await source.OpenConnectionAsync();
        await OperationFactory.FillAsync(connection, spec);
        return new ClusterDatabase(leader, name);
    }

    public async ValueTask DisposeAsync() => await _leader.DropDatabaseAsync(_name);
}
