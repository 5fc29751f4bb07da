using System.Runtime.InteropServices;
using Dqlite.Crash.Runs;

namespace Dqlite.Crash.Disks;

/// <summary>
/// A file system of its own in a file: ext4 on a loop device. Needs root, loop devices and mkfs.ext4. Disposing unmounts it, so no process may
/// use it any more.
/// </summary>
internal sealed class LoopDisk : IAsyncDisposable
{
    // _IOR('X', 125, __u32) of the kernel: the same number for ext4, xfs and f2fs.
    private const uint ShutDownRequest = 0x8004587D;

    /// <summary>The journal is not flushed either: what was not synced is lost, as in a power cut.</summary>
    private const uint NoLogFlush = 2;

    private const string BeaconName = "beacon";
    private readonly string _image;
    private bool _isMounted;

    private string Ballast => Path.Combine(Root, "ballast");

    private LoopDisk(string image, string root) => (_image, Root) = (image, root);

    /// <summary>Where it is mounted.</summary>
    public string Root { get; }

    /// <summary>Makes and mounts one; null, and a line that says why, where the machine does not allow it.</summary>
    public static async Task<LoopDisk?> TryCreateAsync(CrashRun run, long bytes)
    {
        var image = Path.Combine(run.Data, "disk.img");
        var disk = new LoopDisk(image, run.NewDirectory("disk"));
        try
        {
            await using (var file = File.Create(image))
            {
                file.SetLength(bytes);
            }

            await SystemTool.RunAsync("mkfs.ext4", "-q", "-F", "-m", "0", image);
            await disk.MountAsync();
            return disk;
        }
        catch (IOException exception)
        {
            Console.WriteLine($"skipped: {exception.Message}");
            return null;
        }
    }

    public async Task MountAsync()
    {
        await SystemTool.RunAsync("mount", "-o", "loop", _image, Root);
        _isMounted = true;
    }

    public async Task UnmountAsync()
    {
        await SystemTool.RunAsync("umount", Root);
        _isMounted = false;
    }

    /// <summary>Cuts the power: from now on every write and every flush fails, and nothing that was not flushed before comes back after the next mount.</summary>
    public void CutPower()
    {
        var mode = NoLogFlush;
        using var beacon = File.OpenHandle(Path.Combine(Root, BeaconName), FileMode.OpenOrCreate, FileAccess.ReadWrite);
        if (ioctl(beacon, ShutDownRequest, ref mode) != 0)
        {
            throw new IOException($"the file system cannot be shut down: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    /// <summary>Leaves this much room.</summary>
    public void FillUp(long leftBytes)
    {
        var free = new DriveInfo(Root).AvailableFreeSpace;
        using var ballast = File.OpenHandle(Ballast, FileMode.CreateNew, FileAccess.Write, preallocationSize: Math.Max(1, free - leftBytes));
    }

    /// <summary>Undoes <see cref="FillUp"/>.</summary>
    public void MakeRoom() => File.Delete(Ballast);

    public async ValueTask DisposeAsync()
    {
        if (_isMounted)
        {
            await UnmountAsync();
        }
    }

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int ioctl(SafeHandle file, nuint request, ref uint argument);
}
