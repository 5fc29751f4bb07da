using Dqlite.Net.Storage;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>
/// Puts the files of a snapshot in place. Every step may be repeated: a crash anywhere after the manifest is durable is mended by running
/// this again at the next start; a crash before it leaves NAME.db.new files that the start deletes.
/// </summary>
internal static class InstallFiles
{
    public static string ManifestPath(string dataDirectory) => Path.Combine(dataDirectory, "install.manifest");

    /// <summary>Makes the manifest durable: the point of no return.</summary>
    public static void Commit(IFileSystem files, string dataDirectory, InstallManifest manifest)
    {
        var path = ManifestPath(dataDirectory);
        files.WriteAllBytes(path + ".new", manifest.EncodeFile());
        files.Rename(path + ".new", path);
        files.SyncDirectory(dataDirectory);
    }

    /// <summary>Renames the new files over the old ones and writes each NAME.meta. </summary>
    public static void Switch(IFileSystem files, string directory, InstallManifest manifest)
    {
        foreach (var database in manifest.Databases)
        {
            var paths = database.FilesIn(directory);
            var isAhead = database.LastEntryIndex > manifest.Index.Value;
            var inLog = isAhead ? manifest.Index : new LogIndex(database.LastEntryIndex);
            RenameIfPresent(files, paths.NewSumsPath, paths.SumsPath);
            RenameIfPresent(files, paths.NewDatabasePath, paths.DatabasePath);
            var meta = new DatabaseMeta
            {
                DatabaseId = database.Id,
                Name = database.Name,
                PageSize = database.PageSize,
                AutoVacuum = (byte)database.AutoVacuum,
                IsPublished = database.IsPublished,
                CheckpointTarget = inLog,
                CheckpointDone = inLog,
                LastEntry = new LogIndex(database.LastEntryIndex),
                PageCount = database.PageCount,
                Checksum = database.Checksum,
                File = files.GetState(paths.DatabasePath),
            };
            DatabaseMetaFile.Create(files, paths.MetaPath, meta).Dispose();
        }

        files.SyncDirectory(directory);
    }

    /// <summary>The log's base after the installation.</summary>
    public static LogBase BaseOf(InstallManifest manifest, string address) => new()
    {
        Index = manifest.Index,
        Term = manifest.Term,
        Configuration = ConfigurationOf(manifest),
        ConfigurationIndex = manifest.ConfigurationIndex,
        TermStarts = manifest.TermStarts,
        OwnAddress = address,
    };

    /// <summary>Before anything is opened: finishes an installation that a crash interrupted, or removes what is left of one that never got far.</summary>
    public static void Recover(IFileSystem files, string dataDirectory, string databaseDirectory, Func<string> readAddress, Action<LogBase> replaceLog)
    {
        var path = ManifestPath(dataDirectory);
        if (files.Exists(path))
        {
            var manifest = InstallManifest.DecodeFile(files.ReadAllBytes(path), path);
            RemoveOthers(files, databaseDirectory, manifest);
            Switch(files, databaseDirectory, manifest);
            replaceLog(BaseOf(manifest, readAddress()));
            files.Delete(path);
            files.SyncDirectory(dataDirectory);
        }

        if (!files.Exists(databaseDirectory))
        {
            return;
        }

        foreach (var leftover in files.ListFiles(databaseDirectory).Where(IsLeftover))
        {
            files.Delete(Path.Combine(databaseDirectory, leftover));
        }
    }

    private static ClusterConfiguration ConfigurationOf(InstallManifest manifest)
    {
        var configuration = ConfigurationCodec.Decode(manifest.Configuration);
#if MUTANTS
        configuration = Mutant.Is("R24") ? new ClusterConfiguration(configuration.Members.Where(member => member.Role == MemberRole.Voter)) : configuration;
#endif
        return configuration;
    }

    /// <summary>Files of installs and imports that never ended.</summary>
    private static bool IsLeftover(string name) =>
        name.EndsWith(".new", StringComparison.Ordinal) || name.Contains(".import", StringComparison.Ordinal);

    private static void RemoveOthers(IFileSystem files, string directory, InstallManifest manifest)
    {
        foreach (var metaName in files.ListFiles(directory).Where(name => name.EndsWith(DatabaseMetaFile.Extension, StringComparison.Ordinal)))
        {
            var metaPath = Path.Combine(directory, metaName);
            var name = Path.GetFileNameWithoutExtension(metaName);
            if (manifest.Databases.All(database => database.Name != name))
            {
                var paths = new DatabaseFiles(directory, name);
                files.Delete(metaPath);
                files.DeleteIfPresent(paths.DatabasePath);
                files.DeleteIfPresent(paths.SumsPath);
                files.DeleteIfPresent(paths.RedoPath);
            }
        }
    }

    private static void RenameIfPresent(IFileSystem files, string from, string to)
    {
        if (files.Exists(from))
        {
            files.Rename(from, to);
        }
    }
}
