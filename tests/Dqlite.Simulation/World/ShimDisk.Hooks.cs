using System.Runtime.InteropServices;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.World;

// The functions of the table, in its order. Each catches everything: an exception that reached native code would end the process.
internal sealed unsafe partial class ShimDisk
{
    private const int Ewouldblock = 11;
    private const int Exdev = 18;

    [UnmanagedCallersOnly]
    private static int OpenHook(void* context, byte* path, int flags, int mode)
    {
        var shim = s_current!;
        try
        {
            var text = Marshal.PtrToStringUTF8((nint)path)!;
            return shim.DiskOf(text) is { } disk ? shim.Open(disk, text, flags) : shim._original.Open(context, path, flags, mode);
        }
        catch (Exception exception)
        {
            return shim.ErrorOf(exception);
        }
    }

    [UnmanagedCallersOnly]
    private static int CloseHook(void* context, int fd)
    {
        var shim = s_current!;
        if (!ShimDescriptors.IsSimulated(fd))
        {
            return shim._original.Close(context, fd);
        }

        // Closing a simulated file never fails.
        shim._descriptors.Remove(fd)?.File?.Dispose();
        return 0;
    }

    [UnmanagedCallersOnly]
    private static long ReadHook(void* context, int fd, void* buffer, long size, long offset)
    {
        var shim = s_current!;
        if (!ShimDescriptors.IsSimulated(fd))
        {
            return shim._original.Pread(context, fd, buffer, size, offset);
        }

        try
        {
            SystemCall?.Invoke(ShimOperation.Read, size);
            return shim.EntryOf(fd).RequireFile().Read(new Span<byte>(buffer, checked((int)size)), offset);
        }
        catch (Exception exception)
        {
            return shim.ErrorOf(exception);
        }
    }

    [UnmanagedCallersOnly]
    private static long WriteHook(void* context, int fd, void* buffer, long size, long offset)
    {
        var shim = s_current!;
        if (!ShimDescriptors.IsSimulated(fd))
        {
            return shim._original.Pwrite(context, fd, buffer, size, offset);
        }

        try
        {
            SystemCall?.Invoke(ShimOperation.Write, size);
            return shim.EntryOf(fd).RequireFile().WriteSome(new ReadOnlySpan<byte>(buffer, checked((int)size)), offset);
        }
        catch (Exception exception)
        {
            return shim.ErrorOf(exception);
        }
    }

    [UnmanagedCallersOnly]
    private static int TruncateHook(void* context, int fd, long size) => !ShimDescriptors.IsSimulated(fd)
        ? s_current!._original.Ftruncate(context, fd, size)
        : Run(fd, size, 0, static (entry, size, _) =>
        {
            SystemCall?.Invoke(ShimOperation.Truncate, size);
            entry.RequireFile().Truncate(size);
        });

    [UnmanagedCallersOnly]
    private static int AllocateHook(void* context, int fd, long offset, long size) => !ShimDescriptors.IsSimulated(fd)
        ? s_current!._original.Fallocate(context, fd, offset, size)
        : Run(fd, offset, size, static (entry, offset, size) => entry.RequireFile().Allocate(offset, size));

    [UnmanagedCallersOnly]
    private static int DataSyncHook(void* context, int fd) => !ShimDescriptors.IsSimulated(fd)
        ? s_current!._original.Fdatasync(context, fd)
        : Run(fd, 0, 0, static (entry, _, _) =>
        {
            SystemCall?.Invoke(ShimOperation.DataSync, 0);
            entry.RequireFile().DataSync();
        });

    [UnmanagedCallersOnly]
    private static int SyncHook(void* context, int fd) => !ShimDescriptors.IsSimulated(fd)
        ? s_current!._original.Fsync(context, fd)
        : Run(fd, 0, 0, static (entry, _, _) =>
        {
            SystemCall?.Invoke(ShimOperation.Sync, 0);
            entry.Sync();
        });

