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

    private sealed class Worker : INodeWorker
    {
        /// <summary>The clock goes on while the machine sleeps, a wait does not: it looks again now and then.</summary>
        private const long MaxWaitMs = 60_000;

        private readonly object _gate = new();
        private readonly INodeWork _work;
        private readonly Func<long> _clock;
        private readonly Thread _thread;
        private bool _woken;
        private bool _waiting;
        private bool _stopped;

        public Worker(string name, INodeWork work, Func<long> clock)
        {
            _work = work;
            _clock = clock;
            _thread = new Thread(Run) { IsBackground = true, Name = name };
        }

        public void Start() => _thread.Start();

        public void Wake()
        {
            lock (_gate)
            {
                _woken = true;
                if (_waiting)
                {
                    Monitor.Pulse(_gate);
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

        private void Run()
        {
            while (true)
            {
                var next = _work.RunOnce();
                if (next == NodeWork.Ended || !WaitUntil(next))
                {
                    return;
                }
            }
        }

        private bool WaitUntil(long deadlineNs)
        {
            lock (_gate)
            {
                while (!_woken && !_stopped)
                {
                    var leftNs = deadlineNs == NodeWork.Idle ? long.MaxValue : deadlineNs - _clock();
                    if (leftNs <= 0)
                    {
                        break;
                    }

                    _waiting = true;
                    Monitor.Wait(_gate, (int)Math.Min(((leftNs - 1) / 1_000_000) + 1, MaxWaitMs));
                    _waiting = false;
                }

                _woken = false;
                return !_stopped;
            }
        }
    }
}
