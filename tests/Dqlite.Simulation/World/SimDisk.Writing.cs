using Dqlite.Sqlite;

namespace Dqlite.Simulation.World;

// How much of a write happens, and what a read returns.
internal sealed partial class SimDisk
{
    /// <summary>What becomes of a write.</summary>
    /// <param name="Count">How much of it happens.</param>
    /// <param name="Errno">Why not all of it, or 0.</param>
    /// <param name="IsLast">Whether the machine goes down within it.</param>
    internal readonly record struct WritePlan(long Count, int Errno, bool IsLast);

    /// <summary>Decides what becomes of a write.</summary>
    internal WritePlan BeginWrite(SimInode inode, string path, long length, long offset, bool mayBeShort)
    {
        var isLast = _machine.Begin(path);
        var errno = _faults.Take(ShimOperation.Write, path);
        if (isLast || errno != 0)
        {
            return new WritePlan(_machine.PartOfWrite((int)length, offset), errno, isLast);
        }

        var room = inode.Length + Math.Max(0, CapacityBytes - UsedBytes) - offset;
        if (length > room)
        {
            return new WritePlan(Math.Max(0, room), Enospc, false);
        }

        return mayBeShort && ShortWriteChance > 0 && length > 1 && _random.Chance(ShortWriteChance)
            ? new WritePlan(_random.Between(1, length), 0, false)
            : new WritePlan(length, 0, false);
    }

    /// <summary>Writes what was decided.</summary>
    internal void Put(SimInode inode, ReadOnlySpan<byte> source, long offset)
    {
        var before = inode.Length;
        inode.Write(source, offset, NextMtime(), RemembersOverwritten);
        UsedBytes += inode.Length - before;
    }

    /// <summary>Reports what became of a write.</summary>
    internal void EndWrite(WritePlan write, string path)
    {
        if (write.IsLast)
        {
            throw _machine.GoDown();
        }

        if (write.Errno != 0)
        {
            throw new DurableIOException(write.Errno, "write", path);
        }
    }

    /// <summary>Refuses to let a file grow beyond the capacity.</summary>
    internal void RequireRoom(long growth, string operation, string path)
    {
        if (growth > 0 && growth > CapacityBytes - UsedBytes)
        {
            throw new DurableIOException(Enospc, operation, path);
        }
    }

    /// <summary>0, or the errno that an operation is to fail with.</summary>
    internal int TakeFault(ShimOperation operation, string path) => _faults.Take(operation, path);

    /// <summary>Makes a read stale when that was asked for and can be.</summary>
    internal void MakeStale(SimInode inode, string path, Span<byte> read, long offset)
    {
        if (RemembersOverwritten && _faults.FindStaleRead(path) is { } part && inode.MakeStale(read, offset, _random))
        {
            _faults.OnStaleRead(part);
        }
    }
}
