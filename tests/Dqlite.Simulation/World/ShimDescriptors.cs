using Dqlite.Sqlite;

namespace Dqlite.Simulation.World;

/// <summary>Descriptors of simulated files for native code, far from those of the system.</summary>
internal sealed class ShimDescriptors
{
    private const int First = 1 << 24;

    private readonly List<Entry?> _entries = [];
    private readonly Stack<int> _free = new();

    /// <summary>What a descriptor refers to: an open file, or a directory that was opened to be synced.</summary>
    internal sealed record Entry(SimDisk Disk, string Path, SimFile? File)
    {
        /// <summary>The file.</summary>
        /// <exception cref="DurableIOException">It is a directory.</exception>
        public SimFile RequireFile() => File ?? throw new DurableIOException(SimDisk.Eisdir, "use", Path);

        /// <summary>Makes content, or names, durable.</summary>
        public void Sync()
        {
            if (File is null)
            {
                Disk.SyncDirectory(Path);
            }
            else
            {
                File.Sync();
            }
        }
    }

    /// <summary>Whether a descriptor is a simulated one.</summary>
    public static bool IsSimulated(int descriptor) => descriptor >= First;

    /// <summary>Gives out a descriptor.</summary>
    public int Add(Entry entry)
    {
        if (_free.TryPop(out var index))
        {
            _entries[index] = entry;
            return First + index;
        }

        _entries.Add(entry);
        return First + _entries.Count - 1;
    }

    /// <summary>What a descriptor refers to; null when it is not open.</summary>
    public Entry? Find(int descriptor) => descriptor - First < _entries.Count ? _entries[descriptor - First] : null;

    /// <summary>Takes a descriptor back.</summary>
    public Entry? Remove(int descriptor)
    {
        var entry = Find(descriptor);
        if (entry is not null)
        {
            _entries[descriptor - First] = null;
            _free.Push(descriptor - First);
        }

        return entry;
    }
}
