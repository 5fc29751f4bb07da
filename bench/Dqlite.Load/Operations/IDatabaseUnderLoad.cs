using System.Data.Common;

namespace Dqlite.Load.Operations;

/// <summary>A database for one point, new and filled, as its clients see it.</summary>
internal interface IDatabaseUnderLoad : IAsyncDisposable
{
    /// <summary>Whether its connections hold a thread while they wait.</summary>
    bool Blocks { get; }

    Task<DbConnection> OpenAsync();
}