    [UnmanagedCallersOnly]
    private static int StatHook(void* context, int fd, FileState* state)
    {
        var shim = s_current!;
        if (!ShimDescriptors.IsSimulated(fd))
        {
            return shim._original.Fstat(context, fd, state);
        }

        try
        {
            *state = shim.EntryOf(fd).RequireFile().GetState();
            return 0;
        }
        catch (Exception exception)
        {
            return shim.ErrorOf(exception);
        }
    }

    [UnmanagedCallersOnly]
    private static int RenameHook(void* context, byte* from, byte* to)
    {
        var shim = s_current!;
        try
        {
            var text = Marshal.PtrToStringUTF8((nint)from)!;
            if (shim.DiskOf(text) is not { } disk)
            {
                return shim._original.Rename(context, from, to);
            }

            shim.Rename(disk, text, Marshal.PtrToStringUTF8((nint)to)!);
            return 0;
        }
        catch (Exception exception)
        {
            return shim.ErrorOf(exception);
        }
    }

    [UnmanagedCallersOnly]
    private static int UnlinkHook(void* context, byte* path)
    {
        var shim = s_current!;
        try
        {
            var text = Marshal.PtrToStringUTF8((nint)path)!;
            if (shim.DiskOf(text) is not { } disk)
            {
                return shim._original.Unlink(context, path);
            }

            disk.Delete(text);
            return 0;
        }
        catch (Exception exception)
        {
            return shim.ErrorOf(exception);
        }
    }

    [UnmanagedCallersOnly]
    private static int LockHook(void* context, int fd) => !ShimDescriptors.IsSimulated(fd)
        ? s_current!._original.Lock(context, fd)
        : Run(fd, 0, 0, static (entry, _, _) =>
        {
            if (!entry.RequireFile().TryLock())
            {
                throw new DurableIOException(Ewouldblock, "lock", entry.Path);
            }
        });

    [UnmanagedCallersOnly]
    private static long NowHook(void* context)
    {
        var shim = s_current!;
        if (shim._timedOutAtNs is { } deadlineNs)
        {
            shim._timedOutAtNs = null;
            return deadlineNs;
        }

        try
        {
            return Clock is { } clock ? clock() : shim._original.NowNs(context);
        }
        catch (Exception exception)
        {
            return shim.ErrorOf(exception);
        }
    }

    [UnmanagedCallersOnly]
    private static int WaitHook(void* context, void* condition, void* mutex, long deadlineNs)
    {
        var shim = s_current!;
        if (Wait is { } wait && WaitUnlocked(shim, wait, mutex, deadlineNs))
        {
            return 0;
        }

        if (deadlineNs == long.MaxValue)
        {
            Environment.FailFast("Native code of the simulation waits without end, and nothing is there that could end it.");
        }

        shim._timedOutAtNs = deadlineNs;
        return -Etimedout;
    }

    [UnmanagedCallersOnly]
    private static void WakeAllHook(void* context, void* condition) => Invoke(WakeAll);

    [UnmanagedCallersOnly]
    private static void YieldHook(void* context) => Invoke(Yield);

    private static int Run(int fd, long first, long second, Action<ShimDescriptors.Entry, long, long> call)
    {
        var shim = s_current!;
        try
        {
            call(shim.EntryOf(fd), first, second);
            return 0;
        }
        catch (Exception exception)
        {
            return shim.ErrorOf(exception);
        }
    }

    private static bool WaitUnlocked(ShimDisk shim, Func<long, bool> wait, void* mutex, long deadlineNs)
    {
        _ = UnlockMutex(mutex);
        try
        {
            return wait(deadlineNs);
        }
        catch (Exception exception)
        {
            shim.ErrorOf(exception);
            return false;
        }
        finally
        {
            _ = LockMutex(mutex);
        }
    }

    private static void Invoke(Action? action)
    {
        try
        {
            action?.Invoke();
        }
        catch (Exception exception)
        {
            s_current!.ErrorOf(exception);
        }
    }

    [LibraryImport("libc", EntryPoint = "pthread_mutex_unlock")]
    private static partial int UnlockMutex(void* mutex);

    [LibraryImport("libc", EntryPoint = "pthread_mutex_lock")]
    private static partial int LockMutex(void* mutex);
}
