using Dqlite.Sqlite;

namespace Dqlite.Net.Storage;

/// <summary>What the storage code asks of a file system. Synchronous, and replaceable by a simulator that loses whatever was not
/// synced. Failures are <see cref="DurableIOException"/>.</summary>
internal interface IFileSystem
{
    /// <summary>Opens or creates a file. The name of a created one is durable after <see cref="SyncDirectory"/>.</summary>
    IDurableFile Open(string path, DurableFileMode mode);

    /// <summary>Opens a file that is written at its end, in small pieces with a flush behind each: as fast as the system can.</summary>
    IDurableFile OpenForAppends(string path) => Open(path, DurableFileMode.Read | DurableFileMode.Write);

    /// <summary>Whether a file or directory has this name.</summary>
    bool Exists(string path);

    /// <summary>Names (without directory) of the files in a directory, in ordinal order.</summary>
    IReadOnlyList<string> ListFiles(string directory);

    /// <summary>Creates a directory when it does not exist; its name is durable after <see cref="SyncDirectory"/> of its parent.</summary>
    void CreateDirectory(string directory);

    /// <summary>Renames, replacing the target.</summary>
    void Rename(string from, string to);

    /// <summary>Deletes a file.</summary>
    void Delete(string path);

    /// <summary>Makes the names in a directory durable.</summary>
    void SyncDirectory(string directory);
}

/// <summary>An open file; see <see cref="DurableFile"/> for the meaning of the members. Positioned calls may run on several threads.</summary>
internal interface IDurableFile : IDisposable
{
    string Path { get; }

    long Length { get; }

    int Read(Span<byte> destination, long offset);

    void Write(ReadOnlySpan<byte> source, long offset);

    void WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers, long offset);

    void Truncate(long sizeBytes);

    void Allocate(long offset, long sizeBytes);

    void DataSync();

    void Sync();

    FileState GetState();

    bool TryLock();
}
