using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Dqlite.Sqlite.Native;

namespace Dqlite.Sqlite;

/// <summary>The system calls that <see cref="ShimFaults"/> can make fail.</summary>
internal enum ShimOperation
{
    Open,
    Close,
    Read,
    Write,
    Truncate,
    Allocate,
    DataSync,
    Sync,
    Stat,
    Rename,
    Unlink,
    Lock,
}

/// <summary>A system call that is about to be made.</summary>
/// <param name="Operation">Which.</param>
/// <param name="Path">The file or directory; null when it was opened before the installation.</param>
/// <param name="Bytes">Of a read or a write, else 0.</param>
internal readonly record struct ShimCall(ShimOperation Operation, string? Path, long Bytes);

/// <summary>What becomes of a system call; the default lets it pass.</summary>
/// <param name="Errno">Positive: it fails with this and is not made.</param>
/// <param name="MaxBytes">Positive: a write takes no more than this.</param>
/// <param name="After">Runs when it has been made.</param>
internal readonly record struct ShimFate(int Errno = 0, long MaxBytes = 0, Action? After = null)
{
    internal long Shorten(long bytes) => MaxBytes > 0 ? Math.Min(MaxBytes, bytes) : bytes;

    internal long Ended(long result)
    {
        After?.Invoke();
        return result;
    }

    internal int Ended(int result) => (int)Ended((long)result);
}

/// <summary>
/// Fault injection for tests: replaces the shim's table of system calls (dq_os) by one that can fail the n-th call of an operation,
/// and counts calls. One at a time per process, installed while no database is open. The waits and the clock stay the originals.
/// </summary>
internal sealed unsafe class ShimFaults : IDisposable
{
    private const int OperationCount = (int)ShimOperation.Lock + 1;

    // The functions of the table are reached by native code without any managed object, hence a static. Guarded by Install and Dispose.
    private static ShimFaults? s_current;

    private readonly NativeOs _original;
    private readonly long[] _counts = new long[OperationCount];
    private readonly Rule?[] _rules = new Rule?[OperationCount];
    private readonly ConcurrentDictionary<int, string> _paths = new();
    private readonly Lock _lock = new();

    // Made before the table is replaced, so that no call passes it by.
    private readonly Func<ShimCall, ShimFate>? _intercept;

    private ShimFaults(NativeOs original, Func<ShimCall, ShimFate>? intercept)
    {
        _original = original;
        _intercept = intercept;
    }

    private sealed record Rule(long Remaining, int Errno, bool Sticky, string? PathPart);

    /// <summary>Installs the table.</summary>
    /// <param name="intercept">Decides about every call that no rule of <see cref="Fail"/> fails: on any thread, on several at once; must not throw.</param>
    internal static ShimFaults Install(Func<ShimCall, ShimFate>? intercept = null)
    {
        ShimRuntime.EnsureInitialized();
        var faults = new ShimFaults(*NativeMethods.OsGet(), intercept);
        if (Interlocked.CompareExchange(ref s_current, faults, null) is not null)
        {
            throw new InvalidOperationException("Faults are installed already.");
        }

        var table = faults._original;
        table.Open = &OpenHook;
        table.Close = &CloseHook;
        table.Pread = &PreadHook;
        table.Pwrite = &PwriteHook;
        table.Ftruncate = &FtruncateHook;
        table.Fallocate = &FallocateHook;
        table.Fdatasync = &FdatasyncHook;
        table.Fsync = &FsyncHook;
        table.Fstat = &FstatHook;
        table.Rename = &RenameHook;
        table.Unlink = &UnlinkHook;
        table.Lock = &LockHook;
        faults.SetTable(&table);
        return faults;
    }

    /// <summary>Fails one call (or, sticky, every one from it on) with an errno.</summary>
    /// <param name="operation">Which system call.</param>
    /// <param name="nth">1: the next one that matches.</param>
    /// <param name="errno">Positive.</param>
    /// <param name="sticky">Whether later calls fail too.</param>
    /// <param name="pathPart">Only calls on files whose path contains this.</param>
    internal void Fail(ShimOperation operation, int nth, int errno, bool sticky = false, string? pathPart = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(nth, 1);
        lock (_lock)
        {
            _rules[(int)operation] = new Rule(nth, errno, sticky, pathPart);
        }
    }

    /// <summary>Ends all faults; the counts stay.</summary>
    internal void Clear()
    {
        lock (_lock)
        {
            Array.Clear(_rules);
        }
    }

    /// <summary>Calls since the installation, failed ones included.</summary>
    internal long Count(ShimOperation operation) => Interlocked.Read(ref _counts[(int)operation]);

    /// <summary>Restores the original table.</summary>
    public void Dispose()
    {
        var table = _original;
        SetTable(&table);
        Volatile.Write(ref s_current, null);
    }

    private void SetTable(NativeOs* table)
    {
        var result = NativeMethods.OsSet(table);
        if (result != 0)
        {
            Interlocked.CompareExchange(ref s_current, null, this);
            throw new InvalidOperationException($"The table of system calls cannot be replaced now (errno {-result}): is a database open?");
        }
    }

