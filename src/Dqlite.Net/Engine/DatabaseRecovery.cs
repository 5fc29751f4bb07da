using Dqlite.Net.Storage;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>
/// Before a database is opened: ends the checkpoint that a crash interrupted, so that the file holds one state exactly. Every step may be repeated.
/// </summary>
internal static class DatabaseRecovery
{
    /// <exception cref="StorageDamagedException">The copies of the interrupted checkpoint are not what was made durable.</exception>
    public static void Run(IFileSystem files, DatabaseFiles paths, DatabaseMetaFile metaFile)
    {
        var meta = metaFile.Meta;
        if (meta.CheckpointTarget > meta.CheckpointDone)
        {
            metaFile.Write(RedoFile.Restore(files, paths.RedoPath, paths.DatabasePath, paths.SumsPath, meta));
        }
        else if (RedoFile.TargetOf(files, paths.RedoPath) > meta.CheckpointDone)
        {
            // It overwrote nothing yet, but may have written behind the end.
            metaFile.Write(meta with { File = CutTail(files, paths.DatabasePath, (long)meta.PageCount * meta.PageSize) });
            files.Delete(paths.RedoPath);
        }
    }

    private static FileState CutTail(IFileSystem files, string path, long lengthBytes)
    {
        using var file = files.Open(path, DurableFileMode.Read | DurableFileMode.Write);
        if (file.Length > lengthBytes)
        {
            file.Truncate(lengthBytes);
            file.Sync();
        }

        return file.GetState();
    }
}
