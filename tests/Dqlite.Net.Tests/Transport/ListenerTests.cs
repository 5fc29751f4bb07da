using Dqlite.Net.Transport;

namespace Dqlite.Net.Tests.Transport;

[TestFixture]
public sealed class ListenerTests
{
    [Test]
    public void A_port_that_is_taken_is_named_with_the_remedy()
    {
        using var first = new TestNode(1).Start();
        using var second = new TestNode(2, first.Address);
        Assert.That(() => second.Start(), Throws.TypeOf<TransportConfigurationException>().With.Message.Contains(first.Address).And.Message.Contains("choose another address"));
    }

    [TestCase("0.0.0.0:0")]
    [TestCase("[::]:0")]
    [TestCase("10.11.12.13:0")]
    public void Without_tls_only_loopback_addresses_are_listened_on(string address)
    {
        using var node = new TestNode(1, address);
        Assert.That(() => node.Start(), Throws.TypeOf<TransportConfigurationException>().With.Message.Contains("AllowInsecureNonLoopback"));
    }

    [Test]
    public void Other_addresses_are_listened_on_when_that_is_said()
    {
        using var node = new TestNode(1, "0.0.0.0:0", options: new TransportOptions { AllowInsecureNonLoopback = true }).Start();
        Assert.That(node.Address, Does.StartWith("0.0.0.0:").And.Not.EndsWith(":0"));
    }

    [Test]
    public void The_wildcard_of_IPv6_takes_connections_over_IPv4_too()
    {
        Assume.That(System.Net.Sockets.Socket.OSSupportsIPv6, "this machine has no IPv6");
        using var node = new TestNode(1, "[::]:0", options: new TransportOptions { AllowInsecureNonLoopback = true }).Start();
        using var other = new TestNode(2).Start();
        other.Transport.SetPeers([(node.Id, $"127.0.0.1:{PeerAddress.Parse(node.Address).Port}")]);
        other.Events.Next<Connected>();
    }

    [Test]
    public void Other_addresses_are_not_dialled_either()
    {
        var logger = new ListLogger();
        using var node = new TestNode(1, options: new TransportOptions { Logger = logger }).Start();
        node.Transport.SetPeers([(new Dqlite.Raft.NodeId(2), "192.0.2.1:9000")]);
        Assert.That(logger.Wait(303), Does.Contain("192.0.2.1:9000").And.Contain("AllowInsecureNonLoopback"));
    }

    [TestCase("192.0.2.1:9000")]
    public void An_address_of_another_machine_cannot_be_listened_on(string address)
    {
        using var node = new TestNode(1, address, options: new TransportOptions { AllowInsecureNonLoopback = true });
        Assert.That(() => node.Start(), Throws.TypeOf<TransportConfigurationException>().With.Message.Contains(address));
    }

    [TestCase("")]
    [TestCase("localhost")]
    [TestCase(":80")]
    [TestCase("localhost:")]
    [TestCase("localhost:80 ")]
    [TestCase(" localhost:80")]
    [TestCase("localhost:+80")]
    [TestCase("localhost:-1")]
    [TestCase("localhost:65536")]
    [TestCase("localhost:0x50")]
    [TestCase("local host:80")]
    [TestCase("::1:80")]
    [TestCase("[::1]")]
    [TestCase("[::1:80")]
    [TestCase("[127.0.0.1]:80")]
    [TestCase("http://localhost:80")]
    [TestCase("localhost:80/")]
    public void An_address_is_parsed_strictly(string text)
    {
        Assert.That(() => PeerAddress.Parse(text), Throws.ArgumentException);
        using var node = new TestNode(1, text);
        Assert.That(() => node.Start(), Throws.TypeOf<TransportConfigurationException>());
    }

    [TestCase("localhost:80", "localhost", 80)]
    [TestCase("127.0.0.1:0", "127.0.0.1", 0)]
    [TestCase("[::1]:65535", "::1", 65535)]
    [TestCase("node-1.db.svc:9001", "node-1.db.svc", 9001)]
    public void An_address_is_parsed(string text, string host, int port)
    {
        Assert.That(PeerAddress.Parse(text), Is.EqualTo(new PeerAddress(host, port)));
        Assert.That(PeerAddress.Parse(text).ToString(), Is.EqualTo(text));
    }

    [Test]
    public void A_name_is_resolved()
    {
        using var node = new TestNode(1, "localhost:0").Start();
        using var other = new TestNode(2).Start();
        other.Transport.SetPeers([(node.Id, $"localhost:{PeerAddress.Parse(node.Address).Port}")]);
        other.Events.Next<Connected>();
    }

    [Test]
    public void A_transport_starts_once()
    {
        using var node = new TestNode(1).Start();
        Assert.That(() => node.Start(), Throws.InvalidOperationException);
    }
}
