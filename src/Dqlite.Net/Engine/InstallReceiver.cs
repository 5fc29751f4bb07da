using System.Buffers.Binary;
using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>Takes one snapshot stream in, on a thread of its own: pages go to NAME.db.new and are verified before anything is replaced.</summary>
internal sealed class InstallReceiver
{
    private readonly object _gate = new();
    private readonly Queue<StreamChunk> _chunks = new();
    private readonly NodeContext _node;
    private readonly long _stream;
    private readonly List<DatabaseFileBuilder> _builders = [];
    private InstallReceiver? _previous;
    private readonly ManualResetEventSlim _ended = new();
    private InstallManifest? _manifest;
    private bool _aborted;

    /// <summary>Begins; waits on its own thread until the one before it, which was aborted, has closed its files: they have the same names.</summary>
    public InstallReceiver(NodeContext node, NodeId from, long stream, InstallReceiver? previous)
    {
        _node = node;
        _previous = previous;
        From = from;
        _stream = stream;
        new Thread(Run) { IsBackground = true, Name = $"dqlite-install-{node.Name}" }.Start();
    }

    /// <summary>Who sends it.</summary>
    public NodeId From { get; }

    /// <summary>Which stream.</summary>
    public long Stream => _stream;

    /// <summary>Loop: the next piece. The window of the sender bounds the queue.</summary>
    public void Add(StreamChunk chunk)
    {
        lock (_gate)
        {
            _chunks.Enqueue(chunk);
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Loop: the node stops. Returns when the thread, and those of the streams before it, have closed their files.</summary>
    public void Stop()
    {
        Abort();
        _ended.Wait();
    }

    /// <summary>Loop: another stream takes its place, or the connection broke.</summary>
    public void Abort()
    {
        lock (_gate)
        {
            _aborted = true;
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Any thread: tells the sender.</summary>
    public void Ack(long sequence, byte status) =>
        _node.Transport?.Send(From, new NodeMessage(InstallMessages.AckKind, 0, InstallMessages.Ack(_stream, sequence, status)));

    private void Run()
    {
        long expected = 0;
        try
        {
            _previous?._ended.Wait();
            _previous = null;
            while (Next() is { } chunk)
            {
                if (chunk.Sequence != expected++)
                {
                    throw new InvalidDataException($"A snapshot stream skipped from piece {expected - 1} to {chunk.Sequence}.");
                }

                if (chunk.Kind == InstallMessages.EndChunk)
                {
                    Finish();
                    return;
                }

                Store(chunk);
                Ack(chunk.Sequence, 0);
            }
        }
#pragma warning disable CA1031 // The thread's boundary: whatever is wrong with a stream ends the stream; the sender begins another one.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            _node.Log.SnapshotReceiveFailed(From.Value, exception.Message, exception);
            Ack(0, 2);
        }
        finally
        {
            _builders.ForEach(builder => builder.Dispose());
            lock (_gate)
            {
                _chunks.Clear();
            }

            _ended.Set();
            _node.Call((_, _) => _node.Installs.OnReceiverEnded(this));
        }
    }

    private StreamChunk? Next()
    {
        lock (_gate)
        {
            while (_chunks.Count == 0 && !_aborted)
            {
                Monitor.Wait(_gate);
            }

            return _aborted ? null : _chunks.Dequeue();
        }
    }

    private void Store(StreamChunk chunk)
    {
        if (chunk.Kind == InstallMessages.ManifestChunk && _manifest is null)
        {
            _manifest = InstallManifest.Decode(chunk.Body);
            foreach (var announced in _manifest.Databases)
            {
                var files = announced.FilesIn(_node.Databases.Directory);
                _builders.Add(DatabaseFileBuilder.Open(files.NewDatabasePath, files.NewSumsPath, announced.PageSize));
            }

            return;
        }

        if (chunk.Kind != InstallMessages.PagesChunk || _manifest is null || chunk.Body.Length < 8)
        {
            throw new InvalidDataException($"A snapshot stream holds an unexpected piece of kind {chunk.Kind}.");
        }

        var body = chunk.Body.Span;
        var ordinal = BinaryPrimitives.ReadInt32LittleEndian(body);
        var count = BinaryPrimitives.ReadInt32LittleEndian(body[4..]);
        if (ordinal < 0 || ordinal >= _builders.Count || count < 0 || body.Length != 8 + ((long)count * (4 + _manifest.Databases[ordinal].PageSize)))
        {
            throw new InvalidDataException("A piece of a snapshot stream has a wrong length.");
        }

        var database = _manifest.Databases[ordinal];
        for (var offset = 8; offset < body.Length; offset += 4 + database.PageSize)
        {
            var page = BinaryPrimitives.ReadUInt32LittleEndian(body[offset..]);
            if (page == 0 || page > database.PageCount)
            {
                throw new InvalidDataException($"A snapshot stream holds page {page} of a database of {database.PageCount} pages.");
            }

            _builders[ordinal].WritePage(page, body.Slice(offset + 4, database.PageSize));
        }
    }

    private void Finish()
    {
        if (_manifest is null)
        {
            throw new InvalidDataException("A snapshot stream ended before it began.");
        }

        for (var i = 0; i < _builders.Count; i++)
        {
            var database = _manifest.Databases[i];
            var checksum = _builders[i].Finish(database.PageCount);
            if (checksum != database.Checksum)
            {
                throw new InvalidDataException($"Database '{database.Name}' of a snapshot stream has checksum {checksum:x16} where {database.Checksum:x16} belongs.");
            }
        }

        _node.Files.SyncDirectory(_node.Databases.Directory);
        _node.Call((nowNs, outputs) => _node.Installs.OnReceived(this, _manifest, nowNs, outputs));
    }
}
