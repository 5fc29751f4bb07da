using System.Buffers.Binary;
using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>The pieces of a snapshot stream (docs/formats/peer.md, "Snapshot stream").</summary>
internal static class InstallMessages
{
    public const byte ManifestChunk = 1;
    public const byte PagesChunk = 2;
    public const byte EndChunk = 3;
    public const byte AckKind = 5;

    /// <summary>Page bytes of one chunk, about.</summary>
    public const int ChunkBytes = 256 << 10;

    /// <summary>Chunks that may be on their way.</summary>
    public const int WindowChunks = 8;

    /// <summary>An acknowledgement: stream, sequence, and how it went (0 stored, 1 installed, 2 failed).</summary>
    public static byte[] Ack(long stream, long sequence, byte status)
    {
        var body = new byte[17];
        BinaryPrimitives.WriteInt64LittleEndian(body, stream);
        BinaryPrimitives.WriteInt64LittleEndian(body.AsSpan(8), sequence);
        body[16] = status;
        return body;
    }
}

/// <summary>
/// Streams a snapshot of every database to one peer, beside the loop. The page views were opened on the loop, between two entries, so
/// all of them show the same applied index.
/// </summary>
internal sealed class InstallSender : INodeWork, IDisposable
{
    private const long StallTimeoutNs = 30_000_000_000;

    /// <summary>After the last piece the peer flushes whole files, and may wait for a checkpoint: nothing is heard of it meanwhile but its heartbeats.</summary>
    private const long InstallTimeoutNs = 600_000_000_000;

    private readonly Lock _gate = new();
    private readonly NodeContext _node;
    private readonly InstallManifest _manifest;
    private readonly IReadOnlyList<IPageSnapshot> _snapshots;
    private readonly IEnumerator<(byte Kind, ReadOnlyMemory<byte> Body)> _pieces;
    private readonly long _stream;
    private INodeWorker? _worker;
    private long _sequence;
    private long _acknowledged = -1;
    private long _heardAtNs;
    private bool _isSent;
    private bool _ended;
    private bool _hasReported;
    private byte _status;

    public InstallSender(NodeContext node, NodeId peer, long stream, InstallManifest manifest, IReadOnlyList<IPageSnapshot> snapshots)
    {
        _node = node;
        Peer = peer;
        _stream = stream;
        _manifest = manifest;
        _snapshots = snapshots;
        _pieces = Pieces().GetEnumerator();
        _heardAtNs = node.NowNs;
    }

    /// <summary>Who gets it.</summary>
    public NodeId Peer { get; }

    /// <summary>The applied index that it shows.</summary>
    public LogIndex Index => _manifest.Index;

    /// <summary>Which stream.</summary>
    public long Stream => _stream;

    /// <summary>Begins.</summary>
    public void Start(INodeThreads threads) => _worker = threads.Start($"dqlite-send-{_node.Name}-{Peer}", this);

    /// <summary>Any thread: the peer has stored a chunk, or ended the stream.</summary>
    public void OnAck(long sequence, byte status)
    {
        lock (_gate)
        {
            _acknowledged = Math.Max(_acknowledged, sequence);
            _heardAtNs = _node.NowNs;
            if (status != 0)
            {
                _ended = true;
                _status = status;
            }
        }

        _worker?.Wake();
    }

    /// <summary>Any thread: the connection broke.</summary>
    public void Abort() => OnAck(-1, 2);

    /// <summary>Ends the worker and gives the views back.</summary>
    public void Dispose()
    {
        _worker?.Stop();
        _pieces.Dispose();
        foreach (var snapshot in _snapshots)
        {
            snapshot.Dispose();
        }
    }

    /// <inheritdoc/>
    public long RunOnce()
    {
        if (_hasReported)
        {
            return NodeWork.Ended;
        }

        try
        {
            var next = SendAhead();
            if (next is { } deadlineNs)
            {
                return deadlineNs;
            }
        }
#pragma warning disable CA1031 // The worker's boundary: a database that was dropped, or cannot be read, ends the stream, not the process.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            _status = 2;
            _node.Log.SnapshotSendFailed(Peer.Value, exception.Message, exception);
        }

        _hasReported = true;
        var success = _status == 1;
        _node.Call((nowNs, outputs) => _node.Installs.OnSent(this, success, nowNs, outputs));
        return NodeWork.Ended;
    }

    /// <summary>Sends what the window allows; null when the stream has ended, well or not.</summary>
    private long? SendAhead()
    {
        while (true)
        {
            long deadlineNs;
            bool isOpen;
            lock (_gate)
            {
                if (_ended)
                {
                    return null;
                }

                isOpen = !_isSent && _sequence - _acknowledged <= InstallMessages.WindowChunks;
                deadlineNs = _heardAtNs + (_isSent ? InstallTimeoutNs : StallTimeoutNs);
            }

            if (!isOpen)
            {
                return _node.NowNs < deadlineNs ? deadlineNs : null;
            }

            if (!_pieces.MoveNext())
            {
                _isSent = true;
            }
            else if (!_node.Transport!.Send(Peer, new StreamChunk(_stream, _sequence++, _pieces.Current.Kind, _pieces.Current.Body)))
            {
                return null;
            }
        }
    }

    private IEnumerable<(byte Kind, ReadOnlyMemory<byte> Body)> Pieces()
    {
        yield return (InstallMessages.ManifestChunk, _manifest.Encode());
        for (var ordinal = 0; ordinal < _snapshots.Count; ordinal++)
        {
            var snapshot = _snapshots[ordinal];
            var perChunk = (uint)Math.Max(1, InstallMessages.ChunkBytes / snapshot.PageSize);
            for (uint first = 1; first <= snapshot.PageCount; first += perChunk)
            {
                yield return (InstallMessages.PagesChunk, Pages(ordinal, snapshot, first, Math.Min(perChunk, snapshot.PageCount - first + 1)));
            }
        }

        yield return (InstallMessages.EndChunk, ReadOnlyMemory<byte>.Empty);
    }

    private static ReadOnlyMemory<byte> Pages(int ordinal, IPageSnapshot snapshot, uint first, uint count)
    {
        var lockPage = (uint)(0x40000000 / snapshot.PageSize) + 1;
        var body = GC.AllocateUninitializedArray<byte>(8 + ((int)count * (4 + snapshot.PageSize)));
        var offset = 8;
        for (var page = first; page < first + count; page++)
        {
            if (page == lockPage)
            {
                continue;
            }

            BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(offset), page);
            snapshot.ReadPage(page, body.AsSpan(offset + 4, snapshot.PageSize));
            offset += 4 + snapshot.PageSize;
        }

        BinaryPrimitives.WriteInt32LittleEndian(body, ordinal);
        BinaryPrimitives.WriteInt32LittleEndian(body.AsSpan(4), (offset - 8) / (4 + snapshot.PageSize));
        return body.AsMemory(0, offset);
    }
}
