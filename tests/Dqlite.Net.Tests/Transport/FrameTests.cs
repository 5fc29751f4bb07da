using System.Buffers;
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Dqlite.Net.Transport;

namespace Dqlite.Net.Tests.Transport;

[TestFixture]
public sealed class FrameTests
{
    private const int Seed = 99;

    [Test]
    public void The_checksum_is_crc32c()
    {
        // The check value of the CRC catalogue, and RFC 3720 appendix B.4.
        Assert.That(Crc32C.Compute("123456789"u8), Is.EqualTo(0xE3069283));
        Assert.That(Crc32C.Compute(new byte[32]), Is.EqualTo(0x8A9136AA));
        Assert.That(~Crc32C.Append(Crc32C.Append(uint.MaxValue, "1234"u8), "56789"u8), Is.EqualTo(0xE3069283));
    }

    // docs/formats/peer.md has the table; a change of these bytes is a change of the protocol.
    [Test]
    public void The_bytes_of_a_header_do_not_drift()
    {
        var bytes = new byte[FrameHeader.SizeBytes];
        var header = new FrameHeader(FrameType.Message, Channel.Log, 0x0201, 0x030201, 0x100, 0x20, 0xAABBCCDD);
        header.Write(bytes);
        Assert.That(Convert.ToHexString(bytes, 0, 24), Is.EqualTo("01020000" + "0402" + "0000" + "01020300" + "00010000" + "20000000" + "DDCCBBAA"));
        Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(24)), Is.EqualTo(Crc32C.Compute(bytes.AsSpan(0, 24))));
        Assert.That(FrameHeader.Read(bytes, 1 << 20), Is.EqualTo(header));
    }

    [Test]
    public void A_flipped_bit_anywhere_in_a_header_is_found()
    {
        var bytes = new byte[FrameHeader.SizeBytes];
        new FrameHeader(FrameType.Message, Channel.Control, 10, 10, 0, 5, 1).Write(bytes);
        for (var bit = 0; bit < 8 * bytes.Length; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.That(() => FrameHeader.Read(bytes, 1 << 20), Throws.TypeOf<PeerProtocolException>(), $"bit {bit}");
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
        }
    }

    [Test]
    public void A_header_with_a_good_checksum_and_bad_values_is_refused()
    {
        Refused(Valid() with { BodyBytes = FrameHeader.MaxBodyBytes + 1, MessageBytes = 4 << 20 });
        Refused(Valid() with { BodyBytes = int.MinValue });
        Refused(Valid() with { MessageBytes = int.MaxValue });
        Refused(Valid() with { MessageBytes = -1 });
        Refused(Valid() with { Offset = 91 });
        Refused(Valid() with { Offset = -1 });
        Refused(Valid() with { MessageHeaderBytes = 101 });
        Refused(Valid() with { MessageBytes = 4 << 20, MessageHeaderBytes = PeerMessageCodec.MaxHeaderBytes + 1 });
        Refused(Valid() with { Type = 0 });
        Refused(Valid() with { Type = (FrameType)5 });
        Refused(Valid() with { Channel = (Channel)4 });
        Refused(Valid() with { Type = FrameType.Hello });
        Refused(Valid() with { Type = FrameType.Hello, BodyBytes = 8 << 10, MessageBytes = 8 << 10 });

        static FrameHeader Valid() => new(FrameType.Message, Channel.Log, 10, 100, 0, 20, 0);

        static void Refused(FrameHeader header)
        {
            var bytes = new byte[FrameHeader.SizeBytes];
            header.Write(bytes);
            Assert.That(() => FrameHeader.Read(bytes, 8 << 20), Throws.TypeOf<PeerProtocolException>(), header.ToString());
        }
    }

    [Test]
    public void A_claimed_size_is_not_allocated_before_the_bytes_come()
    {
        var assembler = new MessageAssembler();
        var body = new ReadOnlySequence<byte>(new byte[100]);
        var header = new FrameHeader(FrameType.Message, Channel.Log, 100, int.MaxValue, 0, 10, 0);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(assembler.Add(header, body), Is.Null);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(3 << 20));
    }

    [Test]
    public void Fragments_out_of_order_are_refused()
    {
        var body = new ReadOnlySequence<byte>(new byte[10]);
        var first = new FrameHeader(FrameType.Message, Channel.Log, 10, 100, 0, 5, 0);
        Assert.That(() => new MessageAssembler().Add(first with { Offset = 10 }, body), Throws.TypeOf<PeerProtocolException>());
        foreach (var wrong in new[] { first, first with { Offset = 20 }, first with { Offset = 10, MessageBytes = 101 }, first with { Offset = 10, MessageHeaderBytes = 6 },
            first with { Offset = 10, BodyBytes = 0 } })
        {
            var assembler = new MessageAssembler();
            assembler.Add(first, body);
            Assert.That(() => assembler.Add(wrong, body), Throws.TypeOf<PeerProtocolException>(), wrong.ToString());
        }
    }

    [Test]
    public void Messages_of_any_size_and_shape_survive_framing()
    {
        TestContext.Out.WriteLine($"seed {Seed}");
        var random = new Random(Seed);
        var messages = Enumerable.Range(0, 300).Select(i => i % 50 == 49
            ? new StreamChunk(i, i, 1, RandomBytes(random, random.Next(3 << 20)))
            : RandomMessages.Next(random, i % RandomMessages.KindCount)).ToArray();
        var expected = messages.GroupBy(message => PeerMessageCodec.Encode(message, int.MaxValue).Channel)
            .ToDictionary(group => group.Key, group => group.Select(RandomMessages.Describe).ToArray());
        var actual = Enum.GetValues<Channel>().ToDictionary(channel => channel, _ => new List<string>());
        var options = new TransportOptions { FragmentBytes = 10_000 };
        foreach (var (channel, message) in Transfer(messages, options))
        {
            actual[channel].Add(RandomMessages.Describe(message));
        }

        foreach (var channel in Enum.GetValues<Channel>())
        {
            Assert.That(actual[channel], Is.EqualTo(expected[channel]), channel.ToString());
        }
    }

    [Test]
    public void Mutated_streams_give_typed_errors_only_and_bounded_allocations()
    {
        TestContext.Out.WriteLine($"seed {Seed}");
        var random = new Random(Seed);
        var stream = Frames([.. Enumerable.Range(0, 40).Select(i => RandomMessages.Next(random, i % RandomMessages.KindCount))]);
        for (var round = 0; round < 300; round++)
        {
            var mutated = stream.ToArray();
            for (var i = random.Next(1, 4); i > 0; i--)
            {
                mutated[random.Next(mutated.Length)] ^= (byte)(1 << random.Next(8));
            }

            Assert.That(() => ReadAll(mutated), Throws.TypeOf<PeerProtocolException>(), $"round {round}");
        }
    }

    [Test]
    public void What_is_urgent_passes_a_large_message_between_two_fragments()
    {
        var options = new TransportOptions();
        var queues = new ChannelQueues(options, new TransportCounters());
        var batch = new FrameBatch();
        queues.TryEnqueue(PeerMessageCodec.Encode(TestNode.Append(1, 2, new byte[64 << 20]).Wrap(), options.MaxMessageBytes), isConnected: true);
        queues.Fill(batch);
        Assert.That(batch.LengthBytes, Is.LessThan(options.FragmentBytes + 1000));

        queues.TryEnqueue(PeerMessageCodec.Encode(TestNode.Heartbeat(1, 2).Wrap(), options.MaxMessageBytes), isConnected: true);
        queues.Fill(batch);
        var first = ReadFrames(batch)[0];
        Assert.That(first.Channel, Is.EqualTo(Channel.Control));
        Assert.That(first.BodyBytes, Is.EqualTo(first.MessageBytes));
        Assert.That(queues.IsEmpty, Is.False);
    }

    [Test]
    public void The_log_and_a_stream_take_turns()
    {
        var options = new TransportOptions();
        var queues = new ChannelQueues(options, new TransportCounters());
        var batch = new FrameBatch();
        queues.TryEnqueue(PeerMessageCodec.Encode(new StreamChunk(1, 1, 1, new byte[4 << 20]), options.MaxMessageBytes), isConnected: true);
        queues.TryEnqueue(PeerMessageCodec.Encode(TestNode.Append(1, 2, new byte[4 << 20]).Wrap(), options.MaxMessageBytes), isConnected: true);
        var turns = new List<Channel>();
        for (var i = 0; i < 6; i++)
        {
            queues.Fill(batch);
            turns.AddRange(ReadFrames(batch).Select(frame => frame.Channel).Distinct());
        }

        Assert.That(turns, Is.EqualTo(new[] { Channel.Log, Channel.Stream, Channel.Log, Channel.Stream, Channel.Log, Channel.Stream }));
    }

    [Test]
    public void A_full_queue_drops_the_oldest_raft_message_and_refuses_any_other()
    {
        var counters = new TransportCounters();
        var queues = new ChannelQueues(new TransportOptions { MaxQueuedMessages = 3 }, counters);
        for (var i = 0; i < 5; i++)
        {
            Assert.That(queues.TryEnqueue(PeerMessageCodec.Encode(TestNode.Heartbeat(1, 2, i).Wrap(), 1000), isConnected: true), Is.True);
            Assert.That(queues.TryEnqueue(PeerMessageCodec.Encode(new NodeMessage(1, i, default), 1000), isConnected: true), Is.EqualTo(i < 3));
        }

        Assert.That(counters.MessagesDropped, Is.EqualTo(4));
        var batch = new FrameBatch();
        queues.Fill(batch);
        var received = Receive(batch).Select(item => item.Message).ToArray();
        Assert.That(received.OfType<RaftPeerMessage>().Select(item => ((Dqlite.Raft.HeartbeatRequest)item.Message).ReadSequence), Is.EqualTo(new[] { 2, 3, 4 }));
        Assert.That(received.OfType<NodeMessage>().Select(item => item.RequestId), Is.EqualTo(new[] { 0, 1, 2 }));
    }

    [Test]
    public void Bytes_bound_a_queue_too_but_one_message_always_fits()
    {
        var queues = new ChannelQueues(new TransportOptions { MaxQueuedBytes = 1000 }, new TransportCounters());
        Assert.That(queues.TryEnqueue(PeerMessageCodec.Encode(new StreamChunk(1, 1, 1, new byte[5000]), 10_000), isConnected: true), Is.True);
        Assert.That(queues.TryEnqueue(PeerMessageCodec.Encode(new StreamChunk(1, 2, 1, new byte[10]), 10_000), isConnected: true), Is.False);
    }

    private static byte[] RandomBytes(Random random, int count)
    {
        var bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }

    private static byte[] Frames(PeerMessage[] messages)
    {
        var (sending, receiving) = SocketPair();
        using var _ = sending;
        using var __ = receiving;
        foreach (var message in messages)
        {
            new FrameBatch().SendWhole(sending, PeerMessageCodec.Encode(message, int.MaxValue), 100, new TransportCounters());
        }

        sending.Shutdown(SocketShutdown.Send);
        using var stream = new NetworkStream(receiving);
        using var copy = new MemoryStream();
        stream.CopyTo(copy);
        return copy.ToArray();
    }

    private static void ReadAll(byte[] bytes)
    {
        var (sending, receiving) = SocketPair();
        using var _ = sending;
        using var __ = receiving;
        SocketCalls.SendAll(sending, bytes);
        sending.Shutdown(SocketShutdown.Send);
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            ReadMessages(receiving).Count();
        }
        finally
        {
            Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1 << 20));
        }
    }

    private static List<(Channel Channel, PeerMessage Message)> Transfer(PeerMessage[] messages, TransportOptions options)
    {
        var (sending, receiving) = SocketPair();
        using var _ = sending;
        using var __ = receiving;
        var queues = new ChannelQueues(options with { MaxQueuedMessages = int.MaxValue }, new TransportCounters());
        foreach (var message in messages)
        {
            queues.TryEnqueue(PeerMessageCodec.Encode(message, int.MaxValue), isConnected: true);
        }

        var sender = new Thread(() =>
        {
            var batch = new FrameBatch();
            while (!queues.IsEmpty)
            {
                queues.Fill(batch);
                batch.TrySend(sending);
            }

            sending.Shutdown(SocketShutdown.Send);
        });
        sender.Start();
        var received = ReadMessages(receiving).ToList();
        sender.Join();
        return received;
    }

    private static List<(Channel Channel, PeerMessage Message)> Receive(FrameBatch batch)
    {
        var (sending, receiving) = SocketPair();
        using var _ = sending;
        using var __ = receiving;
        batch.TrySend(sending);
        sending.Shutdown(SocketShutdown.Send);
        return [.. ReadMessages(receiving)];
    }

    private static List<FrameHeader> ReadFrames(FrameBatch batch)
    {
        var (sending, receiving) = SocketPair();
        using var _ = sending;
        using var __ = receiving;
        batch.TrySend(sending);
        sending.Shutdown(SocketShutdown.Send);
        using var reader = new FrameReader(receiving, new TransportCounters());
        var headers = new List<FrameHeader>();
        while (reader.TryRead(int.MaxValue, out var header, out var _))
        {
            headers.Add(header);
        }

        return headers;
    }

    private static IEnumerable<(Channel Channel, PeerMessage Message)> ReadMessages(Socket socket)
    {
        using var reader = new FrameReader(socket, new TransportCounters());
        MessageAssembler[] assemblers = [new(), new(), new(), new()];
        while (reader.TryRead(64 << 20, out var header, out var body))
        {
            if (assemblers[(int)header.Channel].Add(header, body) is { } message)
            {
                yield return (header.Channel, message);
            }
        }
    }

    private static (Socket Sending, Socket Receiving) SocketPair()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var sending = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        sending.Connect(listener.LocalEndPoint!);
        return (sending, listener.Accept());
    }
}
