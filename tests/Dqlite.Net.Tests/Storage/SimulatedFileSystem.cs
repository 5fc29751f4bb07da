using Dqlite.Net.Storage;
using Dqlite.Sqlite;

namespace Dqlite.Net.Tests.Storage;

/// <summary>The process or the machine stopped at this operation.</summary>
internal sealed class SimulatedCrashException() : Exception("The simulated machine has stopped.");

/// <summary>
/// Files in memory with the crash semantics of a disk. What was not synced is kept or lost sector by sector, each sector in any of its
/// states since the last sync; a rename, creation or deletion that was not synced is kept or lost on its own. One failed sync marks the
/// data clean without having written it.
/// </summary>
internal sealed class SimulatedFileSystem(Random random) : IFileSystem
{
    internal const int SectorBytes = 512;
    private const int Eio = 5;
    private const int Enospc = 28;
    private const int Enoent = 2;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Inode> _names = new(StringComparer.Ordinal);
    private readonly HashSet<string> _directories = new(StringComparer.Ordinal) { "/" };
    private readonly List<DirectoryChange> _changes = [];
    private Dictionary<string, Inode> _durableNames = new(StringComparer.Ordinal);
    private HashSet<string> _durableDirectories = new(StringComparer.Ordinal) { "/" };
    private ulong _lastInode;
    private long _clock;
    private bool _crashed;

    /// <summary>Stops at the n-th changing operation from now; it may still have had its effect.</summary>
    internal long? CrashAfterOperations { get; set; }

    /// <summary>Fails the next sync of a file whose path contains this.</summary>
    internal string? FailNextSyncOf { get; set; }

    /// <summary>Bytes that all files together may have.</summary>
    internal long CapacityBytes { get; set; } = long.MaxValue;

    /// <summary>Changing operations so far.</summary>
    internal long Operations { get; private set; }

    private sealed record DirectoryChange(string Directory, string? Removed, string? Added, Inode? Inode, bool IsDirectory);

    /// <summary>Stops the machine and starts it again with what its disk has kept.</summary>
    internal void Crash()
    {
        lock (_lock)
        {
            foreach (var change in _changes)
            {
                if (random.Next(2) == 0)
                {
                    ApplyDurably(change);
                }
            }

            _changes.Clear();
            _names.Clear();
            _directories.Clear();
            _directories.UnionWith(_durableDirectories);
            var keepPercent = random.Next(4) switch { 0 => 0, 1 => 100, _ => random.Next(101) };
            foreach (var (path, inode) in _durableNames)
            {
                inode.Crash(random, keepPercent);
                _names[path] = inode;
            }

            _crashed = false;
            CrashAfterOperations = null;
            FailNextSyncOf = null;
        }
    }

    /// <summary>Only the process stops: the kernel keeps what was written.</summary>
    internal void RestartProcess()
    {
        lock (_lock)
        {
            _crashed = false;
            CrashAfterOperations = null;
            FailNextSyncOf = null;
            foreach (var inode in _names.Values)
            {
                inode.LockOwner = null;
            }
        }
    }

    /// <summary>Bytes of a file as they are, for tests that damage them; changes are durable at once.</summary>
    internal byte[] Content(string path) => _names[path].Current;

    internal void SetContent(string path, byte[] content)
    {
        lock (_lock)
        {
            _names[path].Replace(content);
        }
    }

    /// <summary>Deletes or renames behind the back of the code under test, durably.</summary>
    internal void Tamper(string from, string? to)
    {
        lock (_lock)
        {
            _names.Remove(from, out var inode);
            _durableNames.Remove(from);
            if (to is not null)
            {
                _names[to] = inode!;
                _durableNames[to] = inode!;
            }
        }
    }

    /// <summary>A copy whose files can be damaged without touching this one; everything is durable in it.</summary>
    internal SimulatedFileSystem Clone()
    {
        var clone = new SimulatedFileSystem(random);
        clone._directories.UnionWith(_directories);
        clone._durableDirectories.UnionWith(_directories);
        foreach (var (path, inode) in _names)
        {
            var copy = new Inode(++clone._lastInode);
            copy.Replace((byte[])inode.Current.Clone());
            clone._names[path] = copy;
            clone._durableNames[path] = copy;
        }

        return clone;
    }

