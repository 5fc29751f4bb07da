using Dqlite.Sqlite;

namespace Dqlite.Simulation.World;

// What happens to a disk, and what a checker sees of it. Nothing here counts as an operation of the machine.
internal sealed partial class SimDisk
{
    /// <summary>Fails the next operation of a kind on a file whose path contains a text. A sync that fails makes the pages count as clean
    /// without having written them; a write may have written a part; everything else has no effect.</summary>
    public void FailNext(ShimOperation operation, string pathPart, int errno) => _faults.Fail(operation, pathPart, errno, 1, false);

    /// <summary>Fails the n-th such operation from now, or, sticky, every one from it on.</summary>
    public void FailNth(ShimOperation operation, string pathPart, int errno, long nth, bool isSticky = false) =>
        _faults.Fail(operation, pathPart, errno, nth, isSticky);

    /// <summary>Makes a read of such a file return once, in one sector, what that sector held before its last write.</summary>
    public void FailNextReadStale(string pathPart) => _faults.AddStaleRead(pathPart);

    /// <summary>Ends all faults that were asked for and have not happened.</summary>
    public void ClearFaults() => _faults.Clear();

    /// <summary>Flips bits of a durable range of a file.</summary>
    /// <returns>False when there are no such bytes.</returns>
    public bool FlipBits(string path, long offset, long length, int count = 1) =>
        _names.FindDurable(path)?.FlipBits(offset, length, count, _random) ?? false;

    /// <summary>Whether bits of this range were flipped.</summary>
    public bool HasRot(string path, long offset, long length) => _names.Find(path)?.HasRot(offset, length) ?? false;

    /// <summary>Whether a power cut now could take bytes of this range away, or their file's name.</summary>
    public bool HasPending(string path, long offset, long length)
    {
        var inode = _names.Find(path);
        return inode is null || _names.FindDurable(path) != inode || inode.HasPending(offset, length);
    }

    /// <summary>What a power cut now would leave in the worst case: what was synced. Null when not even the name is durable.</summary>
    public byte[]? DurableImage(string path) => _names.FindDurable(path)?.DurableImage();

    /// <summary>What processes see of a file, also while the machine is down; null when there is none.</summary>
    public byte[]? Content(string path)
    {
        if (_names.Find(path) is not { } inode)
        {
            return null;
        }

        var content = new byte[inode.Length];
        inode.Read(content, 0);
        return content;
    }

    /// <summary>An empty disk takes the place of this one.</summary>
    /// <exception cref="InvalidOperationException">The machine is up.</exception>
    public void Wipe()
    {
        if (_machine.IsUp)
        {
            throw new InvalidOperationException("A disk is replaced while the machine is down.");
        }

        _names.Clear();
        UsedBytes = 0;
    }

    /// <summary>The power goes: of what was not synced, an arbitrary part stays.</summary>
    internal void CutPower()
    {
        // All or nothing of it are the cases that most often differ from what a program expects, so they get a share of their own.
        var keepPercent = _random.Next(4) switch { 0 => 0, 1 => 100, _ => -1 };
        _names.CutPower(_random, keepPercent < 0 ? 50 : keepPercent);
        UsedBytes = 0;
        foreach (var inode in _names.Inodes)
        {
            inode.CutPower(_random, keepPercent < 0 ? _random.Next(101) : keepPercent);
            UsedBytes += inode.Length;
        }
    }

    /// <summary>The process ends: its files are closed, and what it wrote stays in the kernel.</summary>
    internal void EndProcess()
    {
        UsedBytes = 0;
        foreach (var inode in _names.Inodes)
        {
            inode.OpenCount = 0;
            inode.LockOwner = null;
            UsedBytes += inode.Length;
        }
    }
}
