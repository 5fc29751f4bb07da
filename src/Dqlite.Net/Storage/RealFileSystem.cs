using Dqlite.Sqlite;

namespace Dqlite.Net.Storage;

/// <summary>The file system of the operating system, through the calls that report every failure.</summary>
internal sealed class RealFileSystem : IFileSystem
{
    internal static RealFileSystem Instance { get; } = new();

    public IDurableFile Open(string path, DurableFileMode mode) => new RealFile(DurableFile.Open(path, mode));

    public IDurableFile OpenForAppends(string path)
    {
        const DurableFileMode Mode = DurableFileMode.Read | DurableFileMode.Write;
        return DirectFile.Wrap(Open(path, Mode), () => Open(path, Mode | DurableFileMode.Direct));
    }

    public bool Exists(string path) => Path.Exists(path);

    public IReadOnlyList<string> ListFiles(string directory)
    {
        var names = new DirectoryInfo(directory).EnumerateFiles().Select(file => file.Name).ToArray();
        Array.Sort(names, StringComparer.Ordinal);
        return names;
    }

    public void CreateDirectory(string directory) => Directory.CreateDirectory(directory);

    public void Rename(string from, string to) => DurableFile.Rename(from, to);

    public void Delete(string path) => DurableFile.Delete(path);

    public void SyncDirectory(string directory) => DurableFile.SyncDirectory(directory);

    private sealed class RealFile(DurableFile file) : IDurableFile
    {
        public string Path => file.Path;

        public long Length => file.Length;

        public int Read(Span<byte> destination, long offset) => file.Read(destination, offset);

        public void Write(ReadOnlySpan<byte> source, long offset) => file.Write(source, offset);

        public void WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers, long offset) => file.WriteVectored(buffers, offset);

        public void Truncate(long sizeBytes) => file.Truncate(sizeBytes);

        public void Allocate(long offset, long sizeBytes) => file.Allocate(offset, sizeBytes);

        public void DataSync() => file.DataSync();

        public void Sync() => file.Sync();

        public FileState GetState() => file.GetState();

        public bool TryLock() => file.TryLock();

        public void Dispose() => file.Dispose();
    }
}