    private ShimFate Enter(ShimOperation operation, string? path, long bytes = 0)
    {
        Interlocked.Increment(ref _counts[(int)operation]);
        var errno = FailingErrno(operation, path);
        return errno != 0 ? new ShimFate(errno) : _intercept?.Invoke(new ShimCall(operation, path, bytes)) ?? default;
    }

    private ShimFate Enter(ShimOperation operation, int fd, long bytes = 0) => Enter(operation, _paths.GetValueOrDefault(fd), bytes);

    /// <summary>0, or the errno that a rule fails the call with.</summary>
    private int FailingErrno(ShimOperation operation, string? path)
    {
        lock (_lock)
        {
            if (_rules[(int)operation] is not { } rule || (rule.PathPart is { } part && path?.Contains(part, StringComparison.Ordinal) != true))
            {
                return 0;
            }

            if (rule.Remaining > 1)
            {
                _rules[(int)operation] = rule with { Remaining = rule.Remaining - 1 };
                return 0;
            }

            if (!rule.Sticky)
            {
                _rules[(int)operation] = null;
            }

            return rule.Errno;
        }
    }

    [UnmanagedCallersOnly]
    private static int OpenHook(void* context, byte* path, int flags, int mode)
    {
        var faults = s_current!;
        var text = Marshal.PtrToStringUTF8((nint)path)!;
        var fate = faults.Enter(ShimOperation.Open, text);
        if (fate.Errno != 0)
        {
            return -fate.Errno;
        }

        var fd = faults._original.Open(context, path, flags, mode);
        if (fd >= 0)
        {
            faults._paths[fd] = text;
        }

        return fate.Ended(fd);
    }

    [UnmanagedCallersOnly]
    private static int CloseHook(void* context, int fd)
    {
        var faults = s_current!;
        var fate = faults.Enter(ShimOperation.Close, fd);
        faults._paths.TryRemove(fd, out _);
        var result = faults._original.Close(context, fd);
        return fate.Errno != 0 ? -fate.Errno : fate.Ended(result);
    }

    [UnmanagedCallersOnly]
    private static long PreadHook(void* context, int fd, void* buffer, long size, long offset)
    {
        var fate = s_current!.Enter(ShimOperation.Read, fd, size);
        return fate.Errno != 0 ? -fate.Errno : fate.Ended(s_current!._original.Pread(context, fd, buffer, size, offset));
    }

    [UnmanagedCallersOnly]
    private static long PwriteHook(void* context, int fd, void* buffer, long size, long offset)
    {
        var fate = s_current!.Enter(ShimOperation.Write, fd, size);
        return fate.Errno != 0 ? -fate.Errno : fate.Ended(s_current!._original.Pwrite(context, fd, buffer, fate.Shorten(size), offset));
    }

    [UnmanagedCallersOnly]
    private static int FtruncateHook(void* context, int fd, long size)
    {
        var fate = s_current!.Enter(ShimOperation.Truncate, fd);
        return fate.Errno != 0 ? -fate.Errno : fate.Ended(s_current!._original.Ftruncate(context, fd, size));
    }

    [UnmanagedCallersOnly]
    private static int FallocateHook(void* context, int fd, long offset, long size)
    {
        var fate = s_current!.Enter(ShimOperation.Allocate, fd);
        return fate.Errno != 0 ? -fate.Errno : fate.Ended(s_current!._original.Fallocate(context, fd, offset, size));
    }

    [UnmanagedCallersOnly]
    private static int FdatasyncHook(void* context, int fd)
    {
        var fate = s_current!.Enter(ShimOperation.DataSync, fd);
        return fate.Errno != 0 ? -fate.Errno : fate.Ended(s_current!._original.Fdatasync(context, fd));
    }

    [UnmanagedCallersOnly]
    private static int FsyncHook(void* context, int fd)
    {
        var fate = s_current!.Enter(ShimOperation.Sync, fd);
        return fate.Errno != 0 ? -fate.Errno : fate.Ended(s_current!._original.Fsync(context, fd));
    }

    [UnmanagedCallersOnly]
    private static int FstatHook(void* context, int fd, FileState* state)
    {
        var fate = s_current!.Enter(ShimOperation.Stat, fd);
        return fate.Errno != 0 ? -fate.Errno : fate.Ended(s_current!._original.Fstat(context, fd, state));
    }

    [UnmanagedCallersOnly]
    private static int RenameHook(void* context, byte* from, byte* to)
    {
        var fate = s_current!.Enter(ShimOperation.Rename, Marshal.PtrToStringUTF8((nint)from));
        return fate.Errno != 0 ? -fate.Errno : fate.Ended(s_current!._original.Rename(context, from, to));
    }

    [UnmanagedCallersOnly]
    private static int UnlinkHook(void* context, byte* path)
    {
        var fate = s_current!.Enter(ShimOperation.Unlink, Marshal.PtrToStringUTF8((nint)path));
        return fate.Errno != 0 ? -fate.Errno : fate.Ended(s_current!._original.Unlink(context, path));
    }

    [UnmanagedCallersOnly]
    private static int LockHook(void* context, int fd)
    {
        var fate = s_current!.Enter(ShimOperation.Lock, fd);
        return fate.Errno != 0 ? -fate.Errno : fate.Ended(s_current!._original.Lock(context, fd));
    }
}
