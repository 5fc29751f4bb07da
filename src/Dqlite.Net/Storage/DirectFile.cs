using System.Runtime.InteropServices;
using Dqlite.Sqlite;

namespace Dqlite.Net.Storage;

/// <summary>
/// A file of the log, written past the page cache: what was written since the last flush lies in memory, and the flush hands whole blocks to the disk in one
/// call, which returns when they are durable (O_DIRECT and O_DSYNC). Beside two other logs on one disk that takes a fifth less time than a write and an
/// fdatasync, which first goes through the file system's writeback. One thread writes; others may read meanwhile, and see what was written.
/// </summary>
/// <remarks>
/// <code>
///        blockStart          used
/// file ──┬──────────┬────────┬───
///        │ on disk  │ staged │ zeros up to the end of the block
/// </code>
/// Behind what is written last in a block nothing is kept: it is a file that grows at its end, from a start that is known (<see cref="Write"/> reads the
/// rest of the first block). A flush writes the last block again and again until it is full, as the page cache does.
/// </remarks>
internal sealed class DirectFile : IDurableFile
{
    private const int BlockBytes = 4096;
    private const int FirstCapacity = 4 * BlockBytes;
    private const int MaxCapacity = 64 * BlockBytes;
    private const int InvalidArgument = 22;
    private const int NotSupported = 95;

    /// <summary>Buffers of closed files: pinned ones are collected late.</summary>
    private const int MaxSpareBuffers = 4;

    private static readonly Lock SpareGate = new();
    private static readonly Stack<byte[]> Spares = new();

    private readonly IDurableFile _file;
    private readonly IDurableFile _direct;
    private readonly Lock _gate = new();
    private byte[] _memory = [];
    private int _origin;
    private int _capacity;
    private long _blockStart = -1;
    private int _used;
    private int _written;
    private bool _isRefused;

    private DirectFile(IDurableFile file, IDurableFile direct)
    {
        _file = file;
        _direct = direct;
    }

    /// <inheritdoc/>
    public string Path => _file.Path;

    /// <inheritdoc/>
    public long Length => _file.Length;

    private Span<byte> Buffer => _memory.AsSpan(_origin, _capacity);

