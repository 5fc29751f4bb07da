using System.Buffers;
using System.Runtime.InteropServices;
using Dqlite.Sqlite.Native;

namespace Dqlite.Sqlite;

/// <summary>How <see cref="DurableFile.Open"/> opens. The values are those of native/dqlite_shim.h.</summary>
[Flags]
public enum DurableFileMode
{
    /// <summary>No access; not a valid argument.</summary>
    None = 0,

    /// <summary>For reading.</summary>
    Read = 1,

    /// <summary>For writing.</summary>
    Write = 2,

    /// <summary>Creates the file when it does not exist.</summary>
    Create = 4,

    /// <summary>With <see cref="Create"/>: fails when it exists.</summary>
    Exclusive = 8,

    /// <summary>Empties an existing file.</summary>
    Truncate = 16,

    /// <summary>Past the page cache: addresses, offsets and sizes of writes are multiples of 4096, and a write that returns is durable.</summary>
    Direct = 32,
}

/// <summary>Size and identity of a file (dq_stat).</summary>
/// <param name="SizeBytes">Its length.</param>
/// <param name="Inode">Its number in the file system.</param>
/// <param name="MtimeNs">Time of the last modification, nanoseconds since the epoch.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct FileState(long SizeBytes, ulong Inode, long MtimeNs);

/// <summary>A file whose every failure is reported: .NET's own flush returns normally when fsync fails. Synchronous. Positioned
/// operations may run on several threads; <see cref="Dispose"/> may race with them.</summary>
public sealed class DurableFile : IDisposable
{
    private const int WouldBlock = 11;
    private const int MaxVectorLength = 256; // IOV_MAX is 1024; this one fits on the stack
    private const int PermissionsOfNewFiles = 0x1A4; // 0644

    private readonly DescriptorHandle _handle;

    private DurableFile(DescriptorHandle handle, string path)
    {
        _handle = handle;
        Path = path;
    }

    /// <summary>The path it was opened with.</summary>
    public string Path { get; }

    /// <summary>The current length in bytes.</summary>
    public long Length => GetState().SizeBytes;

