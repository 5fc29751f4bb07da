using Dqlite.Net.Storage;
using Dqlite.Sqlite;

namespace Dqlite.Net.Tests.Storage;

/// <summary>Runs an action in the middle of a read, as another thread could.</summary>
internal sealed class PausingFileSystem(IFileSystem inner) : IFileSystem
{
    internal Action? BeforeNextRead { get; set; }

    public IDurableFile Open(string path, DurableFileMode mode) => new PausingFile(this, inner.Open(path, mode));

    public bool Exists(string path) => inner.Exists(path);

    public IReadOnlyList<string> ListFiles(string directory) => inner.ListFiles(directory);

    public void CreateDirectory(string directory) => inner.CreateDirectory(directory);

    public void Rename(string from, string to) => inner.Rename(from, to);

    public void Delete(string path) => inner.Delete(path);

    public void SyncDirectory(string directory) => inner.SyncDirectory(directory);

    private sealed class PausingFile(PausingFileSystem owner, IDurableFile file) : IDurableFile
    {
        public string Path => file.Path;

        public long Length => file.Length;

        public int Read(Span<byte> destination, long offset)
        {
            var action = owner.BeforeNextRead;
            owner.BeforeNextRead = null;
            action?.Invoke();
            return file.Read(destination, offset);
        }

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
