using Dqlite.Net.Data;
using Dqlite.Net.Storage;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>
/// Writes the log beside the loop: appends of one round share one write and one flush. Orders come from the loop and are carried out in
/// order; the loop hears EntriesPersisted through its inbox. A failed write or flush stops the node: nothing is retried on that file. A full
/// disk is no failure: the entries wait, unacknowledged, until there is room. Another worker allocates the next segment ahead of time.
/// </summary>
internal sealed class LogWriter : INodeWork, IDisposable
{
    /// <summary>An idle log says once more what is durable, so that a damaged last batch is told from a torn one.</summary>
    private const long IdleMarkDelayNs = 200_000_000;

    private const long FullRetryNs = 100_000_000;

    private readonly SegmentedLog _log;
    private readonly Inbox _inbox;
    private readonly Func<long> _clock;
    private readonly NodeTelemetry _telemetry;
    private readonly Action<Exception> _onFailure;
    private readonly Lock _gate = new();
    private readonly long _prepareBelowBytes;
    private readonly Queue<Order> _queue = new();
    private readonly List<LogEntry> _entries = [];
    private List<Order> _orders = [];
    private List<Order> _taken = [];
    private INodeWorker? _worker;
    private INodeWorker? _preparer;
    private LogEntry? _unflushed;
    private long _countedBytes;
    private long _idleAtNs;
    private bool _marked;
    private bool _failed;
    private bool _stopped;
    private volatile bool _isFull;

    public LogWriter(SegmentedLog log, Inbox inbox, Func<long> clock, long segmentBytes, NodeTelemetry telemetry, Action<Exception> onFailure)
    {
        _prepareBelowBytes = segmentBytes / 2;
        _log = log;
        _inbox = inbox;
        _clock = clock;
        _telemetry = telemetry;
        _onFailure = onFailure;
    }

    private enum OrderKind : byte
    {
        Append,
        Truncate,
        Call,
    }

    /// <summary>Whether there is no room for further segments: nothing new should be proposed. Any thread.</summary>
    public bool IsFull => _isFull || (!_log.CanGrow && _log.AvailableBytes < _prepareBelowBytes);

    /// <summary>Starts the workers.</summary>
    public void Start(INodeThreads threads, string name)
    {
        _idleAtNs = _clock() + IdleMarkDelayNs;
        _preparer = threads.Start($"dqlite-segments-{name}", new SegmentPreparer(this));
        _worker = threads.Start($"dqlite-log-{name}", this);
    }

    /// <summary>Appends entries; the list is copied.</summary>
    public void Append(IReadOnlyList<LogEntry> entries) => Give(new Order(OrderKind.Append, entries.ToArray(), default, null));

    /// <summary>Cuts the log, durably, before anything behind is written.</summary>
    public void Truncate(LogIndex from) => Give(new Order(OrderKind.Truncate, null, from, null));

    /// <summary>Runs something beside the loop, behind what was ordered before.</summary>
    public void Call(Action<SegmentedLog> action) => Give(new Order(OrderKind.Call, null, default, action));

    /// <summary>Ends the workers after what was ordered, unless abruptly.</summary>
    public void Stop(bool abruptly)
    {
        lock (_gate)
        {
            if (_stopped)
            {
                return;
            }

            _stopped = true;
        }

        _worker?.Stop();
        _preparer?.Stop();
        if (!abruptly && _worker is not null)
        {
            while (RunOnce() == NodeWork.Again)
            {
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Stop(abruptly: true);
        _log.Dispose();
    }

    /// <inheritdoc/>
    public long RunOnce()
    {
        if (_failed)
        {
            return NodeWork.Idle;
        }

        try
        {
            var next = Take() ? CarryOut() : MarkWhenIdle();
            _telemetry.OnLogWritten(_log.WrittenBytes - _countedBytes);
            _countedBytes = _log.WrittenBytes;
            return next;
        }
#pragma warning disable CA1031 // Whatever failed, the log is not to be trusted any more: the node stops, the process goes on.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            _failed = true;
            _onFailure(exception);
            return NodeWork.Idle;
        }
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
        }

        _worker?.Wake();
    }

