using Dqlite.Sqlite;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.CoreTier;

/// <summary>Errors as the shim reports them.</summary>
internal static class StoreErrors
{
    /// <summary>Throws unless a condition holds.</summary>
    public static void Require(bool condition, int code, string operation, string path)
    {
        if (!condition)
        {
            throw new ShimException(code, operation, path);
        }
    }

    /// <summary>Does something with a file; its failure gets an SQLite code. A machine that goes down is another matter, and passes through.</summary>
    public static void Try(int code, string operation, string path, Action action)
    {
        try
        {
            action();
        }
        catch (DurableIOException)
        {
            throw new ShimException(code, operation, path);
        }
    }

    /// <summary>Opens a file of the database.</summary>
    public static Net.Storage.IDurableFile Open(Net.Storage.IFileSystem files, string path, DurableFileMode mode)
    {
        try
        {
            return files.Open(path, mode);
        }
        catch (DurableIOException)
        {
            throw new ShimException(SQLITE_CANTOPEN, "open", path);
        }
    }
}
