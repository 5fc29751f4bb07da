using Dqlite.Sqlite;
using Dqlite.Sqlite.Native;

namespace Dqlite.Simulation.World;

/// <summary>
/// The shim's table of system calls (dq_os), with the disks of simulated machines behind it: a path under /sim/N/ belongs to machine N, every
/// other one to the system. One at a time per process, installed while no database is open; used by one thread. Nothing is thrown into native
/// code: a machine that is down answers EIO, and so does a defect of the simulator, which <see cref="ThrowIfDefect"/> brings to light.
/// </summary>
internal sealed unsafe partial class ShimDisk : IDisposable
{
    private const int Etimedout = 110;

    // The functions of the table are reached by native code without any managed object, hence a static.
    private static ShimDisk? s_current;

    private readonly NativeOs _original;
    private readonly SortedDictionary<string, SimDisk> _disks = new(StringComparer.Ordinal);
    private readonly ShimDescriptors _descriptors = new();
    private Exception? _defect;

    /// <summary>The next look at the clock finds this, since a wait up to then has just ended: the machine's own clock did not move meanwhile.</summary>
    private long? _timedOutAtNs;

    private ShimDisk(NativeOs original) => _original = original;

    /// <summary>The clock of the machine whose code runs now; null asks the system.</summary>
    public static Func<long>? Clock { get; set; }

    /// <summary>Lets simulated time pass while native code waits, with its mutex released: gets the deadline, and returns false when that has
    /// passed. Null: a wait ends at once as if its time were up.</summary>
    public static Func<long, bool>? Wait { get; set; }

    /// <summary>Native code wakes whoever waits.</summary>
    public static Action? WakeAll { get; set; }

    /// <summary>Native code spins.</summary>
    public static Action? Yield { get; set; }

    /// <summary>Before native code reads, writes, cuts or syncs a simulated file: which of these, and how many bytes. It mostly holds no lock then.</summary>
    public static Action<ShimOperation, long>? SystemCall { get; set; }

    /// <summary>Installs the table.</summary>
    /// <exception cref="InvalidOperationException">It is installed already, or a database is open.</exception>
    public static ShimDisk Install()
    {
        ShimRuntime.EnsureInitialized();
        var shim = new ShimDisk(*NativeMethods.OsGet());
        if (Interlocked.CompareExchange(ref s_current, shim, null) is not null)
        {
            throw new InvalidOperationException("Simulated disks are installed already.");
        }

        var table = shim._original;
        table.Open = &OpenHook;
        table.Close = &CloseHook;
        table.Pread = &ReadHook;
        table.Pwrite = &WriteHook;
        table.Ftruncate = &TruncateHook;
        table.Fallocate = &AllocateHook;
        table.Fdatasync = &DataSyncHook;
        table.Fsync = &SyncHook;
        table.Fstat = &StatHook;
        table.Rename = &RenameHook;
        table.Unlink = &UnlinkHook;
        table.Lock = &LockHook;
        table.NowNs = &NowHook;
        table.Wait = &WaitHook;
        table.WakeAll = &WakeAllHook;
        table.Yield = &YieldHook;
        shim.SetTable(&table);
        return shim;
    }

    /// <summary>Makes a machine's disk reachable.</summary>
    public void Attach(SimDisk disk) => _disks[disk.Root] = disk;

    /// <summary>Makes all disks unreachable; descriptors that are open stay what they are.</summary>
    public void DetachAll() => _disks.Clear();

    /// <summary>Throws what a hook could not throw.</summary>
    public void ThrowIfDefect()
    {
        if (_defect is { } defect)
        {
            _defect = null;
            throw new InvalidOperationException("A simulated system call failed unexpectedly.", defect);
        }
    }

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

    /// <summary>The disk of a path; null when it is the system's.</summary>
    private SimDisk? DiskOf(string path)
    {
        const string Prefix = "/sim/";
        if (!path.StartsWith(Prefix, StringComparison.Ordinal))
        {
            return null;
        }

        var end = path.IndexOf('/', Prefix.Length);
        return _disks.TryGetValue(end < 0 ? path : path[..end], out var disk) ? disk : throw new DurableIOException(SimDisk.Enoent, "open", path);
    }

    private ShimDescriptors.Entry EntryOf(int descriptor) =>
        _descriptors.Find(descriptor) ?? throw new DurableIOException(SimDisk.Ebadf, "use", $"descriptor {descriptor}");

    private int Open(SimDisk disk, string path, int flags) =>
        _descriptors.Add(new ShimDescriptors.Entry(disk, path, disk.HasDirectory(path) ? null : disk.OpenFile(path, ModeOf(flags))));

    private static DurableFileMode ModeOf(int flags)
    {
        // O_* of Linux, which are the same on every processor that .NET runs on.
        const int AccessMask = 3, WriteOnly = 1, ReadWrite = 2, Create = 0x40, Exclusive = 0x80, Truncate = 0x200;
        var mode = (flags & AccessMask) switch
        {
            WriteOnly => DurableFileMode.Write,
            ReadWrite => DurableFileMode.Read | DurableFileMode.Write,
            _ => DurableFileMode.Read,
        };
        mode |= (flags & Create) != 0 ? DurableFileMode.Create : 0;
        mode |= (flags & Exclusive) != 0 ? DurableFileMode.Exclusive : 0;
        return mode | ((flags & Truncate) != 0 ? DurableFileMode.Truncate : 0);
    }

    private void Rename(SimDisk disk, string from, string to)
    {
        if (DiskOf(to) != disk)
        {
            throw new DurableIOException(Exdev, "rename", from);
        }

        disk.Rename(from, to);
    }

    /// <summary>What an exception is to native code. One that the simulation does not foresee is kept for <see cref="ThrowIfDefect"/>.</summary>
    private int ErrorOf(Exception exception)
    {
        switch (exception)
        {
            case DurableIOException failure:
                return -failure.Errno;
            case MachineDownException:
                return -SimDisk.Eio;
            default:
                _defect ??= exception;
                return -SimDisk.Eio;
        }
    }
}