    /// <summary>Takes what has been ordered; false when there is nothing to do.</summary>
    private bool Take()
    {
        lock (_gate)
        {
            (_taken, _orders) = (_orders, _taken);
        }

        _taken.ForEach(_queue.Enqueue);
        _taken.Clear();
        return _queue.Count > 0 || _entries.Count > 0 || _unflushed is not null;
    }

    /// <summary>Writes or flushes, one of them in a run: the loop may order something else between the two, and hears of what was flushed afterwards.</summary>
    private long CarryOut()
    {
        _marked = false;
        FlushWritten();
        while (_queue.TryPeek(out var order))
        {
            if (order.Kind == OrderKind.Append)
            {
                _entries.AddRange(order.Entries!);
            }
            else if (_entries.Count > 0)
            {
                return Write();
            }
            else
            {
                Carry(order);
            }

            _queue.Dequeue();
        }

        if (_entries.Count > 0)
        {
            return Write();
        }

        _idleAtNs = _clock() + IdleMarkDelayNs;
        return _idleAtNs;
    }

    private long MarkWhenIdle()
    {
        if (_marked || _stopped)
        {
            return NodeWork.Idle;
        }

        if (_clock() < _idleAtNs)
        {
            return _idleAtNs;
        }

        _log.WriteIdleMark();
        _marked = true;
        return NodeWork.Idle;
    }

    private void Carry(in Order order)
    {
        switch (order.Kind)
        {
            case OrderKind.Truncate:
                _log.TruncateFrom(order.Index);
                break;
            case OrderKind.Call:
                order.Action!(_log);
                break;
            case OrderKind.Append:
            default:
                throw new InvalidOperationException($"Unknown order {order.Kind}.");
        }
    }

    /// <summary>When there is no room the entries wait.</summary>
    private long Write()
    {
        var last = _entries[^1];
        CommitEvents.Log.LogBegun(_telemetry.NodeId, last.Index.Value);
        if (!TryAppend())
        {
            _idleAtNs = _clock() + FullRetryNs;
            return _idleAtNs;
        }

        CommitEvents.Log.LogWritten(_telemetry.NodeId, last.Index.Value);
        _unflushed = last;
        _entries.Clear();
        return NodeWork.Again;
    }

    private void FlushWritten()
    {
        if (_unflushed is not { } last)
        {
            return;
        }

        _log.Flush();
        _unflushed = null;
        if (_log.AvailableBytes < _prepareBelowBytes)
        {
            _preparer?.Wake();
        }

        CommitEvents.Log.LogFlushed(_telemetry.NodeId, last.Index.Value);
        var persisted = new NodeEvent(NodeEventKind.EntriesPersisted, null, last.Index.Value, last.Term.Value);
        if (HasNothingToDo())
        {
            _inbox.Deliver(persisted);
        }
        else
        {
            _inbox.Post(persisted);
        }
    }

    private bool HasNothingToDo()
    {
        lock (_gate)
        {
            return _orders.Count == 0 && _queue.Count == 0;
        }
    }

    private bool TryAppend()
    {
        try
        {
            _log.Append(_entries);
            _isFull = false;
            return true;
        }
        catch (LogFullException)
        {
            var last = _log.LastIndex;
            _entries.RemoveAll(entry => entry.Index <= last);
            _isFull = true;
            return false;
        }
    }

    private readonly record struct Order(OrderKind Kind, LogEntry[]? Entries, LogIndex Index, Action<SegmentedLog>? Action);

    private sealed class SegmentPreparer(LogWriter writer) : INodeWork
    {
        public long RunOnce()
        {
            try
            {
                writer._log.PrepareNext();

                // While the disk is full nobody may write, so no append asks for another try.
                return writer._log.CanGrow ? NodeWork.Idle : writer._clock() + FullRetryNs;
            }
#pragma warning disable CA1031 // A log that cannot be written is not to be trusted any more: the node stops, the process goes on.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                writer._onFailure(exception);
                return NodeWork.Ended;
            }
        }
    }
}
