using System.Diagnostics;
using Dqlite.Net.Engine;
using Dqlite.Sqlite;

namespace Dqlite.Net.Tests.Engine;

/// <summary>A worker has one run at a time, on its own thread or on one that assists it.</summary>
public sealed class NodeThreadsTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Test]
    public void Whoever_assists_does_the_run_itself_when_nobody_else_does()
    {
        var work = new Work();
        var worker = new NodeThreads(() => MonotonicClock.NowNs).Start("test", work);
        work.WaitForRuns(1);
        Thread? by = null;
        for (var tries = 0; by != Thread.CurrentThread && tries < 1000; tries++)
        {
            // The own thread may not have come to its wait yet: then it does the run.
            var before = work.Runs;
            worker.Assist();
            work.WaitForRuns(before + 1);
            by = work.LastThread;
        }

        Assert.That(by, Is.EqualTo(Thread.CurrentThread));
        worker.Stop();
    }

    [Test]
    public void Runs_exclude_each_other_and_nothing_that_was_posted_is_left([Values(2, 4)] int threads)
    {
        const int Posts = 20_000;
        var work = new Work();
        var worker = new NodeThreads(() => MonotonicClock.NowNs).Start("test", work);
        var posters = Enumerable.Range(0, threads).Select(number => new Thread(() =>
        {
            for (var i = 0; i < Posts; i++)
            {
                Interlocked.Increment(ref work.Posted);
                if ((i + number) % 3 == 0)
                {
                    worker.Wake();
                }
                else
                {
                    worker.Assist();
                }
            }
        })).ToList();
        posters.ForEach(poster => poster.Start());
        posters.ForEach(poster => poster.Join());
        Assert.That(SpinWait.SpinUntil(() => Volatile.Read(ref work.Done) == threads * Posts, Patience), Is.True, "everything posted is done");
        worker.Stop();
        Assert.That(work.Overlaps, Is.Zero);
    }

    [Test]
    public void A_deadline_that_an_assisted_run_asks_for_is_kept()
    {
        var work = new Work();
        var worker = new NodeThreads(() => MonotonicClock.NowNs).Start("test", work);
        work.WaitForRuns(1);
        var clock = Stopwatch.StartNew();
        work.Next = MonotonicClock.NowNs + 1_000_000;
        var before = work.Runs;
        worker.Assist();
        work.WaitForRuns(before + 2);
        Assert.That(clock.Elapsed, Is.LessThan(Patience));
        worker.Stop();
    }

    [Test]
    public void A_worker_stops_while_others_assist_it()
    {
        for (var round = 0; round < 200; round++)
        {
            var work = new Work();
            var worker = new NodeThreads(() => MonotonicClock.NowNs).Start("test", work);
            var assistant = new Thread(() =>
            {
                for (var i = 0; i < 100; i++)
                {
                    worker.Assist();
                }
            });
            assistant.Start();
            worker.Stop();
            assistant.Join();
            var runs = work.Runs;
            worker.Assist();
            Assert.That((work.Runs, work.Overlaps), Is.EqualTo((runs, 0)), "nothing runs any more");
        }
    }

    private sealed class Work : ISharedNodeWork
    {
        public int Posted;
        public int Done;
        private int _runs;
        private int _inside;
        private int _overlaps;

        public int Runs => Volatile.Read(ref _runs);

        public int Overlaps => Volatile.Read(ref _overlaps);

        public long Next { get; set; } = NodeWork.Idle;

        public Thread? LastThread { get; private set; }

        public long RunOnce() => RunShared();

        public long RunShared()
        {
            if (Interlocked.Increment(ref _inside) != 1)
            {
                Interlocked.Increment(ref _overlaps);
            }

            LastThread = Thread.CurrentThread;
            Volatile.Write(ref Done, Volatile.Read(ref Posted));
            var next = Next;
            Next = NodeWork.Idle;
            Interlocked.Decrement(ref _inside);
            Interlocked.Increment(ref _runs);
            return next;
        }

        public void WaitForRuns(int runs) => Assert.That(SpinWait.SpinUntil(() => Runs >= runs, Patience), Is.True, $"there are {runs} runs");
    }
}
