using System.Collections.Immutable;
using System.Globalization;
using Dqlite.Net.Storage;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>
/// The databases of one node. Belongs to the loop, except <see cref="FindPublished"/> and <see cref="Published"/>.
/// A dropped database leaves an empty file NAME.ID.INDEX.dropped until the log no longer holds its entries, so that a restart, which
/// applies them again, knows that they are to be passed over.
/// </summary>
internal sealed class DatabaseSet(NodeContext node, string directory)
{
    private const string DroppedSuffix = ".dropped";
    private readonly SortedDictionary<long, ReplicatedDatabase> _byId = [];
    private readonly SortedSet<string> _closing = new(StringComparer.Ordinal);
    private readonly SortedDictionary<long, DroppedDatabase> _dropped = [];
    private ImmutableDictionary<string, ReplicatedDatabase> _published = ImmutableDictionary.Create<string, ReplicatedDatabase>(StringComparer.Ordinal);

    /// <summary>All, unpublished ones included, by id.</summary>
    public IEnumerable<ReplicatedDatabase> All => _byId.Values;

    /// <summary>Where the files are.</summary>
    public string Directory => directory;

    /// <summary>Any thread: the visible databases.</summary>
    public IReadOnlyCollection<ReplicatedDatabase> Published => [.. Volatile.Read(ref _published).Values.OrderBy(database => database.Name, StringComparer.Ordinal)];

    /// <summary>Any thread: a visible database, or null.</summary>
    public ReplicatedDatabase? FindPublished(string name) => Volatile.Read(ref _published).GetValueOrDefault(name);

    /// <summary>A database by name, an unpublished one too.</summary>
    public ReplicatedDatabase? FindByName(string name) => _byId.Values.FirstOrDefault(database => database.Name == name);

    /// <summary>The highest index that a checkpoint in this directory aimed at, finished or not: everything up to it is committed, and in this node's own log.</summary>
    public static LogIndex HighestTarget(IFileSystem files, string directory)
    {
        var highest = LogIndex.Zero;
        foreach (var name in files.Exists(directory) ? files.ListFiles(directory) : [])
        {
            if (name.EndsWith(DatabaseMetaFile.Extension, StringComparison.Ordinal))
            {
                using var meta = DatabaseMetaFile.Open(files, System.IO.Path.Combine(directory, name));
                highest = meta.Meta.CheckpointTarget > highest ? meta.Meta.CheckpointTarget : highest;
            }
        }

        return highest;
    }

    /// <summary>Opens what lies in the directory. Once, at start.</summary>
    public void Load()
    {
        node.Files.CreateDirectory(directory);
        node.Files.SyncDirectory(node.Options.DataDirectory);
        var names = node.Files.ListFiles(directory);
        foreach (var name in names.Where(name => name.EndsWith(DroppedSuffix, StringComparison.Ordinal)))
        {
            var path = System.IO.Path.Combine(directory, name);
            var parts = name.Split('.');
            if (parts.Length == 4 && TryNumber(parts[1], out var id) && TryNumber(parts[2], out var index))
            {
                _dropped[id] = new DroppedDatabase(parts[0], index, path);
            }
        }

        foreach (var name in names.Where(name => name.EndsWith(DatabaseMetaFile.Extension, StringComparison.Ordinal)))
        {
            var files = new DatabaseFiles(directory, System.IO.Path.GetFileNameWithoutExtension(name));
            var metaFile = DatabaseMetaFile.Open(node.Files, files.MetaPath);
            if (_dropped.ContainsKey(metaFile.Meta.DatabaseId))
            {
                metaFile.Dispose();
                Delete(files);
                continue;
            }

            DatabaseCheck.RequireFiles(node.Files, files);
            DatabaseRecovery.Run(node.Files, files, metaFile);
            DatabaseCheck.Verify(node.Files, files, metaFile.Meta);
            Add(ReplicatedDatabase.Open(node, node.Options, files, metaFile));
        }
    }

    /// <summary>The database of an entry; null when it was dropped later in the log.</summary>
    public ReplicatedDatabase? Find(long id, LogIndex index)
    {
        if (_byId.TryGetValue(id, out var database))
        {
            return database;
        }

        return _dropped.ContainsKey(id) ? null : throw new RaftInvariantException($"Entry {index} changes database {id}, which this node does not have.");
    }

