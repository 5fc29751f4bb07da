using System.Buffers.Binary;
using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>Takes one snapshot stream in, beside the loop: pages go to NAME.db.new and are verified before anything is replaced.</summary>
internal sealed class InstallReceiver : INodeWork, IDisposable
{
    private readonly Lock _gate = new();
    private readonly Queue<StreamChunk> _chunks = new();
    private readonly NodeContext _node;
    private readonly long _stream;
    private readonly List<IDatabaseFileBuilder> _builders = [];
    private InstallReceiver? _previous;
    private InstallReceiver? _next;
    private INodeWorker? _worker;
    private InstallManifest? _manifest;
    private long _expected;
    private bool _aborted;
    private bool _hasEnded;

    /// <summary>Begins, once the one before it, which was aborted, has closed its files: they have the same names.</summary>
    public InstallReceiver(NodeContext node, NodeId from, long stream, InstallReceiver? previous)
    {
        _node = node;
        _stream = stream;
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
    public void Ack(long sequence, byte status) =>
        _node.Transport?.Send(From, new NodeMessage(InstallMessages.AckKind, 0, InstallMessages.Ack(_stream, sequence, status)));

    /// <summary>Ends the worker and closes the files.</summary>
    public void Dispose()
    {
        _worker?.Stop();
        CloseFiles();
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
        CloseFiles();
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

    private void CloseFiles()
    {
        _builders.ForEach(builder => builder.Dispose());
        _builders.Clear();
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
        var isNext = chunk.Sequence == _expected++;
#if MUTANTS
        isNext |= Mutant.Is("R34");
#endif
        if (!isNext)
        {
            throw new InvalidDataException($"A snapshot stream skipped from piece {_expected - 1} to {chunk.Sequence}.");
        }

        if (chunk.Kind == InstallMessages.EndChunk)
        {
            Finish();
            return true;
        }

        Store(chunk);
        Ack(chunk.Sequence, 0);
        return false;
    }

    private void Store(StreamChunk chunk)
    {
        if (chunk.Kind == InstallMessages.ManifestChunk && _manifest is null)
        {
            _manifest = InstallManifest.Decode(chunk.Body);
            foreach (var announced in _manifest.Databases)
            {
                var files = announced.FilesIn(_node.Databases.Directory);
                _builders.Add(_node.PageStores.Build(files.NewDatabasePath, files.NewSumsPath, announced.PageSize));
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
            var isWhole = checksum == database.Checksum;
#if MUTANTS
            isWhole |= Mutant.Is("R34");
#endif
            if (!isWhole)
            {
                throw new InvalidDataException($"Database '{database.Name}' of a snapshot stream has checksum {checksum:x16} where {database.Checksum:x16} belongs.");
            }
        }

        _node.Files.SyncDirectory(_node.Databases.Directory);
        _node.Call((nowNs, outputs) => _node.Installs.OnReceived(this, _manifest, nowNs, outputs));
    }
}
