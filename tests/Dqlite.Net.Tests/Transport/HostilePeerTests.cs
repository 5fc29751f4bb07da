using System.Net;
using System.Net.Sockets;
using System.Text;
using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Tests.Transport;

[TestFixture]
public sealed class HostilePeerTests
{
    private ListLogger logger = null!;
    private TestNode node = null!;

    [SetUp]
    public void Start()
    {
        logger = new ListLogger();
        node = new TestNode(1, options: new TransportOptions { Logger = logger, HandshakeTimeout = TimeSpan.FromSeconds(1) }).Start();
    }

    [TearDown]
    public void Stop()
    {
        node.Dispose();
        Assert.That(logger.Lines(310), Is.Empty, "A defect was logged.");
    }

    [Test]
    public void Something_else_is_dropped_with_one_line_that_names_its_address()
    {
        using var socket = Connect();
        SocketCalls.SendAll(socket, Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        AssertDropped(socket);
        Assert.That(logger.Wait(307), Does.Contain(socket.LocalEndPoint!.ToString()).And.Contain("speaks something else"));
        AssertStillServes();
        Assert.That(logger.Lines(307), Has.Length.EqualTo(1));
    }

    [Test]
    public void A_silent_one_is_dropped()
    {
        using var socket = Connect();
        AssertDropped(socket);
        Assert.That(logger.Wait(307), Does.Contain("silent"));
    }

    [Test]
    public void One_that_drips_bytes_is_dropped_at_the_same_time()
    {
        using var socket = Connect();
        using var stop = new ManualResetEventSlim();
        var dripper = new Thread(() =>
        {
            try
            {
                SocketCalls.SendAll(socket, [.. "DQLP"u8, 1, 0, 0, 0]);
                while (!stop.Wait(200))
                {
                    SocketCalls.SendAll(socket, "\u0001"u8);
                }
            }
            catch (SocketException)
            {
            }
        });
        dripper.Start();
        AssertDropped(socket);
        stop.Set();
        dripper.Join();
        Assert.That(logger.Wait(307), Does.Contain("silent"));
    }

    [Test]
    public void Another_version_of_the_framing_is_told_so()
    {
        using var socket = Connect();
        SocketCalls.SendAll(socket, [.. "DQLP"u8, 2, 0, 0, 0]);
        var answer = ReadToEnd(socket);
        Assert.That(Encoding.ASCII.GetString(answer), Does.Contain("version 1 of the protocol, not 2"));
    }

    [Test]
    public void Another_version_of_the_messages_is_told_so()
    {
        using var socket = Connect();
        using var reader = new FrameReader(socket, new TransportCounters());
        Assert.That(() => Handshake.Dial(socket, reader, TestNode.Identity(2) with { ProtocolVersion = 7 }, _ => HandshakeVerdict.Accept),
            Throws.TypeOf<PeerRefusedException>().With.Message.Contains("not 7"));
    }

    [Test]
    public void A_malformed_identity_is_dropped()
    {
        foreach (var hello in new[]
        {
            TestNode.Identity(2) with { ClusterId = "x" },
            TestNode.Identity(2) with { Incarnation = "" },
            TestNode.Identity(2) with { Incarnation = new string('F', 32) },
            TestNode.Identity(2) with { NodeId = new NodeId(-1) },
            TestNode.Identity(2) with { Purpose = (PeerPurpose)3 },
            TestNode.Identity(2) with { Address = new string('a', 2000) },
        })
        {
            using var socket = Connect();
            using var reader = new FrameReader(socket, new TransportCounters());
            Assert.That(() => Handshake.Dial(socket, reader, hello, _ => HandshakeVerdict.Accept),
                Throws.TypeOf<PeerProtocolException>().Or.InstanceOf<SocketException>(), hello.ToString());
        }
    }

    [Test]
    public void A_claim_of_two_gigabytes_is_dropped()
    {
        using var socket = Connect();
        Introduce(socket);
        var header = new byte[FrameHeader.SizeBytes];
        new FrameHeader(FrameType.Message, Channel.Log, 1000, int.MaxValue, 0, 10, 0).Write(header);
        SocketCalls.SendAll(socket, header);
        AssertDropped(socket);
        Assert.That(logger.Wait(307), Does.Contain("2147483647"));
        node.Events.Next<Disconnected>();
    }

    [Test]
    public void A_message_in_the_name_of_another_node_is_dropped()
    {
        using var socket = Connect();
        Introduce(socket);
        Send(socket, TestNode.Heartbeat(3, 1).Wrap());
        AssertDropped(socket);
        Assert.That(logger.Wait(307), Does.Contain("from 3 to 1"));
        Assert.That(node.Events.Count<Received>(), Is.Zero);
    }

    [Test]
    public void Raft_messages_on_a_connection_for_requests_are_dropped()
    {
        using var socket = Connect();
        Introduce(socket, PeerPurpose.Rpc);
        Send(socket, TestNode.Heartbeat(2, 1).Wrap());
        AssertDropped(socket);
        Assert.That(node.Events.Count<Received>(), Is.Zero);
    }

    [Test]
    public void A_blank_node_sends_no_raft_messages()
    {
        using var socket = Connect();
        using var reader = new FrameReader(socket, new TransportCounters());
        Assert.That(() => Handshake.Dial(socket, reader, TestNode.Identity(0, ""), _ => HandshakeVerdict.Accept),
            Throws.TypeOf<PeerRefusedException>().With.Message.Contains("without an id"));
    }

    [Test]
    public void Nothing_is_heard_before_the_handshake_is_done()
    {
        using var socket = Connect();
        Send(socket, TestNode.Heartbeat(2, 1).Wrap());
        AssertDropped(socket);
        Assert.That(node.Events.Count<Received>(), Is.Zero);
    }

    [Test]
    public void Garbage_after_the_handshake_ends_the_connection_and_nothing_else()
    {
        const int Seed = 31;
        TestContext.Out.WriteLine($"seed {Seed}");
        var random = new Random(Seed);
        for (var round = 0; round < 30; round++)
        {
            using var socket = Connect();
            Introduce(socket);
            var garbage = new byte[FrameHeader.SizeBytes + random.Next(1000)];
            random.NextBytes(garbage);
            SocketCalls.SendAll(socket, garbage);
            AssertDropped(socket);
        }

        AssertStillServes();
    }

    [Test]
    public void A_dialled_address_that_speaks_something_else_is_dialled_again()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        node.Transport.SetPeers([(new NodeId(2), listener.LocalEndPoint!.ToString()!)]);
        for (var i = 0; i < 2; i++)
        {
            using var socket = listener.Accept();
            SocketCalls.SendAll(socket, "220 smtp.example.org ESMTP\r\n"u8);
            ReadToEnd(socket);
        }

        Assert.That(logger.Wait(303), Does.Contain(listener.LocalEndPoint!.ToString()).And.Contain("speaks something else"));
    }

