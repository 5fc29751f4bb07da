using Dqlite.Net.Storage;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>
/// The log's own thread: appends of one round share one write and one flush. Orders come from the loop and are carried out in order; the
/// loop hears EntriesPersisted through its inbox. A failed write or flush stops the node: nothing is retried on that file.
/// </summary>
internal sealed class LogWriter : IDisposable
{
    private readonly SegmentedLog _log;
    private readonly Inbox _inbox;
    private readonly Action<Exception> _onFailure;
    private readonly object _gate = new();
    private readonly Thread _thread;
    private List<Order> _orders = [];
    private bool _waiting;
    private bool _stopped;

    public LogWriter(SegmentedLog log, Inbox inbox, string name, Action<Exception> onFailure)
    {
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

    /// <summary>Starts the thread.</summary>
    public void Start() => _thread.Start();

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

        if (_thread.IsAlive && _thread != Thread.CurrentThread)
        {
            _thread.Join();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Stop(abruptly: true);
        _log.Dispose();
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
            while (Take(ref taken))
            {
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

    private bool Take(ref List<Order> taken)
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
                Monitor.Wait(_gate);
                _waiting = false;
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

        _log.Append(entries);
        _log.Flush();
        var last = entries[^1];
        entries.Clear();
        _inbox.Post(new NodeEvent(NodeEventKind.EntriesPersisted, null, last.Index.Value, last.Term.Value));
    }

    private readonly record struct Order(OrderKind Kind, LogEntry[]? Entries, LogIndex Index, Action<SegmentedLog>? Action);
}
