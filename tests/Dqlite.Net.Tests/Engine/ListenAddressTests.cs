using System.Net;
using System.Net.Sockets;

namespace Dqlite.Net.Tests.Engine;

/// <summary>Nodes that listen at another address than the one that their peers reach them at.</summary>
internal sealed class ListenAddressTests : EngineFixture
{
    private readonly List<TestRelay> _relays = [];

    [TearDown]
    public async Task TearDownRelaysAsync()
    {
        foreach (var relay in _relays)
        {
            await relay.DisposeAsync();
        }

        _relays.Clear();
    }

    [Test]
    public async Task Nodes_behind_relays_know_each_other_by_the_addresses_of_the_relays()
    {
        Reserve(3);
        var leader = await Cluster.FoundReservedAsync();
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        await Cluster.CaughtUpAsync();
        var reached = _relays.Select(relay => relay.Address).ToArray();
        foreach (var node in Cluster.Running)
        {
            var members = await node.Cluster.ListAsync();
            Assert.That(members.Select(member => member.Address), Is.EqualTo(reached));
            await EventuallyAsync(() => node.Leader is not null, "the node knows the leader");
            Assert.That(node.Leader!.Address, Is.EqualTo(leader.Address));
        }

        Assert.That(Cluster.Running.Select(node => node.Address), Is.EqualTo(reached));
        Assert.That(Cluster.Addresses, Is.All.Matches((string address) => Cluster.Log.Lines(300).Any(line => line.EndsWith(address, StringComparison.Ordinal))), "each listens where it was told to");
    }

    [Test]
    public async Task A_node_joins_and_comes_back_at_the_address_of_its_relay()
    {
        Reserve(1);
        await Cluster.FoundReservedAsync();
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        Reserve(1);
        var joined = await Cluster.StartAsync(1, options => options with { Members = [], Join = _relays[0].Address });
        await EventuallyAsync(async () => (await Cluster[0].Cluster.ListAsync()).Any(member => member.Id == joined.Id && member.IsVoter), "the node is a voter");
        Assert.That((await Cluster[0].Cluster.ListAsync())[1].Address, Is.EqualTo(_relays[1].Address));

        await Cluster.AbortAsync(1);
        var again = await Cluster.StartAsync(1, options => options with { Address = "", Members = [] });
        Assert.That(again.Address, Is.EqualTo(_relays[1].Address), "the address is stored, and the other is not");
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "INSERT INTO t VALUES (1)");
    }

    [TestCase("127.0.0.1", "127.0.0.1:9001", "Address", "host:port")]
    [TestCase("0.0.0.0:9001", "", "Address", "ListenAddress")]
    [TestCase("[::]:9001", "127.0.0.1:9001", "Address", "ListenAddress")]
    [TestCase("127.0.0.1:0", "127.0.0.1:9001", "Address", "no port")]
    [TestCase("127.0.0.1:9001", "127.0.0.1", "ListenAddress", "host:port")]
    [TestCase("127.0.0.1:9001", "any where:9001", "ListenAddress", "host:port")]
    [TestCase("127.0.0.1:9001", "127.0.0.1:0", "ListenAddress", "no port")]
    [TestCase("", "127.0.0.1:9001", "ListenAddress", "needs an Address")]
    public void Addresses_that_cannot_work_are_refused_by_the_name_of_the_option(string address, string listenAddress, string option, string said)
    {
        var options = new DqliteNodeOptions { DataDirectory = Cluster.DirectoryOf(0), Address = address, ListenAddress = listenAddress };
        var failure = Assert.ThrowsAsync<ArgumentException>(() => DqliteNode.StartAsync(options))!;
        Assert.Multiple(() =>
        {
            Assert.That(failure.ParamName, Is.EqualTo(option));
            Assert.That(failure.Message, Does.StartWith(option + " ").And.Contain(said));
        });
    }

    [Test]
    public async Task All_addresses_of_the_machine_are_listened_on_only_when_that_is_allowed()
    {
        var failure = await FailureAsync(() => StartAsync("0.0.0.0:9001"));
        Assert.That(failure.Message, Does.Contain("0.0.0.0:9001").And.Contain(nameof(DqliteNodeOptions.AllowInsecureNonLoopback)));
    }

    [Test]
    public async Task A_port_in_use_is_named_as_it_is_listened_on()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var failure = await FailureAsync(() => StartAsync(taken.LocalEndpoint.ToString()!));
        Assert.That(failure.Message, Does.Contain($"Cannot listen on {taken.LocalEndpoint}"));
    }

    private Task StartAsync(string listenAddress) =>
        DqliteNode.StartAsync(new DqliteNodeOptions { DataDirectory = Cluster.DirectoryOf(0), Address = "127.0.0.1:9001", ListenAddress = listenAddress });

    /// <summary>More nodes, each with a relay in front of it.</summary>
    private void Reserve(int count)
    {
        Cluster.Reserve(count);
        _relays.AddRange(Cluster.Addresses.Skip(_relays.Count).Select(address => new TestRelay(address)));
        var members = _relays.Select(relay => relay.Address).ToArray();
        Cluster.Configure = options => options with
        {
            Address = _relays[Cluster.Addresses.ToList().IndexOf(options.Address)].Address,
            ListenAddress = options.Address,
            Members = members,
        };
    }
}