    [Test]
    public void The_end_of_the_dialled_connection_alone_is_reported()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        node.Transport.SetPeers([(new NodeId(2), listener.LocalEndPoint!.ToString()!)]);
        foreach (var close in new Action<Socket>[] { SocketCalls.Close, SocketCalls.Reset })
        {
            using var socket = listener.Accept();
            using var reader = new FrameReader(socket, new TransportCounters());
            Handshake.Answer(socket, reader, () => TestNode.Identity(2), _ => HandshakeVerdict.Accept);
            node.Events.Next<Connected>();
            close(socket);
            node.Events.Next<Disconnected>();
        }
    }

    [Test]
    public void A_peer_that_takes_no_bytes_is_given_up()
    {
        using var impatient = new TestNode(1, options: new TransportOptions { StallTimeout = TimeSpan.FromMilliseconds(300) }).Start();
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        impatient.Transport.SetPeers([(new NodeId(2), listener.LocalEndPoint!.ToString()!)]);
        using var socket = listener.Accept();
        using var reader = new FrameReader(socket, new TransportCounters());
        Handshake.Answer(socket, reader, () => TestNode.Identity(2), _ => HandshakeVerdict.Accept);
        impatient.Events.Next<Connected>();
        impatient.Transport.Send(new NodeId(2), TestNode.Append(1, 2, new byte[64 << 20]).Wrap());
        impatient.Events.Next<Disconnected>();
        Assert.That(impatient.Transport.MessagesDropped, Is.EqualTo(1));
    }

    [Test]
    public void Connections_over_the_limit_are_reset()
    {
        using var limited = new TestNode(1, options: new TransportOptions { MaxAcceptedConnections = 1, Logger = logger }).Start();
        using var first = Connect(limited);
        Introduce(first);
        using var second = Connect(limited);
        AssertDropped(second);
        Assert.That(logger.Wait(308), Does.Contain("1 others"));
    }

    [Test]
    public void A_heartbeat_passes_a_message_of_64_MiB_that_is_in_flight()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        node.Transport.SetPeers([(new NodeId(2), listener.LocalEndPoint!.ToString()!)]);
        using var socket = listener.Accept();
        using var reader = new FrameReader(socket, new TransportCounters());
        Handshake.Answer(socket, reader, () => TestNode.Identity(2), _ => HandshakeVerdict.Accept);
        node.Events.Next<Connected>();
        node.Transport.Send(new NodeId(2), TestNode.Append(1, 2, new byte[64 << 20]).Wrap());

        // The first fragment is here, so the message is in flight, and the socket cannot hold the rest of it.
        Assert.That(reader.TryRead(96 << 20, out var header, out _) && header.Channel == Channel.Log, Is.True);
        node.Transport.Send(new NodeId(2), TestNode.Heartbeat(1, 2).Wrap());
        while (header.Channel == Channel.Log)
        {
            Assert.That(reader.TryRead(96 << 20, out header, out _), Is.True);
            Assert.That(header.Offset + header.BodyBytes, Is.LessThan(32 << 20), "The heartbeat came late.");
        }

        Assert.That(header.Channel, Is.EqualTo(Channel.Control));
    }

    private static void Send(Socket socket, PeerMessage message) =>
        new FrameBatch().SendWhole(socket, PeerMessageCodec.Encode(message, int.MaxValue), 1 << 20, new TransportCounters());

    private static void AssertDropped(Socket socket)
    {
        socket.ReceiveTimeout = 20_000;
        try
        {
            ReadToEnd(socket);
        }
        catch (SocketException exception)
        {
            Assert.That(exception.SocketErrorCode, Is.EqualTo(SocketError.ConnectionReset).Or.EqualTo(SocketError.Shutdown));
        }
    }

    private static byte[] ReadToEnd(Socket socket)
    {
        using var stream = new NetworkStream(socket, ownsSocket: false);
        using var copy = new MemoryStream();
        try
        {
            stream.CopyTo(copy);
        }
        catch (IOException exception) when (exception.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset })
        {
        }

        return copy.ToArray();
    }

    private Socket Connect(TestNode? target = null)
    {
        var address = PeerAddress.Parse((target ?? node).Address);
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Connect(IPAddress.Parse(address.Host), address.Port);
        return socket;
    }

    private static void Introduce(Socket socket, PeerPurpose purpose = PeerPurpose.Raft)
    {
        using var reader = new FrameReader(socket, new TransportCounters());
        Handshake.Dial(socket, reader, TestNode.Identity(2) with { Purpose = purpose }, _ => HandshakeVerdict.Accept);
    }

    private void AssertStillServes()
    {
        using var socket = Connect();
        Introduce(socket);
        Send(socket, TestNode.Heartbeat(2, 1).Wrap());
        node.Events.Next<Received>();
    }
}
