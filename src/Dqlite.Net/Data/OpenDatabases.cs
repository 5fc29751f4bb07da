namespace Dqlite.Net.Data;

/// <summary>
/// Which data sources exist in this process, so that a connection string can name one. The one place with process-wide state: ADO.NET
/// providers are made from text alone.
/// </summary>
internal static class OpenDatabases
{
    private static readonly Lock Gate = new();
    private static readonly List<(string Directory, DqliteDataSource Source)> Sources = [];

    /// <summary>Makes a data source known; the node does it when it opens a database.</summary>
    /// <param name="directory">The node's data directory.</param>
    /// <param name="source">Until it is disposed.</param>
    public static void Add(string directory, DqliteDataSource source)
    {
        lock (Gate)
        {
            Sources.Add((Path.GetFullPath(directory), source));
        }
    }

    public static void Remove(DqliteDataSource source)
    {
        lock (Gate)
        {
            Sources.RemoveAll(entry => ReferenceEquals(entry.Source, source));
        }
    }

    /// <summary>The data source that a connection string names.</summary>
    /// <param name="builder">The connection string.</param>
    /// <exception cref="InvalidOperationException">None or several are meant.</exception>
    public static DqliteDataSource Find(DqliteConnectionStringBuilder builder)
    {
        var name = builder.DataSource;
        var directory = builder.Node.Length == 0 ? null : Path.GetFullPath(builder.Node);
        List<(string Directory, DqliteDataSource Source)> found;
        lock (Gate)
        {
            found = Sources.FindAll(entry => entry.Source.Database == name && (directory is null || entry.Directory == directory));
        }

        var where = directory is null ? "any node of this process" : $"the node in '{directory}'";
        return found.Select(entry => entry.Directory).Distinct(StringComparer.Ordinal).Count() switch
        {
            // The node's first one of that name: later ones differ in the settings of their connections alone.
            1 => found[0].Source,
            0 => throw new InvalidOperationException($"Database '{name}' is not open on {where}. Start the node and open the database before connecting to it."),
            _ => throw new InvalidOperationException($"Database '{name}' is open on several nodes of this process. Add 'Node=DIRECTORY' to the connection string."),
        };
    }
}