    /// <summary>Applies a create entry. A name that exists makes it void: whoever asked finds the other database.</summary>
    public void Create(LogIndex index, CreateEntry entry)
    {
        if (_byId.ContainsKey(index.Value) || _dropped.ContainsKey(index.Value) || FindByName(entry.Name) is not null || WasTaken(entry.Name, index)
            || !DatabaseName.IsValid(entry.Name))
        {
            return;
        }

        var files = new DatabaseFiles(directory, entry.Name);
        Delete(files);
        var checksum = node.PageStores.CreateFiles(files.DatabasePath, files.SumsPath, entry.PageSize, (uint)entry.AutoVacuum);
        var meta = new DatabaseMeta
        {
            DatabaseId = index.Value,
            Name = entry.Name,
            PageSize = entry.PageSize,
            AutoVacuum = (byte)entry.AutoVacuum,
            IsPublished = entry.Published,
            CheckpointTarget = index,
            CheckpointDone = index,
            LastEntry = index,
            PageCount = 1,
            Checksum = checksum,
            File = node.Files.GetState(files.DatabasePath),
        };
        var metaFile = DatabaseMetaFile.Create(node.Files, files.MetaPath, meta);
        node.Files.SyncDirectory(directory);
        var database = ReplicatedDatabase.Open(node, node.Options, files, metaFile);
        Add(database);
        node.Replicator.OnVisible(database);
    }

    /// <summary>Whether the database exists here: its create entry was not void, and it was not dropped.</summary>
    public bool Exists(long id) => _byId.ContainsKey(id);

    /// <summary>Whether entries of an import may be proposed for it.</summary>
    public bool IsOpenForImport(long id) => _byId.TryGetValue(id, out var database) && !database.IsPublished && !database.IsDropProposed;

