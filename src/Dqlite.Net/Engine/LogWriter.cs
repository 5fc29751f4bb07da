using Dqlite.Net.Storage;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>
/// The log's own thread: appends of one round share one write and one flush. Orders come from the loop and are carried out in order; the
/// loop hears EntriesPersisted through its inbox. A failed write or flush stops the node: nothing is retried on that file. A full disk is
/// no failure: the entries wait, unacknowledged, until there is room. A second thread allocates the next segment ahead of time.
/// </summary>
internal sealed class LogWriter : IDisposable
{
    /// <summary>An idle log says once more what is durable, so that a damaged last batch is told from a torn one.</summary>
    private const int IdleMarkDelayMs = 200;

    private const int FullRetryMs = 100;

    private readonly SegmentedLog _log;
    private readonly Inbox _inbox;
    private readonly Action<Exception> _onFailure;
    private readonly object _gate = new();
    private readonly Thread _thread;
    private readonly Thread _preparer;
    private readonly ManualResetEventSlim _mustPrepare = new(initialState: true);
    private readonly long _prepareBelowBytes;
    private List<Order> _orders = [];
    private bool _waiting;
    private volatile bool _stopped;
    private volatile bool _isFull;

    public LogWriter(SegmentedLog log, Inbox inbox, string name, long segmentBytes, Action<Exception> onFailure)
    {
        _prepareBelowBytes = segmentBytes / 2;
        _preparer = new Thread(Prepare) { IsBackground = true, Name = $"dqlite-segments-{name}" };
        _log = log;
        _inbox = inbox;
        _onFailure = onFailure;
        _thread = new Thread(Run) { IsBackground = true, Name = $"dqlite-log-{name}" };
    }

    private enum OrderKind : byte
    {
        Append,
        Truncate,
        Call,
    }

    /// <summary>Whether there is no room for further segments: nothing new should be proposed. Any thread.</summary>
    public bool IsFull => _isFull || (!_log.CanGrow && _log.AvailableBytes < _prepareBelowBytes);

    /// <summary>Starts the threads.</summary>
    public void Start()
    {
        _thread.Start();
        _preparer.Start();
    }

    /// <summary>Appends entries; the list is copied.</summary>
    public void Append(IReadOnlyList<LogEntry> entries) => Give(new Order(OrderKind.Append, entries.ToArray(), default, null));

    /// <summary>Cuts the log, durably, before anything behind is written.</summary>
    public void Truncate(LogIndex from) => Give(new Order(OrderKind.Truncate, null, from, null));

    /// <summary>Runs something on the log's thread, behind what was ordered before.</summary>
    public void Call(Action<SegmentedLog> action) => Give(new Order(OrderKind.Call, null, default, action));

    /// <summary>Ends the thread after what was ordered, unless abruptly.</summary>
    public void Stop(bool abruptly)
    {
        lock (_gate)
        {
            _stopped = true;
            if (abruptly)
            {
                _orders.Clear();
            }

            Monitor.Pulse(_gate);
        }

        _mustPrepare.Set();
        foreach (var thread in new[] { _thread, _preparer })
        {
            if (thread.IsAlive && thread != Thread.CurrentThread)
            {
                thread.Join();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Stop(abruptly: true);
        _log.Dispose();
        _mustPrepare.Dispose();
    }

    private void Give(in Order order)
    {
        lock (_gate)
        {
            if (_stopped)
            {
                return;
            }

            _orders.Add(order);
            if (_waiting)
            {
                Monitor.Pulse(_gate);
            }
        }
    }

    private void Run()
    {
        var taken = new List<Order>();
        var entries = new List<LogEntry>();
        try
        {
            var marked = false;
            while (Take(ref taken, marked))
            {
                marked = taken.Count == 0;
                if (marked)
                {
                    _log.WriteIdleMark();
                    continue;
                }

                foreach (var order in taken)
                {
                    Carry(order, entries);
                }

                FlushAppends(entries);
                taken.Clear();
            }
        }
#pragma warning disable CA1031 // Whatever failed, the log is not to be trusted any more: the node stops, the process goes on.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            _onFailure(exception);
        }
    }

    private bool Take(ref List<Order> taken, bool marked)
    {
        lock (_gate)
        {
            while (_orders.Count == 0)
            {
                if (_stopped)
                {
                    return false;
                }

                _waiting = true;
                var signalled = Monitor.Wait(_gate, marked ? Timeout.Infinite : IdleMarkDelayMs);
                _waiting = false;
                if (!signalled && _orders.Count == 0 && !_stopped)
                {
                    // Idle: the caller writes the mark, outside the lock.
                    return true;
                }
            }

            (taken, _orders) = (_orders, taken);
            return true;
        }
    }

    private void Carry(in Order order, List<LogEntry> entries)
    {
        switch (order.Kind)
        {
            case OrderKind.Append:
                entries.AddRange(order.Entries!);
                break;
            case OrderKind.Truncate:
                FlushAppends(entries);
                _log.TruncateFrom(order.Index);
                break;
            case OrderKind.Call:
                FlushAppends(entries);
                order.Action!(_log);
                break;
            default:
                throw new InvalidOperationException($"Unknown order {order.Kind}.");
        }
    }

    private void FlushAppends(List<LogEntry> entries)
    {
        if (entries.Count == 0)
        {
            return;
        }

        var last = entries[^1];
        while (!TryAppend(entries))
        {
            if (_stopped)
            {
                entries.Clear();
                return;
            }

            lock (_gate)
            {
                Monitor.Wait(_gate, FullRetryMs);
            }
        }

        _log.Flush();
        entries.Clear();
        if (_log.AvailableBytes < _prepareBelowBytes)
        {
            _mustPrepare.Set();
        }

        _inbox.Post(new NodeEvent(NodeEventKind.EntriesPersisted, null, last.Index.Value, last.Term.Value));
    }

    private bool TryAppend(List<LogEntry> entries)
    {
        try
        {
            _log.Append(entries);
            _isFull = false;
            return true;
        }
        catch (LogFullException)
        {
            var last = _log.LastIndex;
            entries.RemoveAll(entry => entry.Index <= last);
            _isFull = true;
            return false;
        }
    }

    private void Prepare()
    {
        try
        {
            while (true)
            {
                // While the disk is full nobody may write, so no append asks for another try.
                _mustPrepare.Wait(_log.CanGrow ? Timeout.Infinite : FullRetryMs);
                _mustPrepare.Reset();
                if (_stopped)
                {
                    return;
                }

                _log.PrepareNext();
            }
        }
#pragma warning disable CA1031 // A log that cannot be written is not to be trusted any more: the node stops, the process goes on.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            _onFailure(exception);
        }
    }

    private readonly record struct Order(OrderKind Kind, LogEntry[]? Entries, LogIndex Index, Action<SegmentedLog>? Action);
}
