using System.Net;
using System.Net.Sockets;
using Dqlite.Net;

namespace Quickstart;

/// <summary>The nodes of one run, in this process.</summary>
internal sealed class Cluster : IAsyncDisposable
{
    private readonly ConsoleLog? _log;
    private readonly string _directory;
    private readonly string[] _addresses;
    private readonly DqliteNode?[] _nodes;
    private volatile DqliteDataSource? _leader;

    private Cluster(string directory, int count, ConsoleLog? log)
    {
        _log = log;
        _directory = directory;
        _addresses = FreeAddresses(count);
        _nodes = new DqliteNode?[count];
    }

    /// <summary>The nodes that run.</summary>
    public IReadOnlyList<DqliteNode> Running => _nodes.Where(node => node is not null).Select(node => node!).ToArray();

    public static async Task<Cluster> StartAsync(string directory, int count, ConsoleLog? log)
    {
        var cluster = new Cluster(directory, count, log);
        for (var i = 0; i < count; i++)
        {
            await cluster.StartNodeAsync(i);
        }

        return cluster;
    }

    /// <summary>Starts (again) the node at a position.</summary>
    public async Task StartNodeAsync(int position)
    {
        var directory = Path.Combine(_directory, (position + 1).ToString(System.Globalization.CultureInfo.InvariantCulture));
        var isKnown = File.Exists(Path.Combine(directory, "log.base"));
        _nodes[position] = await DqliteNode.StartAsync(new DqliteNodeOptions
        {
            DataDirectory = directory,
            LoggerFactory = _log,
            Address = isKnown ? "" : _addresses[position],
            Members = isKnown ? [] : _addresses,
        });
    }

    /// <summary>The database at the current leader; waits for one.</summary>
    public async Task<DqliteDataSource> LeaderAsync()
    {
        while (true)
        {
            var leader = Running.FirstOrDefault(node => node.IsLeader);
            if (leader is not null)
            {
                var known = _leader;
                return known is not null && ReferenceEquals(_leaderNode, leader) ? known : await RememberAsync(leader);
            }

            await Task.Delay(1);
        }
    }

    /// <summary>The node that leads now, and its position.</summary>
    public async Task<(DqliteNode Node, int Position)> LeaderNodeAsync()
    {
        while (true)
        {
            for (var i = 0; i < _nodes.Length; i++)
            {
                if (_nodes[i] is { IsLeader: true } node)
                {
                    return (node, i);
                }
            }

            await Task.Delay(1);
        }
    }

    /// <summary>Kills a node without a word to anybody.</summary>
    public async Task KillAsync(int position)
    {
        var node = _nodes[position]!;
        _nodes[position] = null;
        await node.AbortAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in Running)
        {
            await node.DisposeAsync();
        }
    }

    private DqliteNode? _leaderNode;

    private async Task<DqliteDataSource> RememberAsync(DqliteNode leader)
    {
        var source = await leader.OpenDatabaseAsync(Facts.Database);
        _leaderNode = leader;
        _leader = source;
        return source;
    }

    private static string[] FreeAddresses(int count)
    {
        var listeners = Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0)).ToArray();
        foreach (var listener in listeners)
        {
            listener.Start();
        }

        var addresses = listeners.Select(listener => listener.LocalEndpoint.ToString()!).ToArray();
        foreach (var listener in listeners)
        {
            listener.Stop();
        }

        return addresses;
    }
}
