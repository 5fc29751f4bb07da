using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Simulation.World;
using static Dqlite.Simulation.Tests.World.NetworkBed;

namespace Dqlite.Simulation.Tests.World;

/// <summary>Connections and messages while nothing goes wrong, and handshakes.</summary>
public sealed class SimNetworkTests
{
    [Test]
    public void Each_node_dials_each_peer_and_both_sides_hear_of_it()
    {
        var bed = new NetworkBed(3);
        bed.Run(SecondNs);
        foreach (var (from, to) in new[] { (1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2) })
        {
            Assert.That(bed.Events($"connected {from}->{to}"), Has.Length.EqualTo(1));
            Assert.That(bed.Events($"accepted {to}<-{from}"), Has.Length.EqualTo(1));
        }

        Assert.That(bed.Events("disconnected"), Is.Empty);
    }

    [Test]
    public void Messages_arrive_as_they_were_sent_and_observers_see_them()
    {
        var bed = new NetworkBed();
        var observed = new List<string>();
        bed.Network.Sent = (from, to, message) => observed.Add($"sent {from}>{to} {message.GetType().Name}");
        bed.Network.Delivered = (from, to, message) => observed.Add($"delivered {from}>{to} {message.GetType().Name}");
        bed.Run(SecondNs);
        PeerMessage? received = null;
        bed[2].OnReceived = message => received = message;
        var payload = new byte[300_000];
        new SeededRandom(1).Fill(payload);
        var append = new AppendEntriesRequest(new NodeId(1), new NodeId(2), new Term(3), new LogIndex(4), new Term(2), new LogIndex(5), new LogIndex(6), new LogIndex(1), 8, 9,
            [new LogEntry(new LogIndex(5), new Term(3), EntryKind.Application, payload), new LogEntry(new LogIndex(6), new Term(3), EntryKind.NoOp, default)]);
        Assert.That(bed[1].Transport.Send(new NodeId(2), new RaftPeerMessage(append)), Is.True);
        bed.Run(SecondNs);
        var copy = (AppendEntriesRequest)((RaftPeerMessage)received!).Message;
        Assert.That(copy with { Entries = append.Entries }, Is.EqualTo(append));
        Assert.That(copy.Entries[0].Payload.Span.SequenceEqual(payload), Is.True);
        Assert.That(observed, Is.EqualTo(new[] { "sent 1>2 RaftPeerMessage", "delivered 1>2 RaftPeerMessage" }));
        Assert.That(bed[2].Transport.BytesReceived, Is.GreaterThan(300_000));
    }

    [Test]
    public void Messages_of_a_channel_keep_their_order_whatever_the_delays()
    {
        var options = new NetworkOptions { Link = new LinkSettings { JitterNs = 50 * MillisecondNs, LossChance = 0.3, MaxLossDelayNs = 200 * MillisecondNs } };
        var bed = new NetworkBed(options: options);
        bed.Run(5 * SecondNs);
        for (var i = 0; i < 1000; i++)
        {
            Assert.That(bed[1].Send(2, i), Is.True);
            bed.Run(MillisecondNs);
        }

        bed.Run(5 * SecondNs);
        Assert.That(bed[2].Received, Is.EqualTo(Enumerable.Range(0, 1000).Select(i => (long)i)));
    }

    [Test]
    public void Small_messages_pass_a_stream_that_fills_the_window()
    {
        var bed = new NetworkBed();
        bed.Run(SecondNs);
        for (var i = 0; i < 20; i++)
        {
            Assert.That(bed[1].Transport.Send(new NodeId(2), new StreamChunk(1, i, 2, new byte[256 << 10])), Is.True);
        }

        bed[1].Send(2, 77);
        bed.Run(SecondNs);
        var arrived = bed.Events("message 2<-1");
        Assert.That(arrived.Where(line => line.Contains("chunk", StringComparison.Ordinal)).ToArray(),
            Is.EqualTo(Enumerable.Range(0, 20).Select(i => $"message 2<-1 chunk {i} {256 << 10}")));
        Assert.That(Array.IndexOf(arrived, "message 2<-1 77"), Is.LessThan(10));
    }

    [Test]
    public void The_same_seed_gives_the_same_deliveries_and_another_seed_others()
    {
        static string Play(ulong seed)
        {
            var bed = new NetworkBed(3, seed);
            for (var i = 0; i < 300; i++)
            {
                bed[1 + (i % 3)].Send(1 + ((i + 1) % 3), i);
                bed.Run(10 * MillisecondNs);
                if (i % 50 == 49)
                {
                    bed.Network.Break(1, 2);
                    bed.Network.Link(2, 3).CorruptNext();
                }
            }

            bed.Run(5 * SecondNs);
            return string.Join('\n', bed.Record);
        }

        Assert.That(Play(5), Is.EqualTo(Play(5)).And.Not.EqualTo(Play(6)));
    }

