using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Dqlite.Net.Benchmarks;

/// <summary>A cluster in this process, with a database that has a table.</summary>
internal sealed class LocalCluster : IAsyncDisposable
{
    public const string DatabaseName = "bench";
    private readonly string _directory;
    private readonly string[] _addresses;
    private readonly DqliteNode?[] _nodes;

    private LocalCluster(string directory, int count)
    {
        _directory = directory;
        _addresses = FreeAddresses(count);
        _nodes = new DqliteNode?[count];
    }

    public IEnumerable<DqliteNode> Nodes => _nodes.OfType<DqliteNode>();

    public static async Task<LocalCluster> StartAsync(string directory, int count)
    {
        var cluster = new LocalCluster(directory, count);
        for (var i = 0; i < count; i++)
        {
            await cluster.StartNodeAsync(i);
        }

        await using var connection = await cluster.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = Workload.CreateTable;
        await command.ExecuteNonQueryAsync();
        return cluster;
    }

    public async Task<DqliteNode> StartNodeAsync(int position)
    {
        var directory = Path.Combine(_directory, (position + 1).ToString(CultureInfo.InvariantCulture));
        var isKnown = File.Exists(Path.Combine(directory, "log.base"));
        var node = await DqliteNode.StartAsync(new DqliteNodeOptions
        {
            DataDirectory = directory,
            Address = isKnown || _addresses.Length == 1 ? "" : _addresses[position],
            Members = isKnown || _addresses.Length == 1 ? [] : _addresses,
        });
        Volatile.Write(ref _nodes[position], node);
        return node;
    }

    /// <summary>The node that leads, and its position; waits for one.</summary>
    public async Task<(DqliteNode Node, int Position)> LeaderAsync(CancellationToken cancellationToken = default)
    {
        while (true)
        {
            for (var i = 0; i < _nodes.Length; i++)
            {
                if (Volatile.Read(ref _nodes[i]) is { IsLeader: true } node)
                {
                    return (node, i);
                }
            }

            await Task.Delay(1, cancellationToken);
        }
    }

    public async Task<DqliteDataSource> SourceAsync() => await (await LeaderAsync()).Node.OpenDatabaseAsync(DatabaseName);

    public async Task<DqliteConnection> OpenAsync() => await (await SourceAsync()).OpenConnectionAsync();

    /// <summary>Ends a node as a kill would.</summary>
    public Task KillAsync(int position)
    {
        var node = _nodes[position]!;
        Volatile.Write(ref _nodes[position], null);
        return node.AbortAsync();
    }

    /// <summary>Completes when every node has applied what the leader has.</summary>
    public async Task WaitForAgreementAsync()
    {
        var (leader, _) = await LeaderAsync();
        while (Nodes.Any(node => node.AppliedIndex < leader.AppliedIndex))
        {
            await Task.Delay(1);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in Nodes)
        {
            await node.DisposeAsync();
        }
    }

    public static string[] FreeAddresses(int count)
    {
        var listeners = Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0)).ToArray();
        Array.ForEach(listeners, listener => listener.Start());
        var addresses = listeners.Select(listener => listener.LocalEndpoint.ToString()!).ToArray();
        Array.ForEach(listeners, listener => listener.Stop());
        return addresses;
    }
}
