using System.Diagnostics;
using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Tests.Transport;

[TestFixture]
public sealed class ConnectionLifeTests
{
    [Test]
    public void A_node_of_another_cluster_is_refused_and_told_why()
    {
        using var first = new TestNode(1, cluster: "ffffffffffffffffffffffffffffffff").Start();
        using var second = new TestNode(2).Start();
        second.Events.Verdict = remote => remote.ClusterId == TestNode.Cluster
            ? HandshakeVerdict.Accept
            : HandshakeVerdict.Refuse($"Node 2 belongs to cluster {TestNode.Cluster}, not to {remote.ClusterId}.");
        first.Dial(second);
        var refused = first.Events.Next<Refused>();
        Assert.That(refused.Peer, Is.EqualTo(second.Id));
        Assert.That(refused.Reason, Does.Contain(TestNode.Cluster).And.Contain("ffffffff"));
        Assert.That(first.Events.Count<Connected>() + second.Events.Count<Accepted>(), Is.Zero);
    }

    [Test]
    public void A_dialling_node_refuses_too_and_its_messages_stay_with_it()
    {
        var logger = new ListLogger();
        using var first = new TestNode(1).Start();
        using var second = new TestNode(2, options: new TransportOptions { Logger = logger }).Start();
        first.Events.Verdict = _ => HandshakeVerdict.Refuse("Incarnation changed: remove node 2, then let it join.");
        first.Send(second, TestNode.Heartbeat(1, 2));
        first.Dial(second);
        Assert.That(first.Events.Next<Refused>().Reason, Does.Contain("remove node 2"));
        Assert.That(logger.Wait(307), Does.Contain("remove node 2").And.Contain("127.0.0.1:"));
        Assert.That(second.Events.Count<Received>(), Is.Zero);
    }

    [Test]
    public void A_different_node_at_a_known_address_is_refused()
    {
        using var first = new TestNode(1).Start();
        using var third = new TestNode(3).Start();
        first.Transport.SetPeers([(new NodeId(2), third.Address)]);
        Assert.That(first.Events.Next<Refused>().Reason, Does.Contain("Node 2 is expected").And.Contain("node 3"));
    }

    [Test]
    public void Two_nodes_with_the_same_id_refuse_each_other()
    {
        using var first = new TestNode(1).Start();
        using var other = new TestNode(1).Start();
        first.Transport.SetPeers([(new NodeId(2), other.Address)]);
        Assert.That(first.Events.Next<Refused>().Reason, Does.Contain("same id"));
    }

    [Test]
    public void A_node_that_gets_its_identity_later_is_accepted_then()
    {
        using var first = new TestNode(1).Start();
        using var blank = new TestNode(0, cluster: "").Start();
        first.Transport.SetPeers([(new NodeId(2), blank.Address)]);
        first.Events.Next<Refused>();
        blank.Transport.SetIdentity(TestNode.Identity(2));
        first.Events.Next<Connected>();
        Assert.That(blank.Events.Next<Accepted>().Remote, Is.EqualTo(TestNode.Identity(1)));
    }

