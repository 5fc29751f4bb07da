namespace Dqlite.Simulation.World;

/// <summary>
/// The names on a disk, as processes see them and as the platter has them. A name that was made, changed or taken away is durable when its
/// directory is synced; a power cut before keeps or loses each change on its own, but never a later one of the same file without the earlier.
/// </summary>
/// <param name="root">The directory that always exists.</param>
internal sealed class NameTable(string root)
{
    private readonly SortedDictionary<string, SimInode> _names = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _directories = new(StringComparer.Ordinal) { root };
    private readonly SortedDictionary<string, SimInode> _durableNames = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _durableDirectories = new(StringComparer.Ordinal) { root };
    private readonly List<Change> _changes = [];

    private readonly record struct Change(string Directory, string? Removed, string? Added, SimInode? Inode);

    /// <summary>The files that have a name, in the order of the names.</summary>
    public SortedDictionary<string, SimInode>.ValueCollection Inodes => _names.Values;

    /// <summary>The file of a name.</summary>
    public SimInode? Find(string path) => _names.GetValueOrDefault(path);

    /// <summary>The file of a name that a power cut cannot take away.</summary>
    public SimInode? FindDurable(string path) => _durableNames.GetValueOrDefault(path);

    /// <summary>Whether a directory exists.</summary>
    public bool HasDirectory(string path) => _directories.Contains(path);

    /// <summary>Names (without directory) of the files in a directory, in ordinal order.</summary>
    public List<string> List(string directory)
    {
        var found = new List<string>();
        foreach (var path in _names.Keys)
        {
            if (DirectoryOf(path) == directory)
            {
                found.Add(Path.GetFileName(path));
            }
        }

        return found;
    }

    /// <summary>Gives a file a name.</summary>
    public void Add(string path, SimInode inode)
    {
        _names.Add(path, inode);
        _changes.Add(new Change(DirectoryOf(path), null, path, inode));
    }

    /// <summary>Takes a name away.</summary>
    public void Remove(string path)
    {
        _names.Remove(path, out var inode);
        _changes.Add(new Change(DirectoryOf(path), path, null, inode));
    }

    /// <summary>Changes a name; durable with the directory of the new one.</summary>
    public void Rename(string from, string to)
    {
        _names.Remove(from, out var inode);
        _names[to] = inode!;
        _changes.Add(new Change(DirectoryOf(to), from, to, inode));
    }

    /// <summary>Makes a directory.</summary>
    public void AddDirectory(string path)
    {
        if (_directories.Add(path))
        {
            _changes.Add(new Change(DirectoryOf(path), null, path, null));
        }
    }

    /// <summary>Makes the changes in a directory durable.</summary>
    public void Sync(string directory)
    {
        var kept = 0;
        for (var i = 0; i < _changes.Count; i++)
        {
            if (_changes[i].Directory == directory)
            {
                MakeDurable(_changes[i]);
            }
            else
            {
                _changes[kept++] = _changes[i];
            }
        }

        _changes.RemoveRange(kept, _changes.Count - kept);
    }

    /// <summary>A power cut: each change that was not synced is kept or lost.</summary>
    public void CutPower(SeededRandom random, int keepPercent)
    {
        foreach (var change in _changes)
        {
            var isKept = random.Next(100) < keepPercent && change.Inode is not { HasLostName: true };
            if (isKept)
            {
                MakeDurable(change);
            }
            else if (change.Inode is not null)
            {
                change.Inode.HasLostName = true;
            }
        }

        foreach (var change in _changes)
        {
            change.Inode?.HasLostName = false;
        }

        RemoveOrphans();
        BecomeDurable();
    }

    /// <summary>Removes everything.</summary>
    public void Clear()
    {
        _durableNames.Clear();
        _durableDirectories.RemoveWhere(path => path != root);
        BecomeDurable();
    }

    /// <summary>The directory that a path lies in.</summary>
    public static string DirectoryOf(string path) => Path.GetDirectoryName(path) ?? "";

    private void MakeDurable(in Change change)
    {
        if (change.Inode is null)
        {
            _durableDirectories.Add(change.Added!);
            return;
        }

        if (change.Removed is not null && _durableNames.GetValueOrDefault(change.Removed) == change.Inode)
        {
            _durableNames.Remove(change.Removed);
        }

        if (change.Added is not null)
        {
            _durableNames[change.Added] = change.Inode;
        }
    }

    /// <summary>A directory whose own name is lost takes all that lies in it along.</summary>
    private void RemoveOrphans()
    {
        // Ordinal order has a directory before what lies in it.
        foreach (var path in _durableDirectories.ToList())
        {
            if (path != root && !_durableDirectories.Contains(DirectoryOf(path)))
            {
                _durableDirectories.Remove(path);
            }
        }

        foreach (var path in _durableNames.Keys.Where(path => !_durableDirectories.Contains(DirectoryOf(path))).ToList())
        {
            _durableNames.Remove(path);
        }
    }

    private void BecomeDurable()
    {
        _changes.Clear();
        foreach (var inode in _names.Values)
        {
            inode.IsNamed = false;
        }

        _names.Clear();
        foreach (var (path, inode) in _durableNames)
        {
            _names.Add(path, inode);
            inode.IsNamed = true;
        }

        _directories.Clear();
        _directories.UnionWith(_durableDirectories);
    }
}
