using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Simulation.World;
using static Dqlite.Simulation.Tests.World.NetworkBed;

namespace Dqlite.Simulation.Tests.World;

/// <summary>What links, and machines, do to connections.</summary>
public sealed class NetworkFaultTests
{
    [Test]
    public void A_clogged_link_holds_bytes_and_then_lets_them_flow()
    {
        var bed = Connected();
        bed.Network.Link(1, 2).Clog(bed.Scheduler.NowNs + (3 * SecondNs));
        bed[1].Send(2, 1);
        bed[2].Send(1, 2);
        bed.Run((3 * SecondNs) - 1);
        Assert.That((bed[2].Received.Count, bed[1].Received.Count), Is.EqualTo((0, 1)), "one way only");
        bed[1].Send(2, 3);
        bed.Run(MillisecondNs * 50);
        Assert.That(bed[2].Received, Is.EqualTo(new[] { 1L, 3L }));
        Assert.That(bed.Events("disconnected"), Is.Empty);
    }

    [Test]
    public void After_a_short_block_nothing_is_lost()
    {
        var bed = Connected();
        bed.Network.Split([1]);
        bed[1].Send(2, 1);
        bed.Run(5 * SecondNs);
        Assert.That(bed[2].Received, Is.Empty);
        bed.Network.Heal();
        bed.Run(SecondNs);
        Assert.That(bed[2].Received, Is.EqualTo(new[] { 1L }));
        Assert.That(bed.Events("disconnected"), Is.Empty);
    }

    [Test]
    public void A_block_that_lasts_breaks_the_connections_on_each_side_and_they_come_back_after_it()
    {
        var bed = Connected();
        bed.Network.Isolate(1);
        bed.Run(9 * SecondNs);
        Assert.That(bed.Events("disconnected"), Is.Empty);
        bed.Run(3 * SecondNs);
        Assert.That(bed.Events("disconnected 1-2"), Has.Length.EqualTo(2));
        Assert.That(bed.Events("disconnected 2-1"), Has.Length.EqualTo(2));
        var times = bed.Record.Where(line => line.Contains("disconnected", StringComparison.Ordinal)).Select(line => line.Split(' ')[0]).Distinct().Count();
        Assert.That(times, Is.GreaterThan(2), "each at its own time");
        bed[1].Send(2, 7);
        bed.Run(20 * SecondNs);
        Assert.That(bed.Events("connected"), Has.Length.EqualTo(2), "only those before the block");
        bed.Network.Heal();
        bed.Run(10 * SecondNs);
        Assert.That(bed.Events("connected"), Has.Length.EqualTo(4));
        Assert.That(bed[2].Received, Is.EqualTo(new[] { 7L }), "it waited for a connection");
    }

    [Test]
    public void Partitions_block_what_they_say()
    {
        Assert.That(Reached(network => network.Split([1, 2])), Is.EqualTo("12 21 34 35 43 45 53 54"));
        Assert.That(Reached(network => network.Isolate(3)), Is.EqualTo("12 14 15 21 24 25 41 42 45 51 52 54"));
        Assert.That(Reached(network => network.Ring([1, 2, 3, 4, 5])), Is.EqualTo("12 15 21 23 32 34 43 45 51 54"));
        Assert.That(Reached(network => network.BlockOneWay([1, 2], [3, 4, 5])), Is.EqualTo("12 21 31 32 34 35 41 42 43 45 51 52 53 54"));
        Assert.That(Reached(network => network.Deafen(1)), Is.EqualTo("12 13 14 15 23 24 25 32 34 35 42 43 45 52 53 54"));
        Assert.That(Reached(network => network.Mute(1)), Is.EqualTo("21 23 24 25 31 32 34 35 41 42 43 45 51 52 53 54"));
    }

    [Test]
    public void A_broken_connection_is_noticed_on_both_sides_and_dialled_again()
    {
        var bed = Connected();
        bed.Network.Break(1, 2);
        bed.Run(SecondNs);
        Assert.That(bed.Events("disconnected 1-2"), Has.Length.EqualTo(1));
        Assert.That(bed.Events("disconnected 2-1"), Has.Length.EqualTo(1));
        Assert.That(bed.Events("connected 1->2"), Has.Length.EqualTo(2));
        Assert.That(bed.Events("connected 2->1"), Has.Length.EqualTo(1));
        bed[1].Send(2, 5);
        bed.Run(SecondNs);
        Assert.That(bed[2].Received, Is.EqualTo(new[] { 5L }));
    }

