using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Tests.World;

/// <summary>What a simulated minute of storage and network costs. Run by hand: figures depend on the machine.</summary>
[Explicit]
public sealed class SpeedMeasurement
{
    private const int DiskOperations = 50_000;
    private const int Messages = 100_000;

    [Test]
    public void Fifty_thousand_storage_operations()
    {
        Measure("50,000 storage operations (20 % syncs)", () =>
        {
            var bed = new DiskBed();
            var file = bed.CreateDurable(new byte[1 << 20]);
            var record = new byte[300];
            long offset = 0;
            return () =>
            {
                for (var i = 0; i < DiskOperations; i++)
                {
                    if (i % 5 == 4)
                    {
                        file.DataSync();
                    }
                    else
                    {
                        file.Write(record, offset);
                        offset = (offset + record.Length) % (1 << 20);
                    }
                }
            };
        });
    }

    [Test]
    public void One_hundred_thousand_messages()
    {
        Measure("100,000 messages (half of them appends of 200 bytes)", () =>
        {
            var bed = new NetworkBed(5);
            bed.Run(NetworkBed.SecondNs);
            var payload = new byte[200];
            var heartbeat = new PeerMessage[25];
            var append = new PeerMessage[25];
            foreach (var (from, to) in Pairs())
            {
                heartbeat[(from * 5) + to] = new RaftPeerMessage(NetworkBed.Heartbeat(from + 1, to + 1, 7));
                append[(from * 5) + to] = new RaftPeerMessage(new AppendEntriesRequest(new NodeId(from + 1), new NodeId(to + 1), new Term(3), new LogIndex(4), new Term(2),
                    new LogIndex(5), new LogIndex(5), new LogIndex(1), 8, 9, [new LogEntry(new LogIndex(5), new Term(3), EntryKind.Application, payload)]));
            }

            return () =>
            {
                for (var i = 0; i < Messages / 40; i++)
                {
                    foreach (var (from, to) in Pairs())
                    {
                        bed.Nodes[from].Transport.Send(new NodeId(to + 1), heartbeat[(from * 5) + to]);
                        bed.Nodes[from].Transport.Send(new NodeId(to + 1), append[(from * 5) + to]);
                    }

                    bed.Run(24 * NetworkBed.MillisecondNs);
                    bed.Record.Clear();
                }
            };
        });
    }

    private static IEnumerable<(int From, int To)> Pairs() =>
        from pair in Enumerable.Range(0, 25)
        where pair / 5 != pair % 5
        select (pair / 5, pair % 5);

    private static void Measure(string what, Func<Action> prepare)
    {
        for (var round = 0; round < 5; round++)
        {
            var run = prepare();
            var before = GC.GetAllocatedBytesForCurrentThread();
            var began = Environment.CpuUsage.TotalTime;
            run();
            TestContext.Out.WriteLine($"{what}: {(Environment.CpuUsage.TotalTime - began).TotalMilliseconds:0} ms of processor time, {(GC.GetAllocatedBytesForCurrentThread() - before) >> 20} MiB allocated");
        }
    }
}
