using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Dqlite.Net.Engine;
using Dqlite.Raft;

namespace Dqlite.Net.Tests.Engine;

/// <summary>Nodes of one cluster in this process, each with a directory of its own below a temporary one.</summary>
internal sealed class TestCluster : IAsyncDisposable
{
    /// <summary>Slots are set while writers look for a leader.</summary>
    private readonly DqliteNode?[] _nodes = new DqliteNode?[16];
    private readonly List<string> _addresses = [];

    public string Root { get; } = Path.Combine(Path.GetTempPath(), $"dqlite-test-{Guid.NewGuid():N}");

    public TestLog Log { get; } = new();

    /// <summary>Changes the options of every node that is started from now on.</summary>
    public Func<DqliteNodeOptions, DqliteNodeOptions> Configure { get; set; } = options => options;

    public IReadOnlyList<string> Addresses => _addresses;

    public IEnumerable<DqliteNode> Running => _nodes.ToArray().Where(node => node is not null).Select(node => node!);

    public DqliteNode this[int position] => _nodes[position] ?? throw new InvalidOperationException($"Node {position} does not run.");

    /// <summary>Waits for a condition that no event announces.</summary>
    public static async Task EventuallyAsync(Func<Task<bool>> condition, string what)
    {
        var clock = Stopwatch.StartNew();
        while (!await condition())
        {
            Assert.That(clock.Elapsed, Is.LessThan(TimeSpan.FromSeconds(60)), $"It never happened: {what}.");
            await Task.Delay(5);
        }
    }

    public string DirectoryOf(int position) => Path.Combine(Root, (position + 1).ToString(CultureInfo.InvariantCulture));

    public string DatabasePath(int position, string name = "app") => Path.Combine(DirectoryOf(position), "databases", name + ".db");

    /// <summary>Founds a cluster and waits for its leader.</summary>
    public Task<DqliteNode> FoundAsync(int count)
    {
        Reserve(count);
        return FoundReservedAsync();
    }

    /// <summary>Founds a cluster of all that addresses are reserved for.</summary>
    public async Task<DqliteNode> FoundReservedAsync()
    {
        for (var i = 0; i < _addresses.Count; i++)
        {
            await StartAsync(i);
        }

        return await LeaderAsync();
    }

    /// <summary>Addresses for nodes that are started later. Below the system's ephemeral ports: one of those could be taken by a connection while its node is down.</summary>
    public void Reserve(int count)
    {
        for (var i = 0; i < count; i++)
        {
            _addresses.Add(FreeAddress());
        }
    }

    /// <summary>The options of a founding member.</summary>
    public DqliteNodeOptions OptionsOf(int position) => Configure(new DqliteNodeOptions
    {
        DataDirectory = DirectoryOf(position),
        Address = _addresses[position],
        Members = _addresses,
        LoggerFactory = Log.FactoryFor($"[{position}]"),
    });

    /// <summary>Starts (again) the node at a position.</summary>
    public async Task<DqliteNode> StartAsync(int position, Func<DqliteNodeOptions, DqliteNodeOptions>? change = null)
    {
        var options = OptionsOf(position);
        var node = await DqliteNode.StartAsync(change is null ? options : change(options)).WaitAsync(TimeSpan.FromSeconds(60));
        _nodes[position] = node;
        return node;
    }

    /// <summary>Starts a blank node that joins.</summary>
    public Task<DqliteNode> JoinAsync(int position, int through, bool asVoter = true) =>
        StartAsync(position, options => options with { Members = [], Join = _addresses[through], JoinAsVoter = asVoter });

    /// <summary>As a kill would.</summary>
    public async Task AbortAsync(int position)
    {
        var node = this[position];
        _nodes[position] = null;
        await node.AbortAsync();
    }

    public async Task StopAsync(int position)
    {
        var node = this[position];
        _nodes[position] = null;
        await node.StopAsync();
    }

    public async Task AbortAllAsync()
    {
        for (var i = 0; i < _nodes.Length; i++)
        {
            if (_nodes[i] is not null)
            {
                await AbortAsync(i);
            }
        }
    }

