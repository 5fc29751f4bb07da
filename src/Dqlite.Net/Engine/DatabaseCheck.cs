using Dqlite.Net.Storage;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>Notices at start that a database file was changed behind the node's back while it was down.</summary>
internal static class DatabaseCheck
{
    /// <summary>The files are there, and no other program has written through its own log.</summary>
    /// <exception cref="DatabaseDamagedException">Names the file and says what to do.</exception>
    public static void RequireFiles(IFileSystem files, DatabaseFiles paths)
    {
        // A program that has only read the file of a stopped node leaves an empty -wal: nothing was written through it.
        foreach (var suffix in new[] { "-wal", "-journal" })
        {
            var stray = paths.DatabasePath + suffix;
            if (files.Exists(stray) && files.GetState(stray).SizeBytes > 0)
            {
                throw Damaged(paths.DatabasePath, $"'{stray}' lies beside it: another program has opened the database and may have written to it");
            }
        }

        if (!files.Exists(paths.DatabasePath) || !files.Exists(paths.SumsPath))
        {
            throw Damaged(paths.DatabasePath, "it, or its checksum file, is missing");
        }
    }

    /// <summary>Compares the file with what the last checkpoint left; the page checksums find the rest when pages are read.</summary>
    /// <exception cref="DatabaseDamagedException">Names the file and says what to do.</exception>
    public static void Verify(IFileSystem files, DatabaseFiles paths, DatabaseMeta meta)
    {
        var state = files.GetState(paths.DatabasePath);
        if (state.SizeBytes < (long)meta.PageCount * meta.PageSize)
        {
            throw Damaged(paths.DatabasePath, $"it has {state.SizeBytes} bytes where {(long)meta.PageCount * meta.PageSize} belong");
        }

        var isChanged = state != meta.File;
#if MUTANTS
        isChanged &= !Dqlite.Raft.Mutant.Is("R19");
#endif
        if (isChanged)
        {
            throw Damaged(paths.DatabasePath, "its size, inode or modification time is not what this node left: it was written, copied or restored while the node was down");
        }
    }

    private static DatabaseDamagedException Damaged(string path, string problem) => new(
        $"Database file '{path}' cannot be used: {problem}. Restore the file as it was, or remove this node from the cluster, empty its data directory and let it join again.");
}

/// <summary>A database file is not what the node left.</summary>
/// <param name="message">Names the file, what is wrong, and the remedy.</param>
internal sealed class DatabaseDamagedException(string message) : Exception(message);
