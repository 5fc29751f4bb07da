using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>Takes one snapshot stream in, beside the loop.</summary>
internal sealed class InstallReceiver : INodeWork, IDisposable
{
    private readonly Lock _gate = new();
    private readonly Queue<StreamChunk> _chunks = new();
    private readonly NodeContext _node;
    private readonly long _stream;
    private readonly InstallStream _pieces;
    private InstallReceiver? _previous;
    private InstallReceiver? _next;
    private INodeWorker? _worker;
    private bool _aborted;
    private bool _hasEnded;

    /// <summary>Begins, once the one before it, which was aborted, has closed its files: they have the same names.</summary>
    public InstallReceiver(NodeContext node, NodeId from, long stream, InstallReceiver? previous)
    {
        _node = node;
        _stream = stream;
        _pieces = new InstallStream(node.PageStores, node.Databases.Directory);
        From = from;
        _previous = previous?.Precedes(this) == true ? previous : null;
    }

    /// <summary>Who sends it.</summary>
    public NodeId From { get; }

    /// <summary>Which stream.</summary>
    public long Stream => _stream;

    /// <summary>Begins.</summary>
    public void Start(INodeThreads threads) => _worker = threads.Start($"dqlite-install-{_node.Name}", this);

    /// <summary>Loop: the next piece. The window of the sender bounds the queue.</summary>
    public void Add(StreamChunk chunk)
    {
        lock (_gate)
        {
            _chunks.Enqueue(chunk);
        }

        _worker?.Wake();
    }

    /// <summary>Loop: another stream takes its place, or the connection broke.</summary>
    public void Abort()
    {
        lock (_gate)
        {
            _aborted = true;
        }

        _worker?.Wake();
    }

    /// <summary>Any thread: tells the sender.</summary>
    public void Ack(long sequence, byte status) => _node.Installs.Acks.Send(From, _stream, sequence, status);

    /// <summary>Ends the worker and closes the files.</summary>
    public void Dispose()
    {
        _worker?.Stop();
        _pieces.Dispose();
    }

    /// <inheritdoc/>
    public long RunOnce()
    {
        lock (_gate)
        {
            if (_hasEnded || _previous is not null)
            {
                return _hasEnded ? NodeWork.Ended : NodeWork.Idle;
            }
        }

        try
        {
            while (Next() is { } chunk)
            {
                if (Take(chunk))
                {
                    return End();
                }
            }
        }
#pragma warning disable CA1031 // The worker's boundary: whatever is wrong with a stream ends the stream; the sender begins another one.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            _node.Log.SnapshotReceiveFailed(From.Value, exception.Message, exception);
            Ack(0, 2);
            return End();
        }

        return _aborted ? End() : NodeWork.Idle;
    }

    /// <summary>Whether another one must wait for this one; it is woken at the end.</summary>
    private bool Precedes(InstallReceiver next)
    {
        lock (_gate)
        {
            _next = next;
            return !_hasEnded;
        }
    }

    private void OnPreviousEnded()
    {
        lock (_gate)
        {
            _previous = null;
        }

        _worker?.Wake();
    }

    private long End()
    {
        _pieces.Dispose();
        InstallReceiver? next;
        lock (_gate)
        {
            _hasEnded = true;
            _chunks.Clear();
            next = _next;
        }

        next?.OnPreviousEnded();
        _node.Call((_, _) => _node.Installs.OnReceiverEnded(this));
        return NodeWork.Ended;
    }

    private StreamChunk? Next()
    {
        lock (_gate)
        {
            return !_aborted && _chunks.TryDequeue(out var chunk) ? chunk : null;
        }
    }

    /// <summary>Handles a piece; true after the last one.</summary>
    private bool Take(StreamChunk chunk)
    {
        if (_pieces.Take(chunk) is { } manifest)
        {
            _node.Files.SyncDirectory(_node.Databases.Directory);
            _node.Call((nowNs, outputs) => _node.Installs.OnReceived(this, manifest, nowNs, outputs));
            return true;
        }

        Ack(chunk.Sequence, 0);
        return false;
    }
}