    public int PositionOf(DqliteNode node) => Array.IndexOf(_nodes, node);

    /// <summary>Waits until a running node leads and takes writes.</summary>
    public async Task<DqliteNode> LeaderAsync(Predicate<DqliteNode>? condition = null)
    {
        DqliteNode? leader = null;
        await EventuallyAsync(
            () =>
            {
                leader = Running.FirstOrDefault(node => node.IsLeader && (condition is null || condition(node)));
                return Task.FromResult(leader is not null);
            },
            "a node leads");
        return leader!;
    }

    /// <summary>A running node that does not lead.</summary>
    public async Task<DqliteNode> FollowerAsync()
    {
        var leader = await LeaderAsync();
        var follower = Running.First(node => node != leader);
        await EventuallyAsync(() => Task.FromResult(follower.Leader?.Id == leader.Id), "the follower knows the leader");
        return follower;
    }

    public async Task<DqliteDataSource> OpenOnLeaderAsync(string name = "app") => await (await LeaderAsync()).OpenDatabaseAsync(name);

    /// <summary>Waits until every running node has applied what the leader has now.</summary>
    public async Task CaughtUpAsync()
    {
        // Asked on the loop: whoever waited for a commit may be faster than the turn in which it was applied.
        var index = await OnLoopAsync(await LeaderAsync(), node => node.Applier.LastApplied.Value);
        await EventuallyAsync(() => Task.FromResult(Running.All(node => node.AppliedIndex >= index)), $"every node has applied index {index}");
    }

    /// <summary>Closes the connections between a running node and the others; nobody dials again.</summary>
    public Task CutAsync(DqliteNode node) => ConnectAsync((from, to) => from != node.Id && to != node.Id);

    public Task HealAsync() => ConnectAsync((_, _) => true);

    /// <summary>Stops a node's loop in its tracks: it answers nothing, and its connections stay. Dispose to let it go on.</summary>
    public static async Task<IDisposable> FreezeAsync(DqliteNode node)
    {
        var context = await node.ReadyAsync(CancellationToken.None);
        var thaw = new ManualResetEventSlim();
        var frozen = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        context.Call((_, _) =>
        {
            frozen.SetResult();
            thaw.Wait(TimeSpan.FromSeconds(60));
        });
        await frozen.Task;
        return new Frozen(thaw);
    }

    public static async Task<T> OnLoopAsync<T>(DqliteNode node, Func<NodeContext, T> ask)
    {
        var context = await node.ReadyAsync(CancellationToken.None);
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        Assert.That(context.Call((_, _) => answer.SetResult(ask(context))), Is.True, "the loop runs");
        return await answer.Task.WaitAsync(TimeSpan.FromSeconds(60));
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await Task.WhenAll(Running.Select(node => node.AbortAsync()));
        }
        finally
        {
            if (Directory.Exists(Root))
            {
                Directory.Delete(Root, recursive: true);
            }
        }
    }

    private async Task ConnectAsync(Func<long, long, bool> areConnected)
    {
        foreach (var node in Running)
        {
            await OnLoopAsync(node, context =>
            {
                context.Transport!.SetPeers(context.Core.Configuration.Members
                    .Where(member => member.Id != context.Core.Id && areConnected(context.Core.Id.Value, member.Id.Value)).Select(member => (member.Id, member.Address)).ToArray());
                return true;
            });
        }
    }

    private sealed class Frozen(ManualResetEventSlim thaw) : IDisposable
    {
        public void Dispose() => thaw.Set();
    }

    private string FreeAddress()
    {
        while (true)
        {
            var port = Random.Shared.Next(12_000, 32_000);
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            var endPoint = new IPEndPoint(IPAddress.Loopback, port);
            try
            {
                socket.Bind(endPoint);
            }
            catch (SocketException)
            {
                continue;
            }

            if (!_addresses.Contains(endPoint.ToString()))
            {
                return endPoint.ToString();
            }
        }
    }
}
