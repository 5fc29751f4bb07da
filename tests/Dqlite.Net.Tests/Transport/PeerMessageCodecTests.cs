using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Tests.Transport;

[TestFixture]
public sealed class PeerMessageCodecTests
{
    private const int Seed = 4711;

    [Test]
    public void Every_message_survives_a_round_trip([Range(0, RandomMessages.KindCount - 1)] int kind)
    {
        TestContext.Out.WriteLine($"seed {Seed}");
        var random = new Random(Seed + kind);
        for (var round = 0; round < 500; round++)
        {
            var message = RandomMessages.Next(random, kind);
            var (header, payload) = RandomMessages.Encode(message);
            Assert.That(RandomMessages.Describe(PeerMessageCodec.Decode(header, payload)), Is.EqualTo(RandomMessages.Describe(message)), $"round {round}");
        }
    }

    [Test]
    public void The_kinds_of_raft_messages_are_all_covered()
    {
        var random = new Random(Seed);
        var seen = Enumerable.Range(1, RandomMessages.KindCount - 2).Select(kind => RandomMessages.Next(random, kind).Raft().Kind);
        Assert.That(seen, Is.EquivalentTo(Enum.GetValues<RaftMessageKind>()));
    }

    // docs/formats/peer.md states the fields; a change of these bytes is a change of the protocol.
    [Test]
    public void The_bytes_of_headers_do_not_drift()
    {
        NodeId one = new(1), two = new(2);
        var term = new Term(5);
        Assert.Multiple(() =>
        {
            Check(new PreVoteRequest(one, two, term, new LogIndex(300), new Term(4)).Wrap(), "92019601010205CD012C04");
            Check(new PreVoteResponse(one, two, term, new Term(6), true).Wrap(), "920196020102" + "0506C3");
            Check(new VoteRequest(one, two, term, new LogIndex(300), new Term(4), false).Wrap(), "92019703010205CD012C04C2");
            Check(new VoteResponse(one, two, term, true).Wrap(), "92019504010205C3");
            Check(new AppendEntriesRequest(one, two, term, new LogIndex(7), new Term(4), new LogIndex(8), new LogIndex(9), new LogIndex(6), 11, -1,
                [new LogEntry(new LogIndex(8), term, EntryKind.NoOp, default), new LogEntry(new LogIndex(9), term, EntryKind.Application, new byte[] { 1, 2, 3 })]).Wrap(),
                "92019B05010205070409060BFF96050100050303", "010203");
            Check(new AppendEntriesResponse(one, two, term, false, new LogIndex(1), new LogIndex(2), new Term(3), new LogIndex(4), 5, 6).Wrap(),
                "92019B06010205C2010203040506");
            Check(new HeartbeatRequest(one, two, term, new LogIndex(1), 2, 3).Wrap(), "92019707010205010203");
            Check(new HeartbeatResponse(one, two, term, 2, 3).Wrap(), "920196080102050203");
            Check(new TimeoutNow(one, two, term, new LogIndex(9)).Wrap(), "9201950901020509");
            Check(new ReadIndexRequest(one, two, term, 1000).Wrap(), "9201950A010205CD03E8");
            Check(new ReadIndexResponse(one, two, term, 1000, true, new LogIndex(9)).Wrap(), "9201970B010205CD03E8C309");
            Check(new NodeMessage(3, 200, new byte[] { 9 }), "930203CCC8", "09");
            Check(new StreamChunk(1, 2, 3, new byte[] { 8 }), "9403010203", "08");
        });

        static void Check(PeerMessage message, string header, string payload = "")
        {
            var encoded = RandomMessages.Encode(message);
            Assert.That((Convert.ToHexString(encoded.Header), Convert.ToHexString(encoded.Payload)), Is.EqualTo((header, payload)), message.ToString());
        }
    }

    [Test]
    public void Mutated_messages_give_typed_errors_only_and_bounded_allocations()
    {
        TestContext.Out.WriteLine($"seed {Seed}");
        var random = new Random(Seed);
        for (var round = 0; round < 100_000; round++)
        {
            var (header, payload) = RandomMessages.Encode(RandomMessages.Next(random, round % RandomMessages.KindCount));
            Mutate(random, ref header);
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                PeerMessageCodec.Decode(header, payload);
            }
            catch (MessagePackSerializationException)
            {
            }

            // 64 bytes of object for 3 bytes of header, and an exception with its texts.
            Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan((32 * header.Length) + (64 << 10)), $"round {round}");
        }
    }

    [Test]
    public void Entries_that_do_not_fit_the_indexes_are_not_sent()
    {
        var append = TestNode.Append(1, 2, new byte[3]);
        foreach (var wrong in new[]
        {
            append with { Entries = [] },
            append with { FirstIndex = append.FirstIndex.Next },
            append with { Entries = [append.Entries[0] with { Index = new LogIndex(99) }] },
        })
        {
            Assert.That(() => PeerMessageCodec.Encode(wrong.Wrap(), int.MaxValue), Throws.ArgumentException);
        }
    }

    [Test]
    public void A_message_over_the_bound_is_not_sent() =>
        Assert.That(() => PeerMessageCodec.Encode(new NodeMessage(1, 1, new byte[1000]), 1000), Throws.ArgumentException);

    [Test]
    public void The_largest_number_of_entries_fits_the_header()
    {
        var entries = Enumerable.Range(0, RaftMessageCodec.MaxEntries)
            .Select(i => new LogEntry(new LogIndex(1 + i), new Term(long.MaxValue / 2), EntryKind.Application, default)).ToArray();
        var append = new AppendEntriesRequest(new NodeId(1), new NodeId(2), new Term(1), LogIndex.Zero, Term.Zero, new LogIndex(1), new LogIndex(entries.Length),
            LogIndex.Zero, 0, 0, entries);
        var (header, payload) = RandomMessages.Encode(append.Wrap());
        Assert.That(header, Has.Length.LessThan(PeerMessageCodec.MaxHeaderBytes));
        Assert.That(((AppendEntriesRequest)PeerMessageCodec.Decode(header, payload).Raft()).Entries, Has.Count.EqualTo(entries.Length));
    }

    private static void Mutate(Random random, ref byte[] bytes)
    {
        switch (random.Next(3))
        {
            case 0:
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                break;
            case 1:
                Array.Resize(ref bytes, random.Next(bytes.Length));
                break;
            default:
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                Array.Resize(ref bytes, bytes.Length + random.Next(4));
                break;
        }
    }
}
