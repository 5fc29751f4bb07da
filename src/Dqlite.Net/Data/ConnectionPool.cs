using Dqlite.Net.Engine;

namespace Dqlite.Net.Data;

/// <summary>
/// The handles of one data source. Idle ones are reused, the last one first, so that a burst lets the others go cold. A handle that has
/// state of its last user (temporary tables, attached files, changed pragmas, functions) is closed instead. Files are opened, rolled back
/// and closed outside of the lock. Any thread.
/// </summary>
internal sealed class ConnectionPool(IDatabaseEngine engine, int maxSize) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Stack<DatabaseHandle> _idle = new();
    private readonly LinkedList<TaskCompletionSource<DatabaseHandle?>> _waiters = new();
    private int _open;
    private bool _disposed;

    /// <summary>Open handles, used and idle.</summary>
    public int OpenCount
    {
        get
        {
            lock (_gate)
            {
                return _open;
            }
        }
    }

    /// <summary>Idle handles.</summary>
    public int IdleCount
    {
        get
        {
            lock (_gate)
            {
                return _idle.Count;
            }
        }
    }

    /// <summary>Gets a handle; waits when the maximum is open.</summary>
    /// <param name="timeoutSeconds">How long to wait; 0: without limit.</param>
    /// <param name="async">False: blocks.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The handle, and whether it is new.</returns>
    public async ValueTask<(DatabaseHandle Handle, bool IsNew)> RentAsync(int timeoutSeconds, bool async, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        DatabaseHandle? handle;
        TaskCompletionSource<DatabaseHandle?>? waiter = null;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(DqliteDataSource));
            if (!_idle.TryPop(out handle))
            {
                if (_open < maxSize)
                {
                    _open++;
                }
                else
                {
                    waiter = new TaskCompletionSource<DatabaseHandle?>(TaskCreationOptions.RunContinuationsAsynchronously);
                    _waiters.AddLast(waiter);
                }
            }
        }

        var fromIdle = handle is not null;
        if (waiter is not null)
        {
            handle = await WaitAsync(waiter, timeoutSeconds, async, cancellationToken).ConfigureAwait(false);
        }

        if (handle is not null && handle.Vfs.State.DeadCode != 0)
        {
            handle.Dispose();
            handle = null;
        }

        var isNew = handle is null;
        handle ??= OpenNew();
        Telemetry.Rented(engine.Name, fromIdle);
        return (handle, isNew);
    }

    /// <summary>Takes a handle back.</summary>
    /// <param name="handle">Its scripts are all given back.</param>
    /// <param name="reuse">False: it is closed.</param>
    public void Return(DatabaseHandle handle, bool reuse)
    {
        var kept = handle.TryReset() && reuse;
        lock (_gate)
        {
            kept &= !_disposed;
        }

        if (!kept)
        {
            handle.Dispose();
        }

        lock (_gate)
        {
            PassOn(kept ? handle : null);
        }

        Telemetry.Returned(engine.Name, kept);
    }

    /// <summary>Closes the idle handles; used ones are closed when they come back.</summary>
    public void Clear()
    {
        DatabaseHandle[] idle;
        lock (_gate)
        {
            idle = [.. _idle];
            _idle.Clear();
            _open -= idle.Length;
        }

        foreach (var handle in idle)
        {
            handle.Dispose();
        }
    }

    public void Dispose()
    {
        TaskCompletionSource<DatabaseHandle?>[] waiters;
        lock (_gate)
        {
            _disposed = true;
            waiters = [.. _waiters];
            _waiters.Clear();
        }

        foreach (var waiter in waiters)
        {
            waiter.TrySetException(new ObjectDisposedException(nameof(DqliteDataSource)));
        }

        Clear();
    }

    private static DqliteException Exhausted(int maxSize) => new(
        $"All {maxSize} connections of the pool are in use, and none was closed in time. Close connections after use, or raise 'Max Pool Size'.",
        SQLitePCL.raw.SQLITE_BUSY);

    /// <summary>Under the lock: a handle, or the permission to open one, goes to the first waiter or becomes idle.</summary>
    private void PassOn(DatabaseHandle? handle)
    {
        while (_waiters.First is { } first)
        {
            _waiters.RemoveFirst();
            if (first.Value.TrySetResult(handle))
            {
                return;
            }
        }

        if (handle is null || _disposed)
        {
            _open--;
            handle?.Dispose();
        }
        else
        {
            _idle.Push(handle);
        }
    }

    private async ValueTask<DatabaseHandle?> WaitAsync(
        TaskCompletionSource<DatabaseHandle?> waiter, int timeoutSeconds, bool async, CancellationToken cancellationToken)
    {
        using var interruption = new Interruption();
        interruption.Begin(waiter, timeoutSeconds, cancellationToken);
        if (!await interruption.TryWaitAsync(waiter.Task, async).ConfigureAwait(false) && waiter.TrySetCanceled(CancellationToken.None))
        {
            lock (_gate)
            {
                _waiters.Remove(waiter);
            }

            cancellationToken.ThrowIfCancellationRequested();
            throw Exhausted(maxSize);
        }

        // Completed: by the one who passed a handle on, perhaps just now.
        return await waiter.Task.ConfigureAwait(false);
    }

    private DatabaseHandle OpenNew()
    {
        try
        {
            return DatabaseHandle.Open(engine.Path);
        }
        catch
        {
            lock (_gate)
            {
                PassOn(null);
            }

            throw;
        }
    }
}