    public IDurableFile Open(string path, DurableFileMode mode)
    {
        lock (_lock)
        {
            if (!_names.TryGetValue(path, out var inode))
            {
                if (!mode.HasFlag(DurableFileMode.Create))
                {
                    throw new DurableIOException(Enoent, "open", path);
                }

                EnterChange();
                inode = new Inode(++_lastInode);
                _names[path] = inode;
                _changes.Add(new DirectoryChange(DirectoryOf(path), null, path, inode, false));
            }

            if (mode.HasFlag(DurableFileMode.Truncate) && inode.Current.Length > 0)
            {
                inode.Resize(0);
            }

            return new SimulatedFile(this, path, inode);
        }
    }

    public bool Exists(string path)
    {
        lock (_lock)
        {
            return _names.ContainsKey(path) || _directories.Contains(path);
        }
    }

    public IReadOnlyList<string> ListFiles(string directory)
    {
        lock (_lock)
        {
            return _names.Keys.Where(path => DirectoryOf(path) == directory).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal).ToArray();
        }
    }

    public void CreateDirectory(string directory)
    {
        lock (_lock)
        {
            EnterChange();
            if (_directories.Add(directory))
            {
                _changes.Add(new DirectoryChange(DirectoryOf(directory), null, directory, null, true));
            }
        }
    }

    public void Rename(string from, string to)
    {
        lock (_lock)
        {
            EnterChange();
            if (!_names.Remove(from, out var inode))
            {
                throw new DurableIOException(Enoent, "rename", from);
            }

            _names[to] = inode;
            _changes.Add(new DirectoryChange(DirectoryOf(from), from, to, inode, false));
        }
    }

    public void Delete(string path)
    {
        lock (_lock)
        {
            EnterChange();
            if (!_names.Remove(path))
            {
                throw new DurableIOException(Enoent, "delete", path);
            }

            _changes.Add(new DirectoryChange(DirectoryOf(path), path, null, null, false));
        }
    }

    public void SyncDirectory(string directory)
    {
        lock (_lock)
        {
            EnterChange();
            foreach (var change in _changes.Where(change => change.Directory == directory))
            {
                ApplyDurably(change);
            }

            _changes.RemoveAll(change => change.Directory == directory);
        }
    }

    private void ApplyDurably(DirectoryChange change)
    {
        if (change.IsDirectory)
        {
            _durableDirectories.Add(change.Added!);
            return;
        }

        if (change.Removed is not null)
        {
            _durableNames.Remove(change.Removed);
        }

        if (change.Added is not null)
        {
            _durableNames[change.Added] = change.Inode!;
        }
    }

    /// <summary>Every changing operation passes here first. Half of the time a crash comes after it had its (volatile) effect, which is
    /// the same as a crash before the next one.</summary>
    private void EnterChange()
    {
        if (_crashed || --CrashAfterOperations < 0)
        {
            _crashed = true;
            throw new SimulatedCrashException();
        }

        Operations++;
        _clock++;
    }

    private static string DirectoryOf(string path) => Path.GetDirectoryName(path)!;

    private void RequireSpace(string path, long growth)
    {
        if (growth > 0 && _names.Values.Distinct().Sum(inode => (long)inode.Current.Length) + growth > CapacityBytes)
        {
            throw new DurableIOException(Enospc, "write", path);
        }
    }

    /// <summary>A file's content, with the states that its sectors had since the last sync.</summary>
    private sealed class Inode(ulong number)
    {
        private readonly Dictionary<int, List<byte[]>> _pending = [];
        private byte[] _durable = [];
        private bool _sizePending;

        internal ulong Number { get; } = number;

        internal byte[] Current { get; private set; } = [];

        internal long MtimeNs { get; set; }

        internal object? LockOwner { get; set; }

        internal void Replace(byte[] content)
        {
            Current = content;
            _durable = (byte[])content.Clone();
            Forget();
        }

        internal void Resize(long size)
        {
            var resized = new byte[size];
            Current.AsSpan(0, (int)Math.Min(size, Current.Length)).CopyTo(resized);
            Current = resized;
            _sizePending = true;
        }

        internal void Write(ReadOnlySpan<byte> source, long offset)
        {
            source.CopyTo(Current.AsSpan((int)offset));
            for (var sector = (int)(offset / SectorBytes); sector * SectorBytes < offset + source.Length; sector++)
            {
                if (!_pending.TryGetValue(sector, out var states))
                {
                    _pending[sector] = states = [];
                }

                states.Add(Current.AsSpan(sector * SectorBytes, Math.Min(SectorBytes, Current.Length - (sector * SectorBytes))).ToArray());
            }
        }

        /// <summary>Writes what is dirty; what a failed sync has taken for clean stays lost.</summary>
        internal void Sync()
        {
            Array.Resize(ref _durable, Current.Length);
            foreach (var sector in _pending.Keys)
            {
                var start = sector * SectorBytes;
                Current.AsSpan(Math.Min(start, Current.Length), Math.Clamp(Current.Length - start, 0, SectorBytes)).CopyTo(_durable.AsSpan(Math.Min(start, Current.Length)));
            }

            Forget();
        }

        /// <summary>A failed sync: the kernel takes the pages for clean.</summary>
        internal void Forget()
        {
            _pending.Clear();
            _sizePending = false;
        }

        internal void Crash(Random random, int keepPercent)
        {
            var size = _sizePending && random.Next(100) < keepPercent ? Current.Length : _durable.Length;
            var content = new byte[size];
            _durable.AsSpan(0, Math.Min(size, _durable.Length)).CopyTo(content);
            foreach (var (sector, states) in _pending.OrderBy(pair => pair.Key))
            {
                var start = sector * SectorBytes;
                if (random.Next(100) < keepPercent && start < size)
                {
                    var state = states[random.Next(states.Count)];
                    state.AsSpan(0, Math.Min(state.Length, size - start)).CopyTo(content.AsSpan(start));
                }
            }

            LockOwner = null;
            Replace(content);
        }
    }

    private sealed class SimulatedFile(SimulatedFileSystem owner, string path, Inode inode) : IDurableFile
    {
        private bool _disposed;

        public string Path => path;

        public long Length => Locked(() => (long)inode.Current.Length);

        public int Read(Span<byte> destination, long offset)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            lock (owner._lock)
            {
                var count = (int)Math.Clamp(inode.Current.Length - offset, 0, destination.Length);
                inode.Current.AsSpan((int)Math.Min(offset, inode.Current.Length), count).CopyTo(destination);
                return count;
            }
        }

        public void Write(ReadOnlySpan<byte> source, long offset)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            lock (owner._lock)
            {
                var end = offset + source.Length;
                owner.RequireSpace(path, end - inode.Current.Length);
                owner.EnterChange();
                if (end > inode.Current.Length)
                {
                    inode.Resize(end);
                }

                inode.Write(source, offset);
                inode.MtimeNs = owner._clock;
            }
        }

        public void WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers, long offset)
        {
            foreach (var buffer in buffers)
            {
                Write(buffer.Span, offset);
                offset += buffer.Length;
            }
        }

        public void Truncate(long sizeBytes) => Change(() => inode.Resize(sizeBytes));

        public void Allocate(long offset, long sizeBytes) => Change(() =>
        {
            owner.RequireSpace(path, offset + sizeBytes - inode.Current.Length);
            if (offset + sizeBytes > inode.Current.Length)
            {
                inode.Resize(offset + sizeBytes);
            }
        });

        public void DataSync() => Sync();

        public void Sync() => Change(() =>
        {
            if (owner.FailNextSyncOf is { } part && path.Contains(part, StringComparison.Ordinal))
            {
                owner.FailNextSyncOf = null;
                inode.Forget();
                throw new DurableIOException(Eio, "fsync", path);
            }

            inode.Sync();
        });

        public FileState GetState() => Locked(() => new FileState(inode.Current.Length, inode.Number, inode.MtimeNs));

        public bool TryLock() => Locked(() => (inode.LockOwner ??= this) == this);

        public void Dispose()
        {
            lock (owner._lock)
            {
                _disposed = true;
                inode.LockOwner = inode.LockOwner == this ? null : inode.LockOwner;
            }
        }

        private T Locked<T>(Func<T> read)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            lock (owner._lock)
            {
                return read();
            }
        }

        private void Change(Action change)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            lock (owner._lock)
            {
                owner.EnterChange();
                change();
            }
        }
    }
}
