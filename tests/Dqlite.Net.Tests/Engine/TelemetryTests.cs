using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Diagnostics.Tracing;

namespace Dqlite.Net.Tests.Engine;

/// <summary>What the nodes measure.</summary>
internal sealed class TelemetryTests : EngineFixture
{
    private readonly ConcurrentQueue<(string Instrument, long Value, long Node)> _measured = new();

    [Test]
    public async Task The_raft_instruments_count_by_node()
    {
        _measured.Clear();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == "Dqlite.Net" && instrument.Name.StartsWith("dqlite.raft.", StringComparison.Ordinal))
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => _measured.Enqueue((instrument.Name, value, (long)tags.ToArray().Single(tag => tag.Key == "dqlite.node.id").Value!)));
        listener.Start();

        await Cluster.FoundAsync(3);
        var first = await Cluster.LeaderAsync();
        var source = await first.OpenDatabaseAsync("app");
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)");
        var before = (Entries: Sum("dqlite.raft.entries.proposed", first.Id), Transactions: Sum("dqlite.raft.transactions.proposed", first.Id), Bytes: Sum("dqlite.raft.bytes.proposed", first.Id));
        for (var i = 0; i < 10; i++)
        {
            await RunAsync(source, $"INSERT INTO t VALUES ({i}, zeroblob(1000))");
        }

        // One at a time: each is an entry of its own, and carries at least what it changed.
        Assert.That(Sum("dqlite.raft.transactions.proposed", first.Id) - before.Transactions, Is.EqualTo(10));
        Assert.That(Sum("dqlite.raft.entries.proposed", first.Id) - before.Entries, Is.EqualTo(10));
        Assert.That(Sum("dqlite.raft.bytes.proposed", first.Id) - before.Bytes, Is.InRange(10 * 1000, 10 * 5 * 4096));
        foreach (var follower in Cluster.Running.Where(node => node != first))
        {
            Assert.That(Sum("dqlite.raft.transactions.proposed", follower.Id), Is.Zero, "only a leader proposes");
        }

        foreach (var node in Cluster.Running)
        {
            await EventuallyAsync(() => Sum("dqlite.raft.leader.changes", node.Id) > 0, "every node counts the first leader");
        }

        var next = await Cluster.FollowerAsync();
        var changes = Cluster.Running.ToDictionary(node => node.Id, node => Sum("dqlite.raft.leader.changes", node.Id));
        await InTime(first.Cluster.TransferLeadershipAsync(next.Id));
        foreach (var node in Cluster.Running)
        {
            await EventuallyAsync(() => Sum("dqlite.raft.leader.changes", node.Id) > changes[node.Id], "every node counts the next leader");
        }
    }

    [Test]
    public async Task Every_step_of_a_commit_raises_an_event()
    {
        await Cluster.FoundAsync(3);
        var leader = await Cluster.LeaderAsync();
        var source = await leader.OpenDatabaseAsync("app");
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        using var listener = new StepListener();
        await RunAsync(source, "INSERT INTO t VALUES (1)");
        var index = listener.CompletedIndex; // The node publishes its applied index just after the client hears of its commit.
        string[] ofLeader = ["DraftQueued", "Proposed", "LogOrdered", "LogBegun", "LogWritten", "LogFlushed", "AppendSent", "AckReceived", "Committed", "Applied"];
        string[] ofFollower = ["AppendReceived", "LogOrdered", "LogBegun", "LogWritten", "LogFlushed", "AckSent", "Committed", "Applied"];

        // The third node may be slower than the commit.
        await EventuallyAsync(() => Array.TrueForAll(ofLeader, name => listener.Has(name, leader.Id, name == "DraftQueued" ? 0 : index)), "the leader takes every step");
        await EventuallyAsync(
            () => Cluster.Running.Where(node => node != leader).All(node => Array.TrueForAll(ofFollower, name => listener.Has(name, node.Id, index))), "and so does each follower");
    }

    private long Sum(string instrument, long node) => _measured.Where(measured => measured.Instrument == instrument && measured.Node == node).Sum(measured => measured.Value);

    private sealed class StepListener : EventListener
    {
        private readonly ConcurrentQueue<(string Name, long Node, long Index)> _seen = new();

        /// <summary>Where the first commit was that somebody waited for.</summary>
        public long CompletedIndex => _seen.First(seen => seen.Name == "WaiterCompleted").Index;

        public bool Has(string name, long node, long index) => _seen.Contains((name, node, index));

        protected override void OnEventSourceCreated(EventSource eventSource)
        {
            if (eventSource.Name == "Dqlite.Net")
            {
                EnableEvents(eventSource, EventLevel.LogAlways);
            }
        }

        protected override void OnEventWritten(EventWrittenEventArgs eventData) => _seen.Enqueue((eventData.EventName!, Field(eventData, "node"), Field(eventData, "index")));

        private static long Field(EventWrittenEventArgs eventData, string name)
        {
            var position = eventData.PayloadNames!.IndexOf(name);
            return position < 0 ? 0 : (long)eventData.Payload![position]!;
        }
    }
}