    [Test]
    public void A_peer_that_dies_is_noticed_at_once_in_both_directions()
    {
        var (first, second) = TestNode.Pair();
        using var _ = first;
        first.Events.Next<Accepted>();
        var stopwatch = Stopwatch.StartNew();
        second.Transport.StopAbruptly();
        first.Events.Next<Disconnected>();
        first.Events.Next<Disconnected>();
        Assert.That(stopwatch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(4)), "Keep-alive alone would find it after five.");
        Assert.That(second.Events.Count<Disconnected>(), Is.Zero, "A stopped transport reports nothing.");
    }

    [Test]
    public void A_peer_that_comes_back_on_the_same_port_is_connected_again()
    {
        var (first, second) = TestNode.Pair();
        using var _ = first;
        var address = second.Address;
        second.Transport.StopAbruptly();
        first.Events.Next<Disconnected>();
        using var again = new TestNode(2, address).Start();
        first.Events.Next<Connected>();
        Assert.That(first.Send(again, TestNode.Heartbeat(1, 2, 5)), Is.True);
        Assert.That(again.Events.Next<Received>().Message.Raft(), Is.EqualTo(TestNode.Heartbeat(1, 2, 5)));
    }

    [Test]
    public void Messages_keep_their_order_through_many_deaths()
    {
        const int Lives = 8;
        using var first = new TestNode(1).Start();
        var address = "127.0.0.1:0";
        var sequence = 0L;
        for (var life = 0; life < Lives; life++)
        {
            using var second = new TestNode(2, address);
            var heard = new List<long>();
            using var enough = new ManualResetEventSlim();
            second.Events.Handler = (_, message) =>
            {
                heard.Add(((HeartbeatRequest)message.Raft()).ReadSequence);
                if (heard.Count == 200)
                {
                    enough.Set();
                }
            };
            second.Start();
            first.Dial(second);
            address = second.Address;
            while (!enough.IsSet)
            {
                first.Send(second, TestNode.Heartbeat(1, 2, sequence++));
            }

            second.Transport.StopAbruptly();
            Assert.That(heard, Is.Ordered.And.Unique, $"life {life}");
        }
    }

    [Test]
    public void Only_the_newest_raft_messages_wait_for_a_connection()
    {
        using var first = new TestNode(1).Start();
        using var second = new TestNode(2, "127.0.0.1:0");
        string address;
        using (var place = new TestNode(9).Start())
        {
            address = place.Address;
        }

        first.Transport.SetPeers([(new NodeId(2), address)]);
        for (var i = 0; i < 100; i++)
        {
            Assert.That(first.Send(second, TestNode.Heartbeat(1, 2, i)), Is.True);
        }

        Assert.That(first.Transport.Send(second.Id, new NodeMessage(1, 1, default)), Is.False);
        Assert.That(first.Transport.Send(new NodeId(77), new NodeMessage(1, 1, default)), Is.False);
        Assert.That(first.Transport.MessagesDropped, Is.EqualTo(100 - ChannelQueues.MaxWithoutConnection + 1));

        using var late = new TestNode(2, address).Start();
        for (var i = 100 - ChannelQueues.MaxWithoutConnection; i < 100; i++)
        {
            Assert.That(((HeartbeatRequest)late.Events.Next<Received>().Message.Raft()).ReadSequence, Is.EqualTo(i));
        }
    }

    [Test]
    public void A_peer_that_is_no_longer_listed_is_disconnected_without_an_event()
    {
        var (first, second) = TestNode.Pair();
        using var _ = first;
        using var __ = second;
        first.Events.Next<Accepted>();
        first.Dial();
        second.Events.Next<Disconnected>();
        second.Events.Next<Disconnected>();
        Assert.That(first.Send(second, TestNode.Heartbeat(1, 2)), Is.False);
        Assert.That(first.Events.Count<Disconnected>(), Is.Zero);
    }

    [Test]
    public void A_peer_that_moved_is_dialled_at_its_new_address()
    {
        var (first, second) = TestNode.Pair();
        using var _ = first;
        second.Dispose();
        using var moved = new TestNode(2).Start();
        first.Dial(moved);
        moved.Events.Next<Accepted>();
        first.Events.Next<Connected>();
    }

    [Test]
    public void A_polite_stop_delivers_what_was_sent()
    {
        var (first, second) = TestNode.Pair();
        using var _ = second;
        for (var i = 0; i < 100; i++)
        {
            first.Transport.Send(second.Id, new StreamChunk(1, i, 1, new byte[20_000]));
        }

        first.Dispose();
        for (var i = 0; i < 100; i++)
        {
            Assert.That(((StreamChunk)second.Events.Next<Received>().Message).Sequence, Is.EqualTo(i));
        }
    }

    [Test]
    public void Stopping_while_peers_cannot_be_reached_is_quick()
    {
        var first = new TestNode(1).Start();
        first.Transport.SetPeers([(new NodeId(2), "127.0.0.1:1"), (new NodeId(3), "127.0.0.1:2")]);
        var stopwatch = Stopwatch.StartNew();
        first.Dispose();
        Assert.That(stopwatch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(1.5)));
    }

    [Test]
    public void With_every_pool_thread_blocked_nodes_connect_and_talk()
    {
        // More blockers than threads: whatever thread becomes free takes the next one, so nothing queued behind them ever runs.
        const int Blockers = 200;
        ThreadPool.GetMinThreads(out var minWorkers, out var minPorts);
        ThreadPool.GetMaxThreads(out var maxWorkers, out var maxPorts);
        var release = new ManualResetEventSlim();
        var count = Environment.ProcessorCount;
        Assert.That(ThreadPool.SetMinThreads(1, 1) && ThreadPool.SetMaxThreads(count, count), Is.True);
        try
        {
            for (var i = 0; i < Blockers; i++)
            {
                ThreadPool.UnsafeQueueUserWorkItem(_ => release.Wait(), null);
            }

            var probe = new ManualResetEventSlim();
            ThreadPool.UnsafeQueueUserWorkItem(_ => probe.Set(), null);

            var (first, second) = TestNode.Pair();
            using var _ = first;
            using var __ = second;
            first.Send(second, TestNode.Append(1, 2, new byte[1 << 20]));
            second.Events.Next<Received>();
            second.Send(first, TestNode.Heartbeat(2, 1));
            first.Events.Next<Received>();
            var reply = PeerClient.Call(first.Address, TestNode.Identity(0, ""), new NodeMessage(1, 2, default), TimeSpan.FromSeconds(20));
            Assert.That(reply.Response.RequestId, Is.EqualTo(2));
            second.Transport.StopAbruptly();
            first.Events.Next<Disconnected>();
            Assert.That(probe.IsSet, Is.False, "The pool was not blocked after all.");
        }
        finally
        {
            release.Set();
            ThreadPool.SetMaxThreads(maxWorkers, maxPorts);
            ThreadPool.SetMinThreads(minWorkers, minPorts);
        }
    }
}