    /// <summary>Opens or creates a file. A created one is durable only after <see cref="SyncDirectory"/>.</summary>
    /// <param name="path">Absolute or relative path.</param>
    /// <param name="mode">How.</param>
    /// <exception cref="DurableIOException">It failed.</exception>
    public static DurableFile Open(string path, DurableFileMode mode)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var handle = new DescriptorHandle();
        var fd = NativeMethods.FileOpen(path, (int)mode, PermissionsOfNewFiles);
        Check(fd, "open", path);
        handle.Adopt(fd);
        return new DurableFile(handle, path);
    }

    /// <summary>Renames a file, replacing the target. Durable only after <see cref="SyncDirectory"/>.</summary>
    /// <param name="from">The old path.</param>
    /// <param name="to">The new path.</param>
    /// <exception cref="DurableIOException">It failed.</exception>
    public static void Rename(string from, string to) => Check(NativeMethods.FileRename(from, to), "rename", from);

    /// <summary>Deletes a file. Durable only after <see cref="SyncDirectory"/>.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="DurableIOException">It failed.</exception>
    public static void Delete(string path) => Check(NativeMethods.FileUnlink(path), "delete", path);

    /// <summary>Makes the names in a directory durable.</summary>
    /// <param name="directory">The directory.</param>
    /// <exception cref="DurableIOException">It failed.</exception>
    public static void SyncDirectory(string directory) => Check(NativeMethods.DirectorySync(directory), "fsync of the directory", directory);

    /// <summary>Reads until the buffer is full or the file ends.</summary>
    /// <param name="destination">Where to.</param>
    /// <param name="offset">Position in the file.</param>
    /// <returns>How many bytes were read.</returns>
    /// <exception cref="DurableIOException">It failed.</exception>
    public unsafe int Read(Span<byte> destination, long offset)
    {
        using var lease = new DescriptorLease(_handle);
        fixed (byte* bytes = destination)
        {
            return (int)Check(NativeMethods.FileRead(lease.Fd, bytes, destination.Length, offset), "read", Path);
        }
    }

    /// <summary>Writes the whole buffer.</summary>
    /// <param name="source">The bytes.</param>
    /// <param name="offset">Position in the file.</param>
    /// <exception cref="DurableIOException">It failed; part of it may have been written.</exception>
    public unsafe void Write(ReadOnlySpan<byte> source, long offset)
    {
        using var lease = new DescriptorLease(_handle);
        fixed (byte* bytes = source)
        {
            Check(NativeMethods.FileWrite(lease.Fd, bytes, source.Length, offset), "write", Path);
        }
    }

    /// <summary>Writes several buffers one after the other, without copying them together.</summary>
    /// <param name="buffers">The bytes; any number of buffers.</param>
    /// <param name="offset">Position of the first one in the file.</param>
    /// <exception cref="DurableIOException">It failed; part of it may have been written.</exception>
    public void WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers, long offset)
    {
        using var lease = new DescriptorLease(_handle);
        while (buffers.Length > 0)
        {
            var count = Math.Min(buffers.Length, MaxVectorLength);
            offset += WriteVector(lease.Fd, buffers[..count], offset);
            buffers = buffers[count..];
        }
    }

    private unsafe long WriteVector(int fd, ReadOnlySpan<ReadOnlyMemory<byte>> buffers, long offset)
    {
        var pins = ArrayPool<MemoryHandle>.Shared.Rent(buffers.Length);
        void** addresses = stackalloc void*[buffers.Length];
        var sizes = stackalloc long[buffers.Length];
        var pinned = 0;
        long total = 0;
        try
        {
            for (; pinned < buffers.Length; pinned++)
            {
                pins[pinned] = buffers[pinned].Pin();
                addresses[pinned] = pins[pinned].Pointer;
                sizes[pinned] = buffers[pinned].Length;
                total += buffers[pinned].Length;
            }

            Check(NativeMethods.FileWriteVectored(fd, addresses, sizes, buffers.Length, offset), "write", Path);
            return total;
        }
        finally
        {
            for (var i = 0; i < pinned; i++)
            {
                pins[i].Dispose();
            }

            ArrayPool<MemoryHandle>.Shared.Return(pins, clearArray: true);
        }
    }

    /// <summary>Sets the length.</summary>
    /// <param name="sizeBytes">The new length.</param>
    /// <exception cref="DurableIOException">It failed.</exception>
    public void Truncate(long sizeBytes)
    {
        using var lease = new DescriptorLease(_handle);
        Check(NativeMethods.FileTruncate(lease.Fd, sizeBytes), "truncate", Path);
    }

    /// <summary>Reserves disk space, so that a write there cannot fail for lack of it.</summary>
    /// <param name="offset">Where from.</param>
    /// <param name="sizeBytes">How much.</param>
    /// <exception cref="DurableIOException">It failed; see <see cref="DurableIOException.IsDiskFull"/>.</exception>
    public void Allocate(long offset, long sizeBytes)
    {
        using var lease = new DescriptorLease(_handle);
        Check(NativeMethods.FileAllocate(lease.Fd, offset, sizeBytes), "allocate", Path);
    }

    /// <summary>Makes the content durable (fdatasync). After a failure the file must not be trusted or synced again: the kernel has
    /// dropped the error and marked the pages clean.</summary>
    /// <exception cref="DurableIOException">It failed.</exception>
    public void DataSync()
    {
        using var lease = new DescriptorLease(_handle);
        Check(NativeMethods.FileDataSync(lease.Fd), "fdatasync", Path);
    }

    /// <summary>Makes content and metadata durable (fsync); failures as in <see cref="DataSync"/>.</summary>
    /// <exception cref="DurableIOException">It failed.</exception>
    public void Sync()
    {
        using var lease = new DescriptorLease(_handle);
        Check(NativeMethods.FileSync(lease.Fd), "fsync", Path);
    }

    /// <summary>Size and identity.</summary>
    /// <exception cref="DurableIOException">It failed.</exception>
    public FileState GetState()
    {
        using var lease = new DescriptorLease(_handle);
        Check(NativeMethods.FileStat(lease.Fd, out var state), "stat", Path);
        return state;
    }

    /// <summary>Takes an exclusive lock on the file, which ends when it is closed.</summary>
    /// <returns>False when another opener has it, in this process or another.</returns>
    /// <exception cref="DurableIOException">It failed otherwise.</exception>
    public bool TryLock()
    {
        using var lease = new DescriptorLease(_handle);
        var result = NativeMethods.FileLock(lease.Fd);
        if (result == -WouldBlock)
        {
            return false;
        }

        Check(result, "lock", Path);
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => _handle.Dispose();

    private static long Check(long result, string operation, string path) =>
        result >= 0 ? result : throw new DurableIOException((int)-result, operation, path);
}
