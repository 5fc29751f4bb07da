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
/// Streams a snapshot of every database to one peer, on a thread of its own. The page views were opened on the loop, between two entries, so
/// all of them show the same applied index; the thread closes them.
/// </summary>
internal sealed class InstallSender
{
    private static readonly TimeSpan StallTimeout = TimeSpan.FromSeconds(30);

    /// <summary>After the last piece the peer flushes whole files, and may wait for a checkpoint: nothing is heard of it meanwhile but its heartbeats.</summary>
    private static readonly TimeSpan InstallTimeout = TimeSpan.FromMinutes(10);

    private readonly object _gate = new();
    private readonly NodeContext _node;
    private readonly InstallManifest _manifest;
    private readonly IReadOnlyList<PageSnapshot> _snapshots;
    private readonly long _stream;
    private readonly Thread _thread;
    private long _sequence;
    private long _acknowledged = -1;
    private bool _ended;
    private byte _status;

    public InstallSender(NodeContext node, NodeId peer, long stream, InstallManifest manifest, IReadOnlyList<PageSnapshot> snapshots)
    {
        _node = node;
        Peer = peer;
        _stream = stream;
        _manifest = manifest;
        _snapshots = snapshots;
        _thread = new Thread(Run) { IsBackground = true, Name = $"dqlite-send-{node.Name}-{peer}" };
    }

    /// <summary>Who gets it.</summary>
    public NodeId Peer { get; }

    /// <summary>The applied index that it shows.</summary>
    public LogIndex Index => _manifest.Index;

    /// <summary>Which stream.</summary>
    public long Stream => _stream;

    /// <summary>Begins.</summary>
    public void Start() => _thread.Start();

    /// <summary>Any thread: the peer has stored a chunk, or ended the stream.</summary>
    public void OnAck(long sequence, byte status)
    {
        lock (_gate)
        {
            _acknowledged = Math.Max(_acknowledged, sequence);
            if (status != 0)
            {
                _ended = true;
                _status = status;
            }

            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Any thread: the connection broke.</summary>
    public void Abort() => OnAck(-1, 2);

    /// <summary>Loop: the node stops. Returns when the thread reads nothing any more and the page views are closed.</summary>
    public void Stop()
    {
        Abort();
        _thread.Join();
    }

    private void Run()
    {
        var success = false;
        try
        {
            success = Send(InstallMessages.ManifestChunk, _manifest.Encode()) && SendDatabases() && Send(InstallMessages.EndChunk, ReadOnlyMemory<byte>.Empty) && WaitInstalled();
        }
#pragma warning disable CA1031 // The thread's boundary: a database that was dropped, or cannot be read, ends the stream, not the process.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            _node.Log.SnapshotSendFailed(Peer.Value, exception.Message, exception);
        }
        finally
        {
            foreach (var snapshot in _snapshots)
            {
                snapshot.Dispose();
            }
        }

        _node.Call((nowNs, outputs) => _node.Installs.OnSent(this, success, nowNs, outputs));
    }

    private bool SendDatabases()
    {
        for (var i = 0; i < _snapshots.Count; i++)
        {
            if (!SendDatabase(i, _snapshots[i]))
            {
                return false;
            }
        }

        return true;
    }

    private bool SendDatabase(int ordinal, PageSnapshot snapshot)
    {
        var perChunk = Math.Max(1, InstallMessages.ChunkBytes / snapshot.PageSize);
        var lockPage = (uint)(0x40000000 / snapshot.PageSize) + 1;
        for (uint first = 1; first <= snapshot.PageCount;)
        {
            var count = (int)Math.Min((uint)perChunk, snapshot.PageCount - first + 1);
            var body = GC.AllocateUninitializedArray<byte>(8 + (count * (4 + snapshot.PageSize)));
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
            first += (uint)count;
            if (!Send(InstallMessages.PagesChunk, body.AsMemory(0, offset)))
            {
                return false;
            }
        }

        return true;
    }

    private bool Send(byte kind, ReadOnlyMemory<byte> body)
    {
        lock (_gate)
        {
            while (!_ended && _sequence - _acknowledged > InstallMessages.WindowChunks)
            {
                if (!Monitor.Wait(_gate, StallTimeout))
                {
                    return false;
                }
            }

            if (_ended)
            {
                return false;
            }
        }

        return _node.Transport!.Send(Peer, new StreamChunk(_stream, _sequence++, kind, body));
    }

    private bool WaitInstalled()
    {
        lock (_gate)
        {
            while (!_ended)
            {
                if (!Monitor.Wait(_gate, InstallTimeout))
                {
                    return false;
                }
            }

            return _status == 1;
        }
    }
}
