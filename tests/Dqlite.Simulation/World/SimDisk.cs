using Dqlite.Net.Storage;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.World;

/// <summary>
/// The file system of one machine, in memory, with the crash semantics of a disk: see <see cref="SimInode"/> for bytes and <see cref="NameTable"/>
/// for names. Every operation that changes something counts at the machine. All paths lie under <see cref="Root"/>.
/// </summary>
internal sealed partial class SimDisk : IFileSystem
{
    internal const int Eio = 5;
    internal const int Enoent = 2;
    internal const int Ebadf = 9;
    internal const int Eexist = 17;
    internal const int Eisdir = 21;
    internal const int Enospc = 28;

    /// <summary>Modification times look like those of a real machine; each write gets a later one.</summary>
    private const long FirstMtimeNs = 1_700_000_000_000_000_000;

    private readonly Machine _machine;
    private readonly SeededRandom _random;
    private readonly NameTable _names;
    private readonly DiskFaults _faults = new();
    private ulong _lastInode;
    private long _mtimeNs = FirstMtimeNs;

    /// <summary>Creates an empty disk.</summary>
    /// <param name="machine">The machine that it belongs to.</param>
    /// <param name="random">What decides about faults and power cuts.</param>
    public SimDisk(Machine machine, SeededRandom random)
    {
        _machine = machine;
        _random = random;
        Root = RootOf(machine.Number);
        _names = new NameTable(Root);
    }

    /// <summary>The directory under which everything lies; it always exists.</summary>
    public string Root { get; }

    /// <summary>Bytes that all files together may have.</summary>
    public long CapacityBytes { get; set; } = long.MaxValue;

    /// <summary>Bytes that all files together have.</summary>
    public long UsedBytes { get; private set; }

    /// <summary>How often a write through the shim's table writes less than asked.</summary>
    public double ShortWriteChance { get; set; }

    /// <summary>Whether what writes overwrite is kept, which <see cref="FailNextReadStale"/> needs.</summary>
    public bool RemembersOverwritten { get; set; }

    /// <summary>The machine.</summary>
    internal Machine Machine => _machine;

    /// <summary>The root of a machine's disk.</summary>
    public static string RootOf(int number) => $"/sim/{number}";

    /// <inheritdoc/>
    public IDurableFile Open(string path, DurableFileMode mode) => OpenFile(path, mode);

    /// <inheritdoc/>
    public bool Exists(string path)
    {
        CheckUp();
        return _names.Find(path) is not null || _names.HasDirectory(path);
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> ListFiles(string directory)
    {
        CheckUp();
        return _names.HasDirectory(directory) ? _names.List(directory) : throw new DirectoryNotFoundException(directory);
    }

    /// <inheritdoc/>
    public void CreateDirectory(string directory)
    {
        CheckUp();
        if (_names.HasDirectory(directory))
        {
            return;
        }

        var parent = NameTable.DirectoryOf(directory);
        if (parent.Length == 0)
        {
            throw new DurableIOException(Enoent, "mkdir", directory);
        }

        CreateDirectory(parent);
        Change(() => _names.AddDirectory(directory));
    }

    /// <inheritdoc/>
    public void Rename(string from, string to)
    {
        CheckUp();
        FailIfTold(ShimOperation.Rename, from, "rename");
        if (_names.Find(from) is null || !_names.HasDirectory(NameTable.DirectoryOf(to)))
        {
            throw new DurableIOException(Enoent, "rename", from);
        }

        Change(() =>
        {
            var replaced = from == to ? null : _names.Find(to);
            _names.Rename(from, to);
            LoseName(replaced);
        });
    }

    /// <inheritdoc/>
    public void Delete(string path)
    {
        CheckUp();
        FailIfTold(ShimOperation.Unlink, path, "delete");
        var inode = _names.Find(path) ?? throw new DurableIOException(Enoent, "delete", path);
        Change(() =>
        {
            _names.Remove(path);
            LoseName(inode);
        });
    }

    /// <inheritdoc/>
    public void SyncDirectory(string directory)
    {
        CheckUp();
        FailIfTold(ShimOperation.Sync, directory, "fsync of the directory");
        if (!_names.HasDirectory(directory))
        {
            throw new DurableIOException(Enoent, "fsync of the directory", directory);
        }

        Change(() => _names.Sync(directory));
    }

    /// <summary>Opens or creates a file.</summary>
    internal SimFile OpenFile(string path, DurableFileMode mode)
    {
        CheckUp();
        FailIfTold(ShimOperation.Open, path, "open");
        var inode = _names.Find(path);
        if (inode is not null && mode.HasFlag(DurableFileMode.Create | DurableFileMode.Exclusive))
        {
            throw new DurableIOException(Eexist, "open", path);
        }

        if (inode is null)
        {
            inode = Create(path, mode);
        }
        else if (mode.HasFlag(DurableFileMode.Truncate) && inode.Length > 0)
        {
            Change(() => Resize(inode, 0));
        }

        inode.OpenCount++;
        return new SimFile(this, inode, path, mode);
    }

    /// <summary>Whether a directory exists, for who opens it to sync it.</summary>
    internal bool HasDirectory(string path)
    {
        CheckUp();
        return _names.HasDirectory(path);
    }

    /// <summary>The machine must be up, and in the life in which the caller began.</summary>
    internal void CheckUp(int? life = null)
    {
        if (!_machine.IsUp || (life is not null && life != _machine.Life))
        {
            throw new MachineDownException();
        }
    }

    /// <summary>Fails an operation when that was asked for.</summary>
    internal void FailIfTold(ShimOperation operation, string path, string name)
    {
        var errno = _faults.Take(operation, path);
        if (errno != 0)
        {
            throw new DurableIOException(errno, name, path);
        }
    }

    /// <summary>An operation that happens as a whole or not.</summary>
    internal void Change(Action change)
    {
        var isLast = _machine.Begin();
        if (!isLast || _machine.LastOperationHappens())
        {
            change();
        }

        if (isLast)
        {
            throw _machine.GoDown();
        }
    }

    /// <summary>Changes a file's length.</summary>
    internal void Resize(SimInode inode, long length)
    {
        UsedBytes += length - inode.Length;
        inode.Resize(length, NextMtime());
    }

    /// <summary>A file was closed: without a name nobody can reach it any more.</summary>
    internal void OnClosed(SimInode inode)
    {
        if (--inode.OpenCount == 0 && !inode.IsNamed)
        {
            UsedBytes -= inode.Length;
        }
    }

    private SimInode Create(string path, DurableFileMode mode)
    {
        if (!mode.HasFlag(DurableFileMode.Create) || !_names.HasDirectory(NameTable.DirectoryOf(path)))
        {
            throw new DurableIOException(Enoent, "open", path);
        }

        var inode = new SimInode(++_lastInode);
        Change(() =>
        {
            _names.Add(path, inode);
            inode.IsNamed = true;
            inode.Resize(0, NextMtime());
        });
        return inode;
    }

    private void LoseName(SimInode? inode)
    {
        if (inode is null)
        {
            return;
        }

        inode.IsNamed = false;
        UsedBytes -= inode.OpenCount == 0 ? inode.Length : 0;
    }

    private long NextMtime() => ++_mtimeNs;
}
