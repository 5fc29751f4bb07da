using System.Diagnostics;

namespace Dqlite.Net.Benchmarks;

/// <summary>Kills the leader under load, again and again: the time from the kill to the first write that another node acknowledged.</summary>
internal static class Failover
{
    private const int Writers = 4;

    public static async Task<Sample> MeasureAsync(string directory, int count)
    {
        await using var cluster = await LocalCluster.StartAsync(directory, 3);
        var acknowledgements = new Acknowledgements();
        using var stop = new CancellationTokenSource();
        var writers = Enumerable.Range(0, Writers).Select(_ => Task.Run(() => WriteAsync(cluster, acknowledgements, stop.Token))).ToArray();
        var sample = new Sample(count);
        for (var i = 0; i < count; i++)
        {
            var (_, victim) = await cluster.LeaderAsync();
            await acknowledgements.NextAsync(position => position == victim);
            await cluster.WaitForAgreementAsync();
            var next = acknowledgements.NextAsync(position => position != victim);
            var began = Stopwatch.GetTimestamp();
            var death = cluster.KillAsync(victim);
            sample.Add(Stopwatch.GetElapsedTime(began, await next));
            await death;
            await cluster.StartNodeAsync(victim);
        }

        await stop.CancelAsync();
        await Task.WhenAll(writers);
        return sample;
    }

    private static async Task WriteAsync(LocalCluster cluster, Acknowledgements acknowledgements, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                var (node, position) = await cluster.LeaderAsync(cancellationToken);
                await using var connection = await (await node.OpenDatabaseAsync(LocalCluster.DatabaseName, null, cancellationToken)).OpenConnectionAsync(cancellationToken);
                await using var command = Workload.PrepareInsert(connection);
                while (!cancellationToken.IsCancellationRequested)
                {
                    await command.ExecuteNonQueryAsync(CancellationToken.None);
                    acknowledgements.Add(position);
                }
            }
            catch (Exception exception) when (exception is DqliteException { IsTransient: true } or DqliteUnknownOutcomeException or ObjectDisposedException)
            {
                // The node was killed: on with the next leader.
                await Task.Delay(1, CancellationToken.None);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    /// <summary>Tells who waits when a node acknowledged a write.</summary>
    private sealed class Acknowledgements
    {
        private readonly Lock _lock = new();
        private Predicate<int>? _wanted;
        private TaskCompletionSource<long>? _waiter;

        public Task<long> NextAsync(Predicate<int> wanted)
        {
            lock (_lock)
            {
                _wanted = wanted;
                _waiter = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
                return _waiter.Task;
            }
        }

        public void Add(int position)
        {
            lock (_lock)
            {
                if (_waiter is not null && _wanted!(position))
                {
                    _waiter.TrySetResult(Stopwatch.GetTimestamp());
                    _waiter = null;
                }
            }
        }
    }
}
