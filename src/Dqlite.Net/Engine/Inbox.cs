namespace Dqlite.Net.Engine;

/// <summary>What the node's loop reacts to.</summary>
internal enum NodeEventKind : byte
{
    /// <summary>A <see cref="Transport.PeerMessage"/> came from peer A.</summary>
    Message,

    /// <summary>The connection to peer A is established.</summary>
    Connected,

    /// <summary>A connection to or from peer A has ended.</summary>
    Disconnected,

    /// <summary>The log is durable up to index A, whose entry has term B.</summary>
    EntriesPersisted,

    /// <summary>Anything else: an Action that runs on the loop.</summary>
    Call,
}

/// <summary>One input of the node's loop.</summary>
internal readonly record struct NodeEvent(NodeEventKind Kind, object? Payload, long A = 0, long B = 0);

/// <summary>The queue in front of the node's loop: many posters, one reader.</summary>
internal sealed class Inbox
{
    private readonly object _gate = new();
    private List<NodeEvent> _events = [];
    private bool _woken;
    private bool _waiting;
    private bool _closed;

    /// <summary>Adds an input. False once the loop has ended: nobody will handle it.</summary>
    public bool Post(in NodeEvent nodeEvent)
    {
        lock (_gate)
        {
            if (_closed)
            {
                return false;
            }

            _events.Add(nodeEvent);
            Signal();
            return true;
        }
    }

    /// <summary>Makes the loop look around although there is no input.</summary>
    public void Wake()
    {
        lock (_gate)
        {
            Signal();
        }
    }

    /// <summary>Takes everything, in exchange for an empty list.</summary>
    public List<NodeEvent> Drain(List<NodeEvent> empty)
    {
        lock (_gate)
        {
            var events = _events;
            _events = empty;
            _woken = false;
            return events;
        }
    }

    /// <summary>Waits for an input, a wake, or the time to pass.</summary>
    public void Wait(int timeoutMs)
    {
        lock (_gate)
        {
            if (!_woken && timeoutMs > 0)
            {
                _waiting = true;
                Monitor.Wait(_gate, timeoutMs);
                _waiting = false;
            }
        }
    }

    /// <summary>Refuses inputs from now on and returns what is left.</summary>
    public List<NodeEvent> Close()
    {
        lock (_gate)
        {
            _closed = true;
            var events = _events;
            _events = [];
            return events;
        }
    }

    private void Signal()
    {
        _woken = true;
        if (_waiting)
        {
            Monitor.Pulse(_gate);
        }
    }
}
