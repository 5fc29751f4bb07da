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

/// <summary>The queue in front of the node's loop: many posters, one reader, who is woken by the first of them.</summary>
internal sealed class Inbox
{
    private readonly Lock _gate = new();
    private List<NodeEvent> _events = [];
    private INodeWorker? _reader;
    private bool _woken;
    private bool _closed;

    /// <summary>Who is woken, from now on.</summary>
    public void Attach(INodeWorker reader)
    {
        lock (_gate)
        {
            _reader = reader;
        }

        reader.Wake();
    }

    /// <summary>Adds an input. False once the loop has ended: nobody will handle it.</summary>
    public bool Post(in NodeEvent nodeEvent)
    {
        INodeWorker? reader;
        lock (_gate)
        {
            if (_closed)
            {
                return false;
            }

            _events.Add(nodeEvent);
            reader = FirstWake();
        }

        reader?.Wake();
        return true;
    }

    /// <summary>As <see cref="Post"/>, from a thread of the node that may take a turn of the loop itself: for what a commit waits for.</summary>
    public void Deliver(in NodeEvent nodeEvent)
    {
        INodeWorker? reader;
        lock (_gate)
        {
            if (_closed)
            {
                return;
            }

            _events.Add(nodeEvent);
            _woken = true;
            reader = _reader;
        }

        reader?.Assist();
    }

    /// <summary>Makes the loop look around although there is no input.</summary>
    public void Wake()
    {
        INodeWorker? reader;
        lock (_gate)
        {
            reader = FirstWake();
        }

        reader?.Wake();
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

    private INodeWorker? FirstWake()
    {
        if (_woken)
        {
            return null;
        }

        _woken = true;
        return _reader;
    }
}
