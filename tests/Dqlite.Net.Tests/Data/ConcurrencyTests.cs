namespace Dqlite.Net.Tests.Data;

internal sealed class ConcurrencyTests : DataFixture
{
    [Test]
    public async Task Sixty_four_writers_share_entries()
    {
        const int Writers = 64;
        var connections = Enumerable.Range(0, Writers).Select(_ => Source.OpenConnection()).ToArray();
        var before = Engine.Proposals;
        Engine.HoldProposals();
        var first = Engine.NextDraft();
        var writes = connections.Select((connection, i) => Command(connection, "INSERT INTO t VALUES ($i, $i)", ("$i", i)).ExecuteNonQueryAsync()).ToArray();
        await InTime(first);

        // Nobody waits for a commit to draft: all of them draft while nothing is proposed.
        while (Engine.Pages.State.QueuedDrafts < Writers)
        {
            await Task.Yield();
        }

        Assert.That(writes.Any(write => write.IsCompleted), Is.False);
        Engine.ReleaseProposals();
        await InTime(Task.WhenAll(writes));
        Assert.That(Engine.Proposals - before, Is.EqualTo(1));
        Assert.That(CommittedCount(), Is.EqualTo(Writers));
        foreach (var connection in connections)
        {
            await connection.DisposeAsync();
        }
    }

    [Test]
    public void Synchronous_writers_complete_while_every_thread_of_the_pool_is_blocked()
    {
        ThreadPool.GetMinThreads(out var minWorkers, out var minIo);
        ThreadPool.GetMaxThreads(out var maxWorkers, out var maxIo);
        // Not disposed: a thread of the pool may still be on its way to them.
        var release = new ManualResetEventSlim();
        var blocked = new ManualResetEventSlim();
        try
        {
            ThreadPool.SetMinThreads(2, minIo);
            Assert.That(ThreadPool.SetMaxThreads(4, maxIo), Is.True);

            // More than there are threads: what is queued later stays behind them until they are released.
            for (var i = 0; i < 64; i++)
            {
                ThreadPool.UnsafeQueueUserWorkItem(
                    _ =>
                    {
                        blocked.Set();
                        release.Wait();
                    },
                    null);
            }

            Assert.That(blocked.Wait(HangMs), Is.True);
            var threads = Enumerable.Range(0, 8).Select(writer => new Thread(() => Write(writer))).ToArray();
            Array.ForEach(threads, thread => thread.Start());
            Assert.That(threads.All(thread => thread.Join(HangMs)), Is.True);
            Assert.That(CommittedCount(), Is.EqualTo(8 * 20));
        }
        finally
        {
            release.Set();
            ThreadPool.SetMaxThreads(maxWorkers, maxIo);
            ThreadPool.SetMinThreads(minWorkers, minIo);
        }
    }

    [Test]
    public async Task Writers_and_readers_agree_under_fences()
    {
        var seed = Environment.TickCount;
        TestContext.Out.WriteLine($"seed {seed}");
        var random = new Random(seed);
        using var done = new CancellationTokenSource();
        var committed = 0;
        var writers = Enumerable.Range(0, 8).Select(writer => Task.Run(async () =>
        {
            for (var i = 0; i < 100; i++)
            {
                await using var connection = await Source.OpenConnectionAsync();
                try
                {
                    await Command(connection, "INSERT INTO t(name) VALUES ($n)", ("$n", $"{writer}-{i}")).ExecuteNonQueryAsync();
                    Interlocked.Increment(ref committed);
                }
                catch (DqliteException e) when (e.IsTransient)
                {
                    // Dropped: without effect.
                }
            }
        })).ToArray();
        var all = Task.WhenAll(writers);
        while (!all.IsCompleted)
        {
            if (random.Next(4) == 0)
            {
                Engine.FailNextCommits(1);
            }

            Assert.That(CommittedCount(), Is.LessThanOrEqualTo(800));
            await Task.Yield();
        }

        await all;
        Assert.That(CommittedCount(), Is.EqualTo(committed));
        Assert.That(Scalar("PRAGMA integrity_check"), Is.EqualTo("ok"));
    }

    private void Write(int writer)
    {
        using var connection = Source.OpenConnection();
        for (var i = 0; i < 10; i++)
        {
            Command(connection, "INSERT INTO t(name) VALUES ($n)", ("$n", $"{writer}a{i}")).ExecuteNonQuery();
            using var transaction = connection.BeginTransaction();
            Command(connection, "INSERT INTO t(name) VALUES ($n)", ("$n", $"{writer}b{i}")).ExecuteNonQuery();
            transaction.Commit();
        }
    }
}
