using System.Diagnostics;

namespace Dqlite.Crash.Processes;

/// <summary>Waits for conditions over what other threads change: whoever changes something says so by <see cref="Pulse"/>.</summary>
internal sealed class Watch
{
    private readonly Lock _lock = new();
    private readonly List<Waiter> _waiters = [];

    /// <summary>Something has changed: conditions are looked at here and now.</summary>
    public void Pulse()
    {
        lock (_lock)
        {
            _waiters.RemoveAll(waiter => waiter.TryEnd());
        }
    }

    /// <summary>Waits until a condition holds.</summary>
    /// <returns>The timestamp (<see cref="Stopwatch"/>) when it was seen to hold.</returns>
    /// <exception cref="TimeoutException">It did not hold in time.</exception>
    public async Task<long> UntilAsync(Func<bool> condition, TimeSpan patience, string what, CancellationToken stop)
    {
        var waiter = new Waiter(condition);
        lock (_lock)
        {
            if (!waiter.TryEnd())
            {
                _waiters.Add(waiter);
            }
        }

        try
        {
            return await waiter.Seen.WaitAsync(patience, stop);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"it did not happen in {patience.TotalSeconds:0} s that {what}");
        }
        finally
        {
            lock (_lock)
            {
                _waiters.Remove(waiter);
            }
        }
    }

    private sealed class Waiter(Func<bool> condition)
    {
        private readonly TaskCompletionSource<long> _seen = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<long> Seen => _seen.Task;

        public bool TryEnd() => condition() && _seen.TrySetResult(Stopwatch.GetTimestamp());
    }
}
