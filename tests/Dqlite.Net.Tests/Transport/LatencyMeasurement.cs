using System.Diagnostics;
using Dqlite.Net.Transport;

namespace Dqlite.Net.Tests.Transport;

[TestFixture, Explicit("Measures; nothing can fail.")]
public sealed class LatencyMeasurement
{
    [Test]
    public void Round_trip_over_loopback([Values(64, 8 << 10, 64 << 10, 1 << 20)] int sizeBytes)
    {
        var (first, second) = TestNode.Pair();
        using var _ = first;
        using var __ = second;
        using var back = new AutoResetEvent(false);
        var payload = new byte[sizeBytes];
        var samples = new List<double>();
        long sentAt = 0;
        var left = 20_000 / Math.Max(1, sizeBytes / (16 << 10));
        second.Events.Handler = (_, message) => second.Send(first, TestNode.Append(2, 1, ((Dqlite.Raft.AppendEntriesRequest)((RaftPeerMessage)message).Message).Entries[0].Payload));
        first.Events.Handler = (_, _) =>
        {
            samples.Add(Stopwatch.GetElapsedTime(sentAt).TotalMicroseconds);
            if (--left == 0)
            {
                back.Set();
                return;
            }

            sentAt = Stopwatch.GetTimestamp();
            first.Send(second, TestNode.Append(1, 2, payload));
        };
        sentAt = Stopwatch.GetTimestamp();
        first.Send(second, TestNode.Append(1, 2, payload));
        Assert.That(back.WaitOne(TimeSpan.FromSeconds(60)), Is.True);
        var sorted = samples.Skip(samples.Count / 4).Order().ToArray();
        TestContext.Out.WriteLine($"{sizeBytes} B: p50 {sorted[sorted.Length / 2]:F1} us, p99 {sorted[sorted.Length * 99 / 100]:F1} us, {sorted.Length} round trips");
    }

    [Test]
    public void Heartbeats_while_a_stream_fills_the_connection()
    {
        var (first, second) = TestNode.Pair();
        using var _ = first;
        using var __ = second;
        var samples = new List<double>();
        using var echoed = new AutoResetEvent(false);
        long streamed = 0;
        second.Events.Handler = (_, message) =>
        {
            if (message is RaftPeerMessage)
            {
                second.Send(first, TestNode.Heartbeat(2, 1));
            }
            else
            {
                streamed += ((StreamChunk)message).Body.Length;
            }
        };
        first.Events.Handler = (_, _) => echoed.Set();
        var chunk = new byte[1 << 20];
        for (var i = 0; i < 300; i++)
        {
            while (first.Transport.Send(second.Id, new StreamChunk(1, i, 1, chunk)))
            {
            }

            var sentAt = Stopwatch.GetTimestamp();
            first.Send(second, TestNode.Heartbeat(1, 2));
            Assert.That(echoed.WaitOne(TimeSpan.FromSeconds(20)), Is.True);
            samples.Add(Stopwatch.GetElapsedTime(sentAt).TotalMilliseconds);
        }

        var sorted = samples.Order().ToArray();
        TestContext.Out.WriteLine($"heartbeat under load: p50 {sorted[150]:F2} ms, p99 {sorted[297]:F2} ms, {streamed >> 20} MiB streamed in {samples.Sum():F0} ms");
    }
}