    [Test]
    public void What_was_under_way_on_a_connection_that_breaks_arrives_up_to_some_point()
    {
        var counts = new SortedSet<int>();
        for (ulong seed = 1; seed <= 100; seed++)
        {
            var bed = Connected(seed);
            for (var i = 0; i < 5; i++)
            {
                bed[1].Send(2, i);
            }

            bed.Network.Break(1, 2);
            bed.Run(5 * SecondNs);
            Assert.That(bed[2].Received, Is.EqualTo(Enumerable.Range(0, bed[2].Received.Count).Select(i => (long)i)), $"seed {seed}");
            counts.Add(bed[2].Received.Count);
        }

        Assert.That(counts, Is.EqualTo(new[] { 0, 1, 2, 3, 4 }), "the last one is torn at least");
    }

    [Test]
    public void Late_bytes_of_an_old_connection_may_come_behind_those_of_the_next()
    {
        var late = 0;
        for (ulong seed = 1; seed <= 100; seed++)
        {
            var bed = Connected(seed);
            for (var i = 0; i < 5; i++)
            {
                bed[1].Send(2, i);
            }

            bed.Network.Break(1, 2);
            while (bed.Events("connected 1->2").Length == 1)
            {
                bed.Run(MillisecondNs);
            }

            bed[1].Send(2, 100);
            bed.Run(5 * SecondNs);
            Assert.That(bed[2].Received, Does.Contain(100L));
            Assert.That(bed[2].Received.Where(sequence => sequence < 100), Is.Ordered);
            late += bed[2].Received[^1] == 100 ? 0 : 1;
        }

        Assert.That(late, Is.InRange(5, 95));
    }

    [Test]
    public void A_flipped_bit_ends_the_connection_and_never_reaches_the_receiver()
    {
        for (ulong seed = 1; seed <= 200; seed++)
        {
            var bed = Connected(seed);
            bed.Network.Link(1, 2).CorruptNext();
            bed[1].Send(2, 1);
            bed.Run(SecondNs);
            Assert.That(bed[2].Received, Is.Empty, $"seed {seed}");
            Assert.That(bed.Events("disconnected 2-1"), Has.Length.EqualTo(1));
            Assert.That(bed.Events("connected 1->2"), Has.Length.EqualTo(2));
        }
    }

    [Test]
    public void The_death_of_a_process_is_seen_after_the_delay_of_the_link()
    {
        var bed = Connected();
        bed[1].Machine.Kill();
        bed.Run(2 * MillisecondNs);
        Assert.That(bed.Events("disconnected 2-1"), Has.Length.EqualTo(2), "the connection of either direction");
        Assert.That(() => bed[1].Send(2, 1), Throws.TypeOf<MachineDownException>());
        Assert.That(bed.Events("disconnected 1"), Is.Empty);
        var old = bed[1].Transport;
        bed[1].Machine.Start();
        bed[1].StartTransport();
        Assert.That(() => old.Send(new NodeId(2), new NodeMessage(1, 1, default)), Throws.TypeOf<MachineDownException>());
        bed.Run(2 * SecondNs);
        Assert.That(bed.Events("connected"), Has.Length.EqualTo(4));
        bed[2].Send(1, 3);
        bed.Run(SecondNs);
        Assert.That(bed[1].Received, Is.EqualTo(new[] { 3L }));
    }

    [Test]
    public void A_death_behind_a_block_is_seen_when_the_block_ends()
    {
        var bed = Connected();
        bed.Network.Isolate(1);
        bed[1].Machine.Kill();
        bed.Run(5 * SecondNs);
        Assert.That(bed.Events("disconnected"), Is.Empty);
        bed.Network.Heal();
        bed.Run(SecondNs);
        Assert.That(bed.Events("disconnected 2-1"), Has.Length.EqualTo(2));
    }

