using Dqlite.Net.Engine;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Cluster;

/// <summary>How long the pieces of a node's work take to begin after they were woken; the disk decides for some of them.</summary>
internal sealed class WorkDelays(SeededRandom random)
{
    private const long Microsecond = 1_000;

    /// <summary>Factor for everything that waits for the disk.</summary>
    public long DiskSlowness { get; set; } = 1;

    /// <summary>Until this moment of the true time nothing that waits for the disk goes on.</summary>
    public long DiskStuckUntilNs { get; set; }

    /// <summary>As <see cref="DiskStuckUntilNs"/>, for the log's file alone.</summary>
    public long LogStuckUntilNs { get; set; }

    /// <summary>As <see cref="DiskStuckUntilNs"/>, for checkpoints alone.</summary>
    public long CheckpointStuckUntilNs { get; set; }

    /// <summary>Draws a delay.</summary>
    public long Draw(string name, long nowNs)
    {
        if (name.StartsWith("dqlite-node", StringComparison.Ordinal))
        {
            return random.Between(2 * Microsecond, 40 * Microsecond);
        }

        var delay = random.Between(50 * Microsecond, 300 * Microsecond) * DiskSlowness;
        if (random.Chance(0.01))
        {
            delay += random.Between(1_000 * Microsecond, 20_000 * Microsecond);
        }

        var untilNs = name.StartsWith("dqlite-log", StringComparison.Ordinal) ? LogStuckUntilNs
            : name.StartsWith("dqlite-checkpoint", StringComparison.Ordinal) ? CheckpointStuckUntilNs
            : 0;
        return Math.Max(delay, Math.Max(untilNs, DiskStuckUntilNs) - nowNs);
    }
}

/// <summary>Runs a node's work step by step as events of the scheduler, in one thread.</summary>
internal sealed class SimThreads : INodeThreads
{
    private readonly Scheduler _scheduler;
    private readonly SimClock _clock;
    private readonly Machine _machine;
    private readonly WorkDelays _delays;
    private readonly Action _afterRun;
    private readonly Func<IDisposable> _enter;
    private readonly Action<Func<bool>> _waitFor;
    private readonly List<Worker> _workers = [];
    private readonly int _life;

    /// <summary>For one life of a machine.</summary>
    public SimThreads(Scheduler scheduler, SimClock clock, Machine machine, WorkDelays delays, Action afterRun, Func<IDisposable> enter, Action<Func<bool>> waitFor)
    {
        _enter = enter;
        _waitFor = waitFor;
        _scheduler = scheduler;
        _clock = clock;
        _machine = machine;
        _delays = delays;
        _afterRun = afterRun;
        _life = machine.Life;
        machine.Resumed += OnResumed;
    }

    /// <inheritdoc/>
    public INodeWorker Start(string name, INodeWork work)
    {
        var worker = new Worker(this, name, work);
        _workers.Add(worker);
        worker.Wake();
        return worker;
    }

    /// <inheritdoc/>
    public void Wait(Task task) => _waitFor(() => task.IsCompleted || !_machine.IsUp || _machine.Life != _life);

    /// <summary>The process is gone.</summary>
    public void End()
    {
        _machine.Resumed -= OnResumed;
        foreach (var worker in _workers.ToArray())
        {
            worker.Stop();
        }
    }

    /// <summary>Everything runs soon.</summary>
    public void WakeAll()
    {
        foreach (var worker in _workers.ToArray())
        {
            worker.Wake();
        }
    }

    private void OnResumed()
    {
        foreach (var worker in _workers.ToArray())
        {
            worker.OnResumed();
        }
    }

    private sealed class Worker(SimThreads owner, string name, INodeWork work) : INodeWorker
    {
        private long _order;
        private long? _atNs;
        private bool _running;
        private bool _woken;
        private bool _missed;
        private bool _stopped;

        public void Wake()
        {
            if (_running)
            {
                _woken = true;
                return;
            }

            var nowNs = owner._scheduler.NowNs;
            Schedule(nowNs + owner._delays.Draw(name, nowNs));
        }

        /// <summary>Whoever does it: it is one run, some time after now.</summary>
        public void Assist() => Wake();

        public void Stop()
        {
            _stopped = true;
            owner._workers.Remove(this);
        }

        public void OnResumed()
        {
            if (_missed)
            {
                _missed = false;
                Wake();
            }
        }

        private void Schedule(long atNs)
        {
            if (_stopped || (_atNs is { } already && already <= atNs))
            {
                return;
            }

            _atNs = atNs;
            var order = ++_order;
            owner._scheduler.At(atNs, () => Run(order));
        }

        private void Run(long order)
        {
            if (order != _order || _stopped || !owner._machine.IsUp || owner._machine.Life != owner._life)
            {
                return;
            }

            _atNs = null;
            if (owner._machine.IsPaused)
            {
                _missed = true;
                return;
            }

            (_running, _woken) = (true, false);
            long next;
            try
            {
                using var entered = owner._enter();
                next = work.RunOnce();
            }
            catch (MachineDownException)
            {
                // The process is gone in the middle of this step.
                return;
            }

            _running = false;
            if (next == NodeWork.Ended)
            {
                Stop();
            }
            else if (_woken || next == NodeWork.Again)
            {
                Wake();
            }
            else if (next != NodeWork.Idle)
            {
                Schedule(owner._clock.TrueOf(next));
            }

            owner._afterRun();
        }
    }
}
