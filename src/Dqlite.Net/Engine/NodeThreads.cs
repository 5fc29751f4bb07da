namespace Dqlite.Net.Engine;

/// <summary>A thread for each piece of work: nothing that a commit needs runs on the shared pool.</summary>
internal sealed class NodeThreads(Func<long> clock) : INodeThreads
{
    /// <inheritdoc/>
    public INodeWorker Start(string name, INodeWork work)
    {
        var worker = new Worker(name, work, clock);
        worker.Start();
        return worker;
    }

    /// <inheritdoc/>
    public void Wait(Task task) => ((IAsyncResult)task).AsyncWaitHandle.WaitOne();

    /// <summary>
    /// One thread, and whoever assists it. Runs exclude each other, and each sees what those before it did.
    /// <code>
    /// idle --Assist--> running on the caller's thread --> idle, or (again, or woken meanwhile) the own thread goes on
    /// idle --Wake, deadline--> running on the own thread --> idle
    /// </code>
    /// </summary>
    private sealed class Worker : INodeWorker
    {
        /// <summary>The clock goes on while the machine sleeps, a wait does not: it looks again now and then.</summary>
        private const long MaxWaitMs = 60_000;

        /// <summary>What came in during an assisted run is done by its thread too, so often.</summary>
        private const int MaxAssistedRuns = 4;

        private readonly object _gate = new();
        private readonly INodeWork _work;
        private readonly ISharedNodeWork? _sharedWork;
        private readonly Func<long> _clock;
        private readonly Thread _thread;
        private long _deadlineNs;
        private long _waitUntilNs;
        private bool _running = true;
        private bool _woken;
        private bool _waiting;
        private bool _stopped;

        public Worker(string name, INodeWork work, Func<long> clock)
        {
            _work = work;
            _sharedWork = work as ISharedNodeWork;
            _clock = clock;
            _thread = new Thread(Run) { IsBackground = true, Name = name };
        }

        public void Start() => _thread.Start();

        public void Wake()
        {
            lock (_gate)
            {
                _woken = true;
                if (_waiting && !_running)
                {
                    Monitor.Pulse(_gate);
                }
            }
        }

        public void Assist()
        {
            if (_sharedWork is null || !TryBegin())
            {
                Wake();
                return;
            }

            for (var runs = 1; ; runs++)
            {
                var next = _sharedWork.RunShared();
                lock (_gate)
                {
                    if (_woken && next != NodeWork.Again && runs < MaxAssistedRuns && !_stopped)
                    {
                        _woken = false;
                        continue;
                    }

                    _running = false;
                    _deadlineNs = next;
                    if (_woken || _stopped || next < _waitUntilNs)
                    {
                        Monitor.Pulse(_gate);
                    }

                    return;
                }
            }
        }

        public void Stop()
        {
            lock (_gate)
            {
                _stopped = true;
                Monitor.Pulse(_gate);
            }

            if (_thread != Thread.CurrentThread)
            {
                _thread.Join();
            }
        }

        private bool TryBegin()
        {
            lock (_gate)
            {
                if (_running || _stopped || !_waiting)
                {
                    return false;
                }

                _woken = false;
                return _running = true;
            }
        }

        private void Run()
        {
            do
            {
                _deadlineNs = _work.RunOnce();
            }
            while (_deadlineNs != NodeWork.Ended && WaitForTurn());
        }

        /// <summary>Waits until something is to be done and nobody does it; false when the work is stopped.</summary>
        private bool WaitForTurn()
        {
            lock (_gate)
            {
                _running = false;
                while (_running || (!_woken && !_stopped))
                {
                    var leftNs = _running || _deadlineNs == NodeWork.Idle ? long.MaxValue : _deadlineNs - _clock();
                    if (leftNs <= 0)
                    {
                        break;
                    }

                    _waiting = true;
                    _waitUntilNs = leftNs == long.MaxValue ? long.MaxValue : _deadlineNs;
                    Monitor.Wait(_gate, (int)Math.Min(((leftNs - 1) / 1_000_000) + 1, MaxWaitMs));
                    _waiting = false;
                }

                _running = true;
                _woken = false;
                return !_stopped;
            }
        }
    }
}
