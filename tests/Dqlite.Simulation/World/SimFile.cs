using Dqlite.Net.Storage;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.World;

/// <summary>An open file of a <see cref="SimDisk"/>. It belongs to the machine's life in which it was opened.</summary>
internal sealed class SimFile : IDurableFile
{
    private readonly SimDisk _disk;
    private readonly SimInode _inode;
    private readonly DurableFileMode _mode;
    private readonly int _life;
    private bool _isClosed;

    /// <summary>Opens; <see cref="SimDisk"/> has counted it.</summary>
    public SimFile(SimDisk disk, SimInode inode, string path, DurableFileMode mode)
    {
        _disk = disk;
        _inode = inode;
        _mode = mode;
        _life = disk.Machine.Life;
        Path = path;
    }

    /// <inheritdoc/>
    public string Path { get; }

    /// <inheritdoc/>
    public long Length => GetState().SizeBytes;

    /// <inheritdoc/>
    public int Read(Span<byte> destination, long offset)
    {
        CheckUsable();
        _disk.FailIfTold(ShimOperation.Read, Path, "read");
        var count = _inode.Read(destination, offset);
        _disk.MakeStale(_inode, Path, destination[..count], offset);
        return count;
    }

    /// <inheritdoc/>
    public void Write(ReadOnlySpan<byte> source, long offset)
    {
        CheckWritable("write");
        var write = _disk.BeginWrite(_inode, Path, source.Length, offset, mayBeShort: false);
        _disk.Put(_inode, source[..(int)write.Count], offset);
        _disk.EndWrite(write, Path);
    }

    /// <inheritdoc/>
    public void WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers, long offset)
    {
        CheckWritable("write");
        long total = 0;
        foreach (var buffer in buffers)
        {
            total += buffer.Length;
        }

        var write = _disk.BeginWrite(_inode, Path, total, offset, mayBeShort: false);
        var left = write.Count;
        foreach (var buffer in buffers)
        {
            var count = (int)Math.Min(left, buffer.Length);
            _disk.Put(_inode, buffer.Span[..count], offset);
            offset += count;
            left -= count;
        }

        _disk.EndWrite(write, Path);
    }

    /// <summary>Writes as one system call does, which may take less than it is given.</summary>
    /// <returns>How much it took.</returns>
    public int WriteSome(ReadOnlySpan<byte> source, long offset)
    {
        CheckWritable("write");
        var write = _disk.BeginWrite(_inode, Path, source.Length, offset, mayBeShort: true);
        _disk.Put(_inode, source[..(int)write.Count], offset);
        if (write.IsLast || write.Count == 0 || write.Errno != SimDisk.Enospc)
        {
            // Otherwise a full disk has taken what fitted, and says so at the next call.
            _disk.EndWrite(write, Path);
        }

        return (int)write.Count;
    }

    /// <inheritdoc/>
    public void Truncate(long sizeBytes)
    {
        CheckWritable("truncate");
        _disk.FailIfTold(ShimOperation.Truncate, Path, "truncate");
        _disk.RequireRoom(sizeBytes - _inode.Length, "truncate", Path);
        _disk.Change(() => _disk.Resize(_inode, sizeBytes));
    }

    /// <inheritdoc/>
    public void Allocate(long offset, long sizeBytes)
    {
        CheckWritable("allocate");
        _disk.FailIfTold(ShimOperation.Allocate, Path, "allocate");
        _disk.RequireRoom(offset + sizeBytes - _inode.Length, "allocate", Path);
        _disk.Change(() => _disk.Resize(_inode, Math.Max(_inode.Length, offset + sizeBytes)));
    }

    /// <inheritdoc/>
    public void DataSync() => Sync(ShimOperation.DataSync, "fdatasync", withMetadata: false);

    /// <inheritdoc/>
    public void Sync() => Sync(ShimOperation.Sync, "fsync", withMetadata: true);

    /// <inheritdoc/>
    public FileState GetState()
    {
        CheckUsable();
        _disk.FailIfTold(ShimOperation.Stat, Path, "stat");
        return new FileState(_inode.Length, _inode.Number, _inode.MtimeNs);
    }

    /// <inheritdoc/>
    public bool TryLock()
    {
        CheckUsable();
        _disk.FailIfTold(ShimOperation.Lock, Path, "lock");
        return (_inode.LockOwner ??= this) == this;
    }

    /// <summary>Closes; always succeeds, also after the machine went down.</summary>
    public void Dispose()
    {
        if (_isClosed)
        {
            return;
        }

        _isClosed = true;
        if (!_disk.Machine.IsUp || _disk.Machine.Life != _life)
        {
            return;
        }

        _disk.OnClosed(_inode);
        if (_inode.LockOwner == this)
        {
            _inode.LockOwner = null;
        }
    }

    private void Sync(ShimOperation operation, string name, bool withMetadata)
    {
        CheckUsable();
        var errno = _disk.TakeFault(operation, Path);
        _disk.Change(() =>
        {
            if (errno != 0)
            {
                _inode.FailSync();
            }
            else
            {
                _inode.Sync(withMetadata);
            }
        });
        if (errno != 0)
        {
            throw new DurableIOException(errno, name, Path);
        }
    }

    private void CheckUsable()
    {
        ObjectDisposedException.ThrowIf(_isClosed, this);
        _disk.CheckUp(_life);
    }

    private void CheckWritable(string operation)
    {
        CheckUsable();
        if (!_mode.HasFlag(DurableFileMode.Write))
        {
            throw new DurableIOException(SimDisk.Ebadf, operation, Path);
        }
    }
}
