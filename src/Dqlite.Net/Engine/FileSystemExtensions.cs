using Dqlite.Net.Storage;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>Whole-file operations over <see cref="IFileSystem"/>.</summary>
internal static class FileSystemExtensions
{
    /// <summary>Size, inode and modification time.</summary>
    public static FileState GetState(this IFileSystem files, string path)
    {
        using var file = files.Open(path, DurableFileMode.Read);
        return file.GetState();
    }

    /// <summary>Creates a directory and whatever is missing above it, and makes their names durable.</summary>
    public static void CreateDurableDirectory(this IFileSystem files, string directory)
    {
        var parent = Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory)));
        if (parent is null)
        {
            return;
        }

        if (!files.Exists(directory))
        {
            files.CreateDurableDirectory(parent);
            files.CreateDirectory(directory);
            files.SyncDirectory(parent);
        }
    }

    /// <summary>Writes and syncs a whole file; its name is durable after SyncDirectory.</summary>
    public static void WriteAllBytes(this IFileSystem files, string path, ReadOnlySpan<byte> bytes)
    {
        using var file = files.Open(path, DurableFileMode.Read | DurableFileMode.Write | DurableFileMode.Create | DurableFileMode.Truncate);
        file.Write(bytes, 0);
        file.Sync();
    }

    /// <summary>Reads a whole file.</summary>
    public static byte[] ReadAllBytes(this IFileSystem files, string path)
    {
        using var file = files.Open(path, DurableFileMode.Read);
        var bytes = new byte[file.Length];
        var read = file.Read(bytes, 0);
        return read == bytes.Length ? bytes : bytes[..read];
    }

    /// <summary>Creates an empty file.</summary>
    public static void CreateEmpty(this IFileSystem files, string path) => files.WriteAllBytes(path, []);

    /// <summary>Deletes a file if it is there.</summary>
    public static void DeleteIfPresent(this IFileSystem files, string path)
    {
        if (files.Exists(path))
        {
            files.Delete(path);
        }
    }
}
