using System.Net;
using System.Net.Sockets;
using Dqlite.Net.Transport;

namespace Dqlite.Net.Tests.Transport;

[TestFixture]
public sealed class PeerClientTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly Hello Blank = TestNode.Identity(0, "");

    [TestCase(0)]
    [TestCase(100)]
    [TestCase(3_000_000)]
    public async Task A_blank_node_asks_and_is_answered(int sizeBytes)
    {
        using var node = new TestNode(1).Start();
        node.Events.Answer = (_, request) => request with { Kind = 9 };
        var body = new byte[sizeBytes];
        new Random(1).NextBytes(body);
        var reply = await PeerClient.CallAsync(node.Address, Blank, new NodeMessage(8, 77, body), Patience);
        Assert.That((reply.Response.Kind, reply.Response.RequestId), Is.EqualTo(((byte)9, 77L)));
        Assert.That(reply.Response.Body.ToArray(), Is.EqualTo(body));
        Assert.That(reply.Remote, Is.EqualTo(TestNode.Identity(1) with { Purpose = PeerPurpose.Rpc }));
        Assert.That(node.Events.Next<Requested>().From, Is.EqualTo(Blank with { Purpose = PeerPurpose.Rpc }));
    }

    [Test]
    public void A_refusal_carries_its_reason()
    {
        using var node = new TestNode(1).Start();
        node.Events.Verdict = _ => HandshakeVerdict.Refuse("go away");
        Assert.That(() => PeerClient.CallAsync(node.Address, Blank, new NodeMessage(1, 1, default), Patience),
            Throws.TypeOf<PeerRefusedException>().With.Message.Contains("go away"));
    }

    [Test]
    public void Nobody_there_is_a_socket_error() =>
        Assert.That(() => PeerClient.CallAsync("127.0.0.1:1", Blank, new NodeMessage(1, 1, default), Patience), Throws.InstanceOf<SocketException>());

    [Test]
    public void Silence_is_a_timeout()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        Assert.That(() => PeerClient.CallAsync(listener.LocalEndPoint!.ToString()!, Blank, new NodeMessage(1, 1, default), TimeSpan.FromMilliseconds(200)),
            Throws.TypeOf<TimeoutException>());
    }

    [Test]
    public void A_request_without_an_answer_is_a_timeout()
    {
        using var node = new TestNode(1).Start();
        node.Events.Answer = (_, _) => null;
        Assert.That(() => PeerClient.CallAsync(node.Address, Blank, new NodeMessage(1, 1, default), TimeSpan.FromMilliseconds(300)), Throws.TypeOf<TimeoutException>());
    }

    [Test]
    public void A_node_that_stops_ends_the_wait()
    {
        using var node = new TestNode(1).Start();
        node.Events.Answer = (_, _) => null;
        var call = PeerClient.CallAsync(node.Address, Blank, new NodeMessage(1, 1, default), Patience);
        node.Events.Next<Requested>();
        node.Dispose();
        Assert.That(() => call, Throws.TypeOf<PeerProtocolException>().Or.InstanceOf<SocketException>());
    }

    [Test]
    public void Cancellation_ends_the_wait()
    {
        using var node = new TestNode(1).Start();
        node.Events.Answer = (_, _) => null;
        using var source = new CancellationTokenSource();
        var call = PeerClient.CallAsync(node.Address, Blank, new NodeMessage(1, 1, default), Patience, null, source.Token);
        node.Events.Next<Requested>();
        source.Cancel();
        Assert.That(() => call, Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void Another_machine_is_not_asked_unless_that_is_said() =>
        Assert.That(() => PeerClient.CallAsync("192.0.2.1:9000", Blank, new NodeMessage(1, 1, default), Patience),
            Throws.TypeOf<TransportConfigurationException>().With.Message.Contains("192.0.2.1:9000"));
}
