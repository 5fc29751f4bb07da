using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Dqlite.Net;

namespace Quickstart;

/// <summary>The nodes of one run, in this process: node N has the directory N.</summary>
internal sealed class Cluster : IAsyncDisposable
{
    private static readonly TimeSpan LeaderPatience = TimeSpan.FromSeconds(60);

    private readonly ConsoleLog? _log;
    private readonly string _directory;
    private readonly string[] _addresses;
    private readonly DqliteNode?[] _nodes;

    private Cluster(string directory, int count, ConsoleLog? log)
    {
        _log = log;
        _directory = directory;
        _addresses = FreeAddresses(count);
        _nodes = new DqliteNode?[count];
    }

    /// <summary>The nodes that run.</summary>
    public IReadOnlyList<DqliteNode> Running => _nodes.OfType<DqliteNode>().ToArray();

    /// <summary>Starts a new cluster, or the one that a directory holds already.</summary>
    public static async Task<Cluster> StartAsync(string directory, int count, ConsoleLog? log)
    {
        var known = Enumerable.Range(1, 99).Where(node => IsKnown(DirectoryOf(directory, node))).ToArray();
        if (known.Length > 0 && !known.SequenceEqual(Enumerable.Range(1, count)))
        {
            throw new ArgumentException($"{directory} holds node {string.Join(", ", known)} of an earlier run: start it with --nodes {known.Length}, or choose an empty directory.");
        }

        var cluster = new Cluster(directory, count, log);
        try
        {
            for (var i = 0; i < count; i++)
            {
                await cluster.StartNodeAsync(i);
            }

            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts (again) the node at a position.</summary>
    public async Task StartNodeAsync(int position)
    {
        var directory = DirectoryOf(_directory, position + 1);
        var isKnown = IsKnown(directory);
        Volatile.Write(ref _nodes[position], await DqliteNode.StartAsync(new DqliteNodeOptions
        {
            DataDirectory = directory,
            LoggerFactory = _log,
            Address = isKnown ? "" : _addresses[position],
            Members = isKnown ? [] : _addresses,
        }));
    }

    /// <summary>The node that leads now, and its position; waits for one.</summary>
    public async Task<(DqliteNode Node, int Position)> LeaderAsync()
    {
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            for (var i = 0; i < _nodes.Length; i++)
            {
                if (Volatile.Read(ref _nodes[i]) is { IsLeader: true } node)
                {
                    return (node, i);
                }
            }

            if (Stopwatch.GetElapsedTime(began) > LeaderPatience)
            {
                var failure = Running.Select(node => node.Failure?.Message).FirstOrDefault(message => message is not null);
                throw new TimeoutException($"no node leads since {LeaderPatience.TotalSeconds:0} seconds{(failure is null ? "" : $"; one stopped: {failure}")}");
            }

            await Task.Delay(1);
        }
    }

    /// <summary>Kills a node without a word to anybody.</summary>
    public async Task KillAsync(int position)
    {
        var node = _nodes[position]!;
        Volatile.Write(ref _nodes[position], null);
        await node.AbortAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in Running)
        {
            await node.DisposeAsync();
        }
    }

    private static string DirectoryOf(string directory, int node) => Path.Combine(directory, node.ToString(CultureInfo.InvariantCulture));

    private static bool IsKnown(string directory) => File.Exists(Path.Combine(directory, "log.base"));

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