    /// <summary>Replayed after a restart: the name belonged then to a database that was dropped later.</summary>
    private bool WasTaken(string name, LogIndex index)
    {
        foreach (var (id, dropped) in _dropped)
        {
            if (dropped.Name == name && id < index.Value && index.Value < dropped.DropIndex)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Applies a drop entry.</summary>
    public void Drop(long id, LogIndex index)
    {
        if (!_byId.TryGetValue(id, out var database))
        {
            return;
        }

        var marker = System.IO.Path.Combine(directory, string.Create(CultureInfo.InvariantCulture, $"{database.Name}.{id}.{index}{DroppedSuffix}"));
        node.Files.CreateEmpty(marker);
        node.Files.SyncDirectory(directory);
        _dropped[id] = new DroppedDatabase(database.Name, index.Value, marker);
        Remove(database, new DqliteException($"Database '{database.Name}' was dropped.", 14, false, null));
        if (database.IsCheckpointing)
        {
            _closing.Add(database.Name);
        }
        else
        {
            Delete(database.Files);
        }
    }

    /// <summary>Whether a dropped database of this name is still under a checkpoint.</summary>
    public bool IsClosing(string name) => _closing.Contains(name);

    /// <summary>Whether any dropped database is still under a checkpoint.</summary>
    public bool IsAnyClosing => _closing.Count > 0;

    /// <summary>Replayed after a restart: whether a database was dropped behind this index, whose files are gone although its entries come again.</summary>
    public bool HasDropBehind(LogIndex applied) => _dropped.Values.Any(dropped => dropped.DropIndex > applied.Value);

    /// <summary>Applies a publish entry.</summary>
    public void Publish(long id, LogIndex index)
    {
        var database = Find(id, index);
        if (database is not null)
        {
            database.IsPublished = true;
            SavePublication(database);
            _published = _published.SetItem(database.Name, database);
            node.Replicator.OnVisible(database);
        }
    }

    /// <summary>Writes the publication to NAME.meta, unless a checkpoint is writing that file: then its end does.</summary>
    public void SavePublication(ReplicatedDatabase database)
    {
        if (database.HasUnsavedPublication && !database.IsCheckpointing)
        {
            database.MetaFile.Write(database.Meta with { IsPublished = true });
        }
    }

    /// <summary>Deletes the files of a dropped database whose name nobody has taken meanwhile.</summary>
    public void DeleteDropped(ReplicatedDatabase database)
    {
        _closing.Remove(database.Name);
        if (FindByName(database.Name) is null)
        {
            Delete(database.Files);
        }
    }

    /// <summary>A new leader drops imports that an earlier one began and did not publish.</summary>
    public void DropAbandonedImports(Term term)
    {
        foreach (var database in _byId.Values.Where(database => !database.IsPublished && node.Core.TermAt(new LogIndex(database.Id)) != term))
        {
            node.Call((nowNs, outputs) =>
            {
                // A refusal needs no care: the next leader looks for the same reason again.
                if (node.Replicator.IsOpen && Exists(database.Id))
                {
                    ProposeDrop(database, nowNs, outputs);
                }
            });
        }
    }

    /// <summary>Proposes to drop a database; entries for it must not follow that one.</summary>
    public ProposalResult ProposeDrop(ReplicatedDatabase database, long nowNs, RaftOutputs outputs)
    {
        var result = node.Core.Propose(node.Core.CurrentTerm, EntryCodec.Drop(database.Id), nowNs, outputs);
        database.IsDropProposed |= result.Refusal == RefusalReason.None;
        return result;
    }

    /// <summary>Drops what an import that did not get to its end has left, if this node leads; else the next leader does.</summary>
    public void DropUnpublished(long id, long nowNs, RaftOutputs outputs)
    {
        if (node.Replicator.IsOpen && _byId.TryGetValue(id, out var database) && !database.IsPublished && !database.IsDropProposed)
        {
            ProposeDrop(database, nowNs, outputs);
        }
    }

    /// <summary>Fenced batches at this index are decided by its term.</summary>
    public void Decide(LogIndex index, Term term)
    {
        foreach (var database in _byId.Values)
        {
            database.Decide(index, term);
        }
    }

    /// <summary>An entry of this term is about to be applied.</summary>
    public void VoidParts(Term term)
    {
        foreach (var database in _byId.Values)
        {
            database.VoidParts(term);
        }
    }

    /// <summary>The log no longer holds anything up to here: markers of databases dropped before it are not needed any more.</summary>
    public void ForgetDropped(LogIndex baseIndex)
    {
        foreach (var (id, dropped) in _dropped.Where(pair => pair.Value.DropIndex <= baseIndex.Value).ToArray())
        {
            node.Files.Delete(dropped.MarkerPath);
            _dropped.Remove(id);
        }
    }

    /// <summary>Deletes the files of a dropped database. Durably NAME.meta first: it would say that the others must be there.</summary>
    public void Delete(DatabaseFiles files)
    {
        if (node.Files.Exists(files.MetaPath))
        {
            node.Files.Delete(files.MetaPath);
            node.Files.SyncDirectory(directory);
        }

        node.Files.DeleteIfPresent(files.DatabasePath);
        node.Files.DeleteIfPresent(files.SumsPath);
        node.Files.DeleteIfPresent(files.RedoPath);
    }

    /// <summary>An install brought a database that this node did not have, or one under a new id.</summary>
    public void Add(ReplicatedDatabase database)
    {
        _byId.Add(database.Id, database);
        Show(database);
    }

    /// <summary>Makes a database visible once it is published.</summary>
    public void Show(ReplicatedDatabase database)
    {
        if (database.IsPublished)
        {
            _published = _published.SetItem(database.Name, database);
        }
    }

    /// <summary>Takes a database out; its handles answer "not leader" for good.</summary>
    public void Remove(ReplicatedDatabase database, Exception reason)
    {
        _byId.Remove(database.Id);
        if (_published.TryGetValue(database.Name, out var published) && published == database)
        {
            _published = _published.Remove(database.Name);
        }

        database.Stop(reason);
        database.Dispose();
    }

    /// <summary>The node stops.</summary>
    public void Stop(Exception reason)
    {
        foreach (var database in _byId.Values)
        {
            database.Stop(reason);
        }
    }

    /// <summary>Closes all page stores.</summary>
    public void Close()
    {
        foreach (var database in _byId.Values)
        {
            database.Dispose();
        }
    }

    private sealed record DroppedDatabase(string Name, long DropIndex, string MarkerPath);

    private static bool TryNumber(string text, out long number) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
