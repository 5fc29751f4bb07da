namespace Dqlite.Load.Partitions;

/// <summary>What all bytes between two members pass, of both directions; nothing passes, and nothing is closed, while it is shut.</summary>
internal sealed class Gate
{
    private readonly SemaphoreSlim _way = new(1);

    /// <summary>Does something at the other side of the gate, when it is open.</summary>
    public async Task PassAsync(Func<Task> action, CancellationToken stop)
    {
        await _way.WaitAsync(stop);
        try
        {
            await action();
        }
        finally
        {
            _way.Release();
        }
    }

    /// <summary>Once this has returned, nothing is under way any more.</summary>
    public Task ShutAsync() => _way.WaitAsync();

    public void Open() => _way.Release();
}
