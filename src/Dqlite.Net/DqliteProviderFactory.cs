using System.Data.Common;

namespace Dqlite.Net;

/// <summary>Makes the objects of this provider.</summary>
public sealed class DqliteProviderFactory : DbProviderFactory
{
    /// <summary>The one instance.</summary>
    public static readonly DqliteProviderFactory Instance = new();

    private DqliteProviderFactory()
    {
    }

    /// <inheritdoc/>
    public override bool CanCreateBatch => true;

    /// <inheritdoc/>
    public override DbCommand CreateCommand() => new DqliteCommand();

    /// <inheritdoc/>
    public override DbConnection CreateConnection() => new DqliteConnection();

    /// <inheritdoc/>
    public override DbConnectionStringBuilder CreateConnectionStringBuilder() => new DqliteConnectionStringBuilder();

    /// <inheritdoc/>
    public override DbParameter CreateParameter() => new DqliteParameter();

    /// <inheritdoc/>
    public override DbBatch CreateBatch() => new DqliteBatch();

    /// <inheritdoc/>
    public override DbBatchCommand CreateBatchCommand() => new DqliteBatchCommand();
}