    [Test]
    public void Raft_messages_wait_for_a_connection_and_only_the_newest_are_kept()
    {
        var bed = new NetworkBed();
        for (var i = 0; i < 100; i++)
        {
            Assert.That(bed[1].Send(2, i), Is.True);
        }

        Assert.That(bed[1].Transport.Send(new NodeId(2), new NodeMessage(1, 1, default)), Is.False, "without a connection others are refused");
        Assert.That(bed[1].Transport.Send(new NodeId(9), new NodeMessage(1, 1, default)), Is.False, "no such peer");
        bed.Run(SecondNs);
        Assert.That(bed[2].Received, Is.EqualTo(Enumerable.Range(84, 16).Select(i => (long)i)));
        Assert.That(bed[1].Transport.MessagesDropped, Is.EqualTo(85));
    }

    [Test]
    public void The_answering_side_may_refuse_and_the_dialling_side_learns_why()
    {
        var bed = new NetworkBed();
        bed[2].Verdict = remote => HandshakeVerdict.Refuse($"no {remote.NodeId}");
        bed.Run(SecondNs);
        Assert.That(bed.Events("refused 1->2"), Has.Length.GreaterThan(1), "it dials again");
        Assert.That(bed.Events("refused 1->2"), Has.All.EqualTo("refused 1->2 it refused this node: no 1"));
        Assert.That(bed.Events("accepted 2<-1").Concat(bed.Events("connected 1->2")), Is.Empty);
        bed[2].Verdict = _ => HandshakeVerdict.Accept;
        bed.Run(3 * SecondNs);
        Assert.That(bed.Events("connected 1->2"), Has.Length.EqualTo(1));
    }

    [Test]
    public void The_dialling_side_may_refuse_too()
    {
        var bed = new NetworkBed();
        bed[1].Verdict = remote => remote.NodeId.Value == 2 ? HandshakeVerdict.Refuse("not you") : HandshakeVerdict.Accept;
        bed.Run(SecondNs);
        Assert.That(bed.Events("refused 1->2"), Has.All.EqualTo("refused 1->2 this node refused it: not you"));
        Assert.That(bed.Events("refused 2->1"), Has.All.EqualTo("refused 2->1 it refused this node: not you"));
        Assert.That(bed.Events("accepted").Concat(bed.Events("connected")), Is.Empty);
    }

    [Test]
    public void Another_node_at_the_address_of_a_peer_is_refused()
    {
        var bed = new NetworkBed(3);
        bed[1].Transport.SetPeers([(new NodeId(2), AddressOf(3))]);
        bed.Run(SecondNs);
        Assert.That(bed.Events("refused 1->2")[0], Does.Contain($"Node 2 is expected at {AddressOf(3)}, but node 3 answers there."));
    }

    [Test]
    public void Connections_to_nodes_that_are_no_peers_any_more_are_closed_without_an_event()
    {
        var bed = new NetworkBed();
        bed.Run(SecondNs);
        bed[1].Transport.SetPeers([]);
        bed.Run(SecondNs);
        Assert.That(bed.Events("disconnected 1"), Is.Empty);
        Assert.That(bed.Events("disconnected 2-1"), Has.Length.GreaterThanOrEqualTo(2), "the other side hears of both");
        Assert.That(bed[1].Send(2, 1), Is.False);
    }

    [Test]
    public void A_request_is_answered_over_a_connection_of_its_own()
    {
        var bed = new NetworkBed();
        var answers = new List<NodeMessage?>();
        var blank = new Hello("", NodeId.None, ClusterId, AddressOf(1), PeerPurpose.Rpc);
        bed.Network.Call(blank, AddressOf(2), new NodeMessage(3, 44, new byte[200_000]), answers.Add);
        bed.Run(SecondNs);
        Assert.That(answers, Has.Count.EqualTo(1));
        Assert.That((answers[0]!.Kind, answers[0]!.RequestId, answers[0]!.Body.Length), Is.EqualTo(((byte)3, 44L, 200_000)));
        Assert.That(bed.Events("request"), Is.EqualTo(new[] { "request 2<-0" }));

        bed[2].Verdict = _ => HandshakeVerdict.Refuse("no");
        bed.Network.Call(blank, AddressOf(2), new NodeMessage(3, 45, default), answers.Add);
        bed.Network.Call(blank, "nowhere:1", new NodeMessage(3, 46, default), answers.Add);
        bed.Run(SecondNs);
        bed[2].Verdict = _ => HandshakeVerdict.Accept;
        bed[2].Answer = _ => null;
        bed.Network.Call(blank, AddressOf(2), new NodeMessage(3, 47, default), answers.Add, timeoutNs: 2 * SecondNs);
        bed.Run(3 * SecondNs);
        bed[2].Machine.Kill();
        bed.Network.Call(blank, AddressOf(2), new NodeMessage(3, 48, default), answers.Add);
        bed.Run(SecondNs);
        Assert.That(answers.Skip(1), Is.EqualTo(new NodeMessage?[] { null, null, null, null }));
    }
}
