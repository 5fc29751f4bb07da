using System.Runtime.CompilerServices;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Cluster;

/// <summary>
/// Lets simulated clients be written as async methods: what they await continues as an event of the scheduler, never on another thread.
/// Tasks of the product are looked at, not awaited: their continuations would go to the thread pool.
/// </summary>
internal sealed class Waits(Scheduler scheduler, SeededRandom random)
{
    private readonly List<Wait> _waits = [];

    /// <summary>Until time has passed.</summary>
    public Wait Delay(long ns)
    {
        var wait = new Wait(this, null);
        scheduler.After(ns, wait.Complete);
        return wait;
    }

    /// <summary>Until a task of the product has completed, or time has passed: true when the task has completed.</summary>
    public Wait For(Task task, long timeoutNs)
    {
        var wait = new Wait(this, task);
        if (task.IsCompleted)
        {
            scheduler.After(random.Between(1_000, 20_000), wait.Complete);
            return wait;
        }

        _waits.Add(wait);
        scheduler.After(timeoutNs, wait.Complete);
        return wait;
    }

    /// <summary>After a step of a node: whoever waited for what is done now goes on soon.</summary>
    public void Look()
    {
        for (var i = 0; i < _waits.Count; i++)
        {
            var wait = _waits[i];
            if (wait.IsOver)
            {
                _waits.RemoveAt(i--);
            }
            else if (wait.IsTaskDone && wait.Notice())
            {
                scheduler.After(random.Between(1_000, 20_000), wait.Complete);
            }
        }
    }

    /// <summary>Something to await.</summary>
    internal sealed class Wait(Waits owner, Task? task) : INotifyCompletion
    {
        private Action? _continuation;
        private bool _noticed;

        public bool IsOver { get; private set; }

        public bool IsTaskDone => task?.IsCompleted == true;

        public bool IsCompleted => IsOver;

        public Wait GetAwaiter() => this;

        public bool GetResult() => task is null || task.IsCompleted;

        public void OnCompleted(Action continuation) => _continuation = continuation;

        public bool Notice() => !_noticed && (_noticed = true);

        public void Complete()
        {
            if (IsOver)
            {
                return;
            }

            IsOver = true;
            owner._waits.Remove(this);
            _continuation?.Invoke();
        }
    }
}
