using Dqlite.Sqlite;

namespace Dqlite.Net.Storage;

/// <summary>DATA/node.lock: keeps a second node, of this process or another, out of a data directory. The lock ends with the process.</summary>
internal sealed class NodeLock : IDisposable
{
    internal const string FileName = "node.lock";

    private readonly IDurableFile _file;

    private NodeLock(IDurableFile file) => _file = file;

    /// <summary>Takes the lock.</summary>
    /// <param name="fileSystem">Where.</param>
    /// <param name="directory">The data directory; must exist.</param>
    /// <exception cref="DirectoryInUseException">Another node uses the directory.</exception>
    internal static NodeLock Acquire(IFileSystem fileSystem, string directory)
    {
        var file = fileSystem.Open(Path.Combine(directory, FileName), DurableFileMode.Read | DurableFileMode.Write | DurableFileMode.Create);
        try
        {
            if (!file.TryLock())
            {
                throw new DirectoryInUseException(directory);
            }

            return new NodeLock(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public void Dispose() => _file.Dispose();
}
