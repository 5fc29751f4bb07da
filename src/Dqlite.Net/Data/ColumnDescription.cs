using System.Data.Common;

namespace Dqlite.Net.Data;

/// <summary>A column of a result, on its way to a <see cref="DbColumn"/>, whose setters only its own subclasses have.</summary>
internal sealed record ColumnDescription
{
    public required string Name { get; init; }

    public required int Ordinal { get; init; }

    public required string ServerName { get; init; }

    public required string? CatalogName { get; init; }

    public required string? TableName { get; init; }

    public required string? OriginName { get; init; }

    public required bool Aliased { get; init; }

    public required Type Type { get; init; }

    public required string TypeName { get; init; }

    public bool? Key { get; init; }

    public bool? Nullable { get; init; }

    public bool? AutoIncrement { get; init; }

    public bool? Unique { get; init; }

    public DbColumn ToColumn() => new Column(this);

    private sealed class Column : DbColumn
    {
        public Column(ColumnDescription description)
        {
            ColumnName = description.Name;
            ColumnOrdinal = description.Ordinal;
            ColumnSize = -1;
            BaseServerName = description.ServerName;
            BaseCatalogName = description.CatalogName;
            BaseTableName = description.TableName;
            BaseColumnName = description.OriginName;
            IsAliased = description.Aliased;
            IsExpression = description.OriginName is null;
            DataType = description.Type;
            DataTypeName = description.TypeName;
            IsKey = description.Key;
            AllowDBNull = description.Nullable;
            IsAutoIncrement = description.AutoIncrement;
            IsUnique = description.Unique;
        }
    }
}
