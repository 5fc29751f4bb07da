using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>Writes a database to a plain SQLite file while writes go on.</summary>
internal static class DatabaseExporter
{
    /// <summary>Exports what is committed at the call.</summary>
    /// <exception cref="IOException">The file exists already, or cannot be written.</exception>
    public static async Task ExportAsync(ReplicatedDatabase database, string path, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        await Task.Run(() => Export(database, Path.GetFullPath(path), cancellationToken), cancellationToken).ConfigureAwait(false);
    }

    private static void Export(ReplicatedDatabase database, string path, CancellationToken cancellationToken)
    {
        using var snapshot = database.Pages.OpenSnapshot();
        using var file = DurableFile.Open(path, DurableFileMode.Read | DurableFileMode.Write | DurableFileMode.Create | DurableFileMode.Exclusive);
        try
        {
            var page = new byte[snapshot.PageSize];
            for (uint number = 1; number <= snapshot.PageCount; number++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                snapshot.ReadPage(number, page);
                file.Write(page, (long)(number - 1) * page.Length);
            }

            file.Sync();
            DurableFile.SyncDirectory(Path.GetDirectoryName(path)!);
        }
        catch
        {
            DurableFile.Delete(path);
            throw;
        }
    }
}
