using Dqlite.Net.Storage;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.World;

/// <summary>The machine is down.</summary>
internal sealed class MachineDownException() : Exception("The simulated machine is down.");

/// <summary>What a node runs on.</summary>
internal sealed class Machine
{
    public Machine(int number, SeededRandom random) => Disk = new SimDisk(this, random.Stream("disk", number));

    public SimDisk Disk { get; }

    public bool IsUp { get; private set; } = true;

    public long Operations { get; private set; }

    public long? CrashAtOperation { get; set; }

    public void PowerOff()
    {
        IsUp = false;
        Disk.CutPower();
    }

    public void Start() => IsUp = true;

    public bool Begin() => IsUp ? ++Operations >= CrashAtOperation : throw new MachineDownException();

    public MachineDownException GoDown()
    {
        CrashAtOperation = null;
        PowerOff();
        return new MachineDownException();
    }
}

/// <summary>Files in memory: a power cut keeps an arbitrary set of the sectors that were not synced. Names are durable at once.</summary>
internal sealed class SimDisk(Machine machine, SeededRandom random) : IFileSystem
{
    private readonly SortedDictionary<string, Inode> _names = new(StringComparer.Ordinal);
    private (ShimOperation Operation, string PathPart, int Errno)? _fault;
    private long _clock;

    public string Root => "/sim/1";

    public void FailNext(ShimOperation operation, string pathPart, int errno) => _fault = (operation, pathPart, errno);

    public IDurableFile Open(string path, DurableFileMode mode)
    {
        if (!_names.TryGetValue(path, out var inode))
        {
            if (!mode.HasFlag(DurableFileMode.Create))
            {
                throw new DurableIOException(2, "open", path);
            }

            Change(() => _names[path] = inode = new Inode((ulong)++_clock));
        }

        var file = new OpenFile(this, inode!, path);
        if (mode.HasFlag(DurableFileMode.Truncate))
        {
            file.Truncate(0);
        }

        return file;
    }

    public bool Exists(string path) => _names.ContainsKey(path);

    public IReadOnlyList<string> ListFiles(string directory) =>
        [.. _names.Keys.Where(path => Path.GetDirectoryName(path) == directory).Select(path => Path.GetFileName(path))];

    public void CreateDirectory(string directory)
    {
    }

    public void Rename(string from, string to) => Change(() =>
    {
        _names[to] = _names[from];
        _names.Remove(from);
    });

    public void Delete(string path) => Change(() => _names.Remove(path));

    public void SyncDirectory(string directory) => Change(() => { });

    public void CutPower()
    {
        foreach (var inode in _names.Values)
        {
            inode.CutPower(random);
        }
    }

    private void Change(Action change)
    {
        var isLast = machine.Begin();
        if (!isLast || random.Chance(0.5))
        {
            change();
        }

        if (isLast)
        {
            throw machine.GoDown();
        }
    }

    private void FailIfTold(ShimOperation operation, string path)
    {
        if (_fault is { } fault && fault.Operation == operation && path.Contains(fault.PathPart, StringComparison.Ordinal))
        {
            _fault = null;
            throw new DurableIOException(fault.Errno, "fault", path);
        }
    }

    private sealed class Inode(ulong number)
    {
        public ulong Number => number;

        public byte[] Bytes { get; set; } = [];

        public byte[] Durable { get; set; } = [];

        public long MtimeNs { get; set; }

        public void CutPower(SeededRandom random)
        {
            var kept = new byte[random.Chance(0.5) ? Bytes.Length : Durable.Length];
            for (var at = 0; at < kept.Length; at += 512)
            {
                var from = random.Chance(0.5) && at < Bytes.Length ? Bytes : Durable;
                var length = Math.Min(512, Math.Min(kept.Length, from.Length) - at);
                if (length > 0)
                {
                    from.AsSpan(at, length).CopyTo(kept.AsSpan(at));
                }
            }

            Bytes = kept;
            Durable = [.. kept];
        }
    }

    private sealed class OpenFile(SimDisk disk, Inode inode, string path) : IDurableFile
    {
        public string Path => path;

        public long Length => inode.Bytes.Length;

        public int Read(Span<byte> destination, long offset)
        {
            disk.FailIfTold(ShimOperation.Read, path);
            var count = (int)Math.Clamp(Length - offset, 0, destination.Length);
            inode.Bytes.AsSpan((int)Math.Min(offset, Length), count).CopyTo(destination);
            return count;
        }

        public void Write(ReadOnlySpan<byte> source, long offset)
        {
            disk.FailIfTold(ShimOperation.Write, path);
            var bytes = source.ToArray();
            disk.Change(() =>
            {
                var grown = inode.Bytes;
                Array.Resize(ref grown, (int)Math.Max(Length, offset + bytes.Length));
                inode.Bytes = grown;
                bytes.CopyTo(grown.AsSpan((int)offset));
                inode.MtimeNs = ++disk._clock;
            });
        }

        public void WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers, long offset) => throw new NotSupportedException();

        public void Truncate(long sizeBytes)
        {
            disk.FailIfTold(ShimOperation.Truncate, path);
            disk.Change(() => inode.Bytes = inode.Bytes[..(int)Math.Min(Length, sizeBytes)]);
        }

        public void Allocate(long offset, long sizeBytes) => throw new NotSupportedException();

        public void DataSync()
        {
            disk.FailIfTold(ShimOperation.DataSync, path);
            disk.Change(() => inode.Durable = [.. inode.Bytes]);
        }

        public void Sync()
        {
            disk.FailIfTold(ShimOperation.Sync, path);
            disk.Change(() => inode.Durable = [.. inode.Bytes]);
        }

        public FileState GetState() => new(Length, inode.Number, inode.MtimeNs);

        public bool TryLock() => true;

        public void Dispose()
        {
        }
    }
}
