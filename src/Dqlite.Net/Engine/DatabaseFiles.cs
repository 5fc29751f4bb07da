using IOPath = System.IO.Path;

namespace Dqlite.Net.Engine;

/// <summary>Where the files of one database lie (docs/ARCHITECTURE.md, "On disk").</summary>
internal sealed record DatabaseFiles(string Directory, string Name)
{
    /// <summary>The SQLite database.</summary>
    public string DatabasePath => IOPath.Combine(Directory, Name + ".db");

    /// <summary>The page checksums.</summary>
    public string SumsPath => IOPath.Combine(Directory, Name + ".sums");

    /// <summary>Checkpoint target and done.</summary>
    public string MetaPath => IOPath.Combine(Directory, Name + ".meta");

    /// <summary>Copies of the pages that a checkpoint overwrites.</summary>
    public string RedoPath => IOPath.Combine(Directory, Name + ".redo");

    /// <summary>A database under installation.</summary>
    public string NewDatabasePath => DatabasePath + ".new";

    /// <summary>Its checksums.</summary>
    public string NewSumsPath => SumsPath + ".new";
}
