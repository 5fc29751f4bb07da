namespace Dqlite.Net.Data;

/// <summary>Why an operation ends early.</summary>
internal enum InterruptReason
{
    /// <summary>It does not.</summary>
    None = 0,

    /// <summary>The token of the caller, or Cancel().</summary>
    Cancelled,

    /// <summary>The command timeout.</summary>
    TimedOut,
}

/// <summary>
/// Deadline and cancellation of what runs on one handle. SQLite asks <see cref="Reason"/> through its progress handler, waits ask it
/// themselves: so a timeout works in synchronous code without a timer, whose callback would need the thread pool. Used by the thread that
/// uses the connection; <see cref="Cancel"/> by any.
/// </summary>
internal sealed class Interruption : IDisposable
{
    private readonly Lock _gate = new();
    private CancellationTokenSource _source = new();
    private CancellationToken _userToken;
    private object? _owner;
    private long _deadlineMs = long.MaxValue;
    private bool _spoiled;

    /// <summary>Whether the running operation must end, and why.</summary>
    public InterruptReason Reason
    {
        get
        {
            if (_source.IsCancellationRequested || _userToken.IsCancellationRequested)
            {
                return InterruptReason.Cancelled;
            }

            return _deadlineMs != long.MaxValue && Environment.TickCount64 >= _deadlineMs ? InterruptReason.TimedOut : InterruptReason.None;
        }
    }

    /// <summary>The token of the caller, for the exception.</summary>
    public CancellationToken UserToken => _userToken;

    /// <summary>Starts an operation, which <see cref="Cancel"/> names by its owner.</summary>
    /// <param name="owner">Who runs it.</param>
    /// <param name="timeoutSeconds">0: none.</param>
    /// <param name="userToken">The caller's.</param>
    public void Begin(object owner, int timeoutSeconds, CancellationToken userToken)
    {
        _userToken = userToken;
        _deadlineMs = timeoutSeconds == 0 ? long.MaxValue : Environment.TickCount64 + timeoutSeconds * 1000L;
        lock (_gate)
        {
            _owner = owner;
        }
    }

    /// <summary>Ends it.</summary>
    public void End()
    {
        _userToken = default;
        _deadlineMs = long.MaxValue;
        lock (_gate)
        {
            _owner = null;
            if (_spoiled || _source.IsCancellationRequested)
            {
                _source = new CancellationTokenSource();
                _spoiled = false;
            }
        }
    }

    /// <summary>Cancels what the owner runs; nothing when it runs nothing.</summary>
    /// <param name="owner">As given to <see cref="Begin"/>.</param>
    public void Cancel(object owner)
    {
        CancellationTokenSource source;
        lock (_gate)
        {
            if (!ReferenceEquals(_owner, owner))
            {
                return;
            }

            source = _source;
            _spoiled = true;
        }

        // Outside of the lock: it may run the continuation of the wait. End gives a spoiled source to nobody else.
        source.Cancel();
    }

    /// <summary>Waits for a task of the engine.</summary>
    /// <param name="task">Completed by a thread of the node.</param>
    /// <param name="async">False: the calling thread is blocked, and no other is needed.</param>
    /// <returns>False when the operation must end first; the task then goes on, and its failure is observed.</returns>
    public ValueTask<bool> TryWaitAsync(Task task, bool async)
    {
        if (task.IsCompleted)
        {
            return new ValueTask<bool>(true);
        }

        return async ? AwaitAsync(task) : new ValueTask<bool>(Block(task, _deadlineMs, _userToken));
    }

    /// <summary>Waits, with a limit of its own in place of deadline and cancellation.</summary>
    /// <param name="task">Completed by a thread of the node.</param>
    /// <param name="limitMs">How long.</param>
    /// <param name="async">False: the calling thread is blocked, and no other is needed.</param>
    public static async ValueTask<bool> TryWaitAsync(Task task, int limitMs, bool async)
    {
        if (async && !task.IsCompleted)
        {
            await task.WaitAsync(TimeSpan.FromMilliseconds(limitMs)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        else if (!task.IsCompleted)
        {
            BlockOn(task, limitMs, CancellationToken.None);
        }

        return Ended(task);
    }

    /// <summary>Marks the failure of a task that nobody may wait for as seen.</summary>
    /// <param name="task">The task.</param>
    public static void Observe(Task task)
    {
        if (!task.IsCompletedSuccessfully)
        {
            task.ContinueWith(
                static abandoned => _ = abandoned.Exception,
                CancellationToken.None,
                TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default);
        }
    }

    public void Dispose() => _source.Dispose();

    private static bool Ended(Task task)
    {
        if (task.IsCompleted)
        {
            return true;
        }

        Observe(task);
        return false;
    }

    private static void BlockOn(Task task, int milliseconds, CancellationToken token)
    {
        try
        {
            // Not WaitAny: its completion may run arbitrary code, so it would be queued to the thread pool.
            task.Wait(milliseconds, token);
        }
        catch (OperationCanceledException)
        {
            // The caller asks the task, then Reason.
        }
        catch (AggregateException)
        {
            // The task failed: the caller rethrows the failure itself.
        }
    }

    private async ValueTask<bool> AwaitAsync(Task task)
    {
        if (Reason != InterruptReason.None)
        {
            return Ended(task);
        }

        var remaining = _deadlineMs == long.MaxValue ? Timeout.InfiniteTimeSpan : TimeSpan.FromMilliseconds(Math.Max(0, _deadlineMs - Environment.TickCount64));
        var source = _source;
        var link = _userToken.CanBeCanceled ? _userToken.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), source) : default;
        await using (link.ConfigureAwait(false))
        {
            await task.WaitAsync(remaining, source.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return Ended(task);
    }

    private bool Block(Task task, long deadlineMs, CancellationToken userToken)
    {
        if (Reason == InterruptReason.None)
        {
            var source = _source;
            using var link = userToken.CanBeCanceled ? userToken.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), source) : default;
            var remaining = deadlineMs == long.MaxValue ? Timeout.Infinite : (int)Math.Clamp(deadlineMs - Environment.TickCount64, 0, int.MaxValue);
            BlockOn(task, remaining, source.Token);
        }

        return Ended(task);
    }
}
