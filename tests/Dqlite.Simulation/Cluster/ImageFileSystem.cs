using Dqlite.Net.Storage;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Cluster;

/// <summary>One file that can be read: what a power cut would leave of it.</summary>
internal sealed class ImageFileSystem(string path, byte[] image) : IFileSystem
{
    public IDurableFile Open(string path, DurableFileMode mode) => new ImageFile(path, image);

    public bool Exists(string other) => other == path;

    public IReadOnlyList<string> ListFiles(string directory) => throw new NotSupportedException();

    public void CreateDirectory(string directory) => throw new NotSupportedException();

    public void Rename(string from, string to) => throw new NotSupportedException();

    public void Delete(string path) => throw new NotSupportedException();

    public void SyncDirectory(string directory)
    {
    }

    private sealed class ImageFile(string path, byte[] image) : IDurableFile
    {
        public string Path => path;

        public long Length => image.Length;

        public int Read(Span<byte> destination, long offset)
        {
            var count = (int)Math.Clamp(image.Length - offset, 0, destination.Length);
            image.AsSpan((int)Math.Min(offset, image.Length), count).CopyTo(destination);
            return count;
        }

        public void Write(ReadOnlySpan<byte> source, long offset) => source.CopyTo(image.AsSpan((int)offset));

        public void WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers, long offset) => throw new NotSupportedException();

        public void Truncate(long sizeBytes) => throw new NotSupportedException();

        public void Allocate(long offset, long sizeBytes) => throw new NotSupportedException();

        public void DataSync()
        {
        }

        public void Sync()
        {
        }

        public FileState GetState() => throw new NotSupportedException();

        public bool TryLock() => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }
}
