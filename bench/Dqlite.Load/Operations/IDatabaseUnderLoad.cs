using System.Data.Common;

namespace Dqlite.Load.Operations;

/// <summary>A new, empty database for one point; disposing it removes it.</summary>
internal interface IDatabaseUnderLoad : IAsyncDisposable
{
    /// <summary>Whether its connections hold a thread while they wait.</summary>
    bool Blocks { get; }

    Task<DbConnection> OpenAsync();
}