    /// <summary>The file through this class, where the file system can do it; else the file itself.</summary>
    /// <param name="file">Open for reading and writing; belongs to the result.</param>
    /// <param name="openDirect">Opens it once more, past the page cache.</param>
    public static IDurableFile Wrap(IDurableFile file, Func<IDurableFile> openDirect)
    {
        try
        {
            return new DirectFile(file, openDirect());
        }
        catch (DurableIOException exception) when (exception.Errno is InvalidArgument or NotSupported)
        {
            // A file system in memory, for example, has nothing to pass by.
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public int Read(Span<byte> destination, long offset)
    {
        // Staged first: if a flush moves on meanwhile, the file has it by then.
        lock (_gate)
        {
            if (_used > _written && offset < _blockStart + _used && offset + destination.Length > _blockStart)
            {
                return ReadStaged(destination, offset);
            }
        }

        return _file.Read(destination, offset);
    }

    /// <inheritdoc/>
    public void Write(ReadOnlySpan<byte> source, long offset)
    {
        Seek(offset);
        while (!source.IsEmpty)
        {
            if (_used == MaxCapacity)
            {
                WriteOut();
            }

            lock (_gate)
            {
                Reserve(source.Length);
                var part = source[..Math.Min(source.Length, _capacity - _used)];
                part.CopyTo(Buffer[_used..]);
                _used += part.Length;
                source = source[part.Length..];
            }
        }
    }

    /// <inheritdoc/>
    public void WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers, long offset)
    {
        foreach (var buffer in buffers)
        {
            Write(buffer.Span, offset);
            offset += buffer.Length;
        }
    }

    /// <inheritdoc/>
    public void Truncate(long sizeBytes)
    {
        Forget();
        _file.Truncate(sizeBytes);
    }

    /// <inheritdoc/>
    public void Allocate(long offset, long sizeBytes) => _file.Allocate(offset, sizeBytes);

    /// <inheritdoc/>
    public void DataSync() => WriteOut();

    /// <inheritdoc/>
    public void Sync()
    {
        WriteOut();
        _file.Sync();
    }

    /// <inheritdoc/>
    public FileState GetState() => _file.GetState();

    /// <inheritdoc/>
    public bool TryLock() => _file.TryLock();

    /// <summary>What was not flushed is gone.</summary>
    public void Dispose()
    {
        _direct.Dispose();
        _file.Dispose();
        lock (_gate)
        {
            GiveBack(_memory);
            (_memory, _capacity, _used, _written) = ([], 0, 0, 0);
        }
    }

    private static void GiveBack(byte[] memory)
    {
        lock (SpareGate)
        {
            if (memory.Length == MaxCapacity + BlockBytes && Spares.Count < MaxSpareBuffers)
            {
                Spares.Push(memory);
            }
        }
    }

    private static byte[] Take(int capacity)
    {
        lock (SpareGate)
        {
            return capacity == MaxCapacity && Spares.TryPop(out var spare) ? spare : GC.AllocateUninitializedArray<byte>(capacity + BlockBytes, pinned: true);
        }
    }

    private int ReadStaged(Span<byte> destination, long offset)
    {
        var read = _file.Read(destination, offset);
        var from = Math.Max(offset, _blockStart);
        var to = Math.Min(offset + destination.Length, _blockStart + _used);
        Buffer[(int)(from - _blockStart)..(int)(to - _blockStart)].CopyTo(destination[(int)(from - offset)..]);
        return Math.Max(read, (int)(to - offset));
    }

    /// <summary>Goes on behind what is staged, or begins anew: with what the file holds of the first block.</summary>
    private void Seek(long offset)
    {
        if (_blockStart >= 0 && offset == _blockStart + _used)
        {
            return;
        }

        Forget();
        var start = offset / BlockBytes * BlockBytes;
        lock (_gate)
        {
            Reserve(BlockBytes);
            var head = (int)(offset - start);
            Buffer[..head].Clear();
            _file.Read(Buffer[..head], start);
            (_blockStart, _used, _written) = (start, head, head);
        }
    }

    /// <summary>Whole blocks go to the disk; the last one stays, for what comes behind it.</summary>
    private void WriteOut()
    {
        if (_used == _written)
        {
            return;
        }

        var end = (_used + BlockBytes - 1) / BlockBytes * BlockBytes;
        Buffer[_used..end].Clear();
        WriteBlocks(Buffer[..end]);
        lock (_gate)
        {
            var whole = _used / BlockBytes * BlockBytes;
            Buffer[whole.._used].CopyTo(Buffer);
            _blockStart += whole;
            _used -= whole;
            _written = _used;
        }
    }

    private void WriteBlocks(ReadOnlySpan<byte> blocks)
    {
        if (!_isRefused)
        {
            try
            {
                _direct.Write(blocks, _blockStart);
                return;
            }
            catch (DurableIOException exception) when (exception.Errno == InvalidArgument)
            {
                // The disk's own blocks are larger: nothing was written.
                _isRefused = true;
            }
        }

        _file.Write(blocks, _blockStart);
        _file.DataSync();
    }

    private void Forget()
    {
        WriteOut();
        lock (_gate)
        {
            (_blockStart, _used, _written) = (-1, 0, 0);
        }
    }

    /// <summary>Room for more bytes, as far as there may be. The disk reads from memory that begins at a block.</summary>
    private void Reserve(int bytes)
    {
        var wanted = (int)Math.Min(MaxCapacity, Math.Max(FirstCapacity, (_used + (long)bytes + BlockBytes - 1) / BlockBytes * BlockBytes));
        if (wanted <= _capacity)
        {
            return;
        }

        var capacity = wanted == FirstCapacity ? FirstCapacity : MaxCapacity;
        var memory = Take(capacity);
        var origin = (int)(-Marshal.UnsafeAddrOfPinnedArrayElement(memory, 0) & (BlockBytes - 1));
        Buffer[.._used].CopyTo(memory.AsSpan(origin));
        (_memory, _origin, _capacity) = (memory, origin, capacity);
    }
}