    [Test]
    public void A_silent_power_cut_is_noticed_by_the_stall_timeout_or_when_the_machine_is_back()
    {
        var options = new NetworkOptions { SilentPowerCutChance = 1 };
        var bed = Connected(options: options);
        bed[1].Machine.PowerOff();
        bed.Run(9 * SecondNs);
        Assert.That(bed.Events("disconnected"), Is.Empty);
        bed.Run(3 * SecondNs);
        Assert.That(bed.Events("disconnected 2-1"), Has.Length.EqualTo(2));

        bed = Connected(options: options);
        bed[1].Machine.PowerOff();
        bed.Run(SecondNs);
        bed[1].Machine.Start();
        bed[1].StartTransport();
        bed.Run(4 * SecondNs);
        Assert.That(bed.Events("disconnected 2-1"), Has.Length.EqualTo(2));
        Assert.That(bed.Events("connected"), Has.Length.EqualTo(4));
    }

    [Test]
    public void A_paused_machine_stays_connected_and_reads_when_it_goes_on()
    {
        var bed = Connected();
        bed[2].Machine.Pause();
        bed[1].Send(2, 1);
        bed.Run(30 * SecondNs);
        Assert.That(bed[2].Received, Is.Empty);
        Assert.That(bed.Events("disconnected"), Is.Empty);
        bed[2].Machine.Resume();
        bed.Run(SecondNs);
        Assert.That(bed[2].Received, Is.EqualTo(new[] { 1L }));
    }

    [Test]
    public void A_peer_that_takes_no_more_bytes_is_given_up()
    {
        var bed = Connected();
        bed[2].Machine.Pause();
        for (var i = 0; i < 8; i++)
        {
            bed[1].Transport.Send(new NodeId(2), new StreamChunk(1, i, 2, new byte[256 << 10]));
        }

        bed.Run(13 * SecondNs);
        Assert.That(bed.Events("disconnected 1-2"), Has.Length.EqualTo(1));
        Assert.That(bed[1].Transport.MessagesDropped, Is.GreaterThan(0));
    }

    [Test]
    public void A_machine_that_goes_down_while_it_sends_has_sent_or_not()
    {
        var counts = new SortedSet<int>();
        for (ulong seed = 1; seed <= 50; seed++)
        {
            var bed = Connected(seed);
            var handedOver = 0;
            bed.Network.Sent = (_, _, _) => handedOver++;
            bed[1].Machine.CrashCutsPower = false;
            bed[1].Machine.CrashAtOperation = bed[1].Machine.Operations + 1;
            Assert.That(() => bed[1].Send(2, 1), Throws.TypeOf<MachineDownException>());
            bed.Run(5 * SecondNs);
            counts.Add(bed[2].Received.Count);
            Assert.That(handedOver, Is.EqualTo(bed[2].Received.Count), $"seed {seed}");
        }

        Assert.That(counts, Is.EqualTo(new[] { 0, 1 }));
    }

    [Test]
    public void A_transport_that_was_stopped_is_not_heard_of_again()
    {
        var bed = Connected();
        bed[1].Transport.StopAbruptly();
        bed.Run(SecondNs);
        Assert.That(bed.Events("disconnected 2-1"), Has.Length.EqualTo(2));
        Assert.That(bed.Events("disconnected 1"), Is.Empty);
        Assert.That(bed[1].Send(2, 1), Is.False);

        bed = Connected();
        bed[1].Send(2, 1);
        bed[1].Transport.Dispose();
        bed.Run(3 * SecondNs);
        Assert.That(bed[2].Received, Is.EqualTo(new[] { 1L }), "a polite end sends what is queued");
    }

    private static NetworkBed Connected(ulong seed = 1, NetworkOptions? options = null)
    {
        var bed = new NetworkBed(2, seed, options);
        bed.Run(SecondNs);
        Assert.That(bed.Events("connected"), Has.Length.EqualTo(2));
        return bed;
    }

    /// <summary>Which of five nodes reach which, as pairs of digits.</summary>
    private static string Reached(Action<SimNetwork> partition)
    {
        var bed = new NetworkBed(5);
        bed.Run(SecondNs);
        partition(bed.Network);
        for (var from = 1; from <= 5; from++)
        {
            for (var to = 1; to <= 5; to++)
            {
                if (from != to)
                {
                    bed[from].Send(to, from);
                }
            }
        }

        bed.Run(SecondNs);
        return string.Join(' ', bed.Nodes.SelectMany(node => node.Received.Select(from => $"{from}{node.Machine.Number}")).Order(StringComparer.Ordinal));
    }
}
