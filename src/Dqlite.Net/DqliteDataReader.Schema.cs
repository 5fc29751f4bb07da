using System.Collections.ObjectModel;
using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using Dqlite.Net.Data;
using static SQLitePCL.raw;

namespace Dqlite.Net;

/// <summary>What a result says about its columns: SQLite knows from which table and column each comes.</summary>
public sealed partial class DqliteDataReader : IDbColumnSchemaGenerator
{
    /// <summary>The declared type of the column, without its length; for an expression the storage class of the current value.</summary>
    /// <param name="ordinal">The column.</param>
    public override string GetDataTypeName(int ordinal)
    {
        var columns = Columns;
        RequireOrdinal(columns, ordinal);
        if (sqlite3_column_decltype(columns.Handle, ordinal).utf8_to_string() is { } declared)
        {
            var length = declared.IndexOf('(', StringComparison.Ordinal);
            return length < 0 ? declared : declared[..length];
        }

        return StorageClass(ordinal) switch
        {
            SQLITE_INTEGER => "INTEGER",
            SQLITE_FLOAT => "REAL",
            SQLITE_TEXT => "TEXT",
            _ => "BLOB",
        };
    }

    /// <summary>The type of the current value; without one, of the declared type.</summary>
    /// <param name="ordinal">The column.</param>
    [return: DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicProperties | DynamicallyAccessedMemberTypes.PublicFields)]
    public override Type GetFieldType(int ordinal)
    {
        RequireOrdinal(Columns, ordinal);
        return StorageClass(ordinal) switch
        {
            SQLITE_INTEGER => typeof(long),
            SQLITE_FLOAT => typeof(double),
            SQLITE_TEXT => typeof(string),
            SQLITE_BLOB => typeof(byte[]),
            _ => TypeOfAffinity(GetDataTypeName(ordinal)),
        };
    }

    /// <inheritdoc cref="DbDataReader.GetSchemaTable"/>
    [UnconditionalSuppressMessage("Trimming", "IL2111", Justification = "DataColumn looks at the members of nullable types only.")]
    public override DataTable GetSchemaTable()
    {
        var table = new DataTable("SchemaTable");
        (string Name, Type Type)[] layout =
        [
            (SchemaTableColumn.ColumnName, typeof(string)), (SchemaTableColumn.ColumnOrdinal, typeof(int)), (SchemaTableColumn.ColumnSize, typeof(int)),
            (SchemaTableColumn.NumericPrecision, typeof(short)), (SchemaTableColumn.NumericScale, typeof(short)),
            (SchemaTableColumn.IsUnique, typeof(bool)), (SchemaTableColumn.IsKey, typeof(bool)),
            (SchemaTableOptionalColumn.BaseServerName, typeof(string)), (SchemaTableOptionalColumn.BaseCatalogName, typeof(string)),
            (SchemaTableColumn.BaseColumnName, typeof(string)), (SchemaTableColumn.BaseSchemaName, typeof(string)),
            (SchemaTableColumn.BaseTableName, typeof(string)), (SchemaTableColumn.DataType, typeof(Type)), ("DataTypeName", typeof(string)),
            (SchemaTableColumn.AllowDBNull, typeof(bool)), (SchemaTableColumn.IsAliased, typeof(bool)), (SchemaTableColumn.IsExpression, typeof(bool)),
            (SchemaTableOptionalColumn.IsAutoIncrement, typeof(bool)), (SchemaTableColumn.IsLong, typeof(bool)),
        ];
        foreach (var (name, type) in layout)
        {
            AddColumn(table, name, type);
        }

        foreach (var column in GetColumnSchema())
        {
            table.Rows.Add(
                column.ColumnName, column.ColumnOrdinal, -1, DBNull.Value, DBNull.Value, Value(column.IsUnique), Value(column.IsKey),
                column.BaseServerName, column.BaseCatalogName, column.BaseColumnName, DBNull.Value, column.BaseTableName, column.DataType,
                column.DataTypeName, Value(column.AllowDBNull), Value(column.IsAliased), Value(column.IsExpression), Value(column.IsAutoIncrement), DBNull.Value);
        }

        return table;
    }

    /// <summary>The columns of the current result, with the tables and columns that they come from.</summary>
    public ReadOnlyCollection<DbColumn> GetColumnSchema()
    {
        var columns = Columns;
        var schema = new DbColumn[columns.Count];
        for (var i = 0; i < schema.Length; i++)
        {
            schema[i] = Describe(columns, i);
        }

        return Array.AsReadOnly(schema);
    }

    private static object Value(bool? flag) => flag is { } value ? value : DBNull.Value;

    [UnconditionalSuppressMessage("Trimming", "IL2067", Justification = "The types are those of the layout above: none is nullable.")]
    private static void AddColumn(DataTable table, string name, Type type) => table.Columns.Add(new DataColumn(name, type));

    private static void RequireOrdinal(Statement columns, int ordinal)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(ordinal);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(ordinal, columns.Count);
    }

    // Source: "Datatypes In SQLite", 3.1; a numeric affinity is text here, as in Microsoft.Data.Sqlite: decimals and dates are stored so.
    [return: DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicProperties | DynamicallyAccessedMemberTypes.PublicFields)]
    private static Type TypeOfAffinity(string declared)
    {
        bool Has(string part) => declared.Contains(part, StringComparison.OrdinalIgnoreCase);
        return Has("INT") ? typeof(long)
            : Has("CHAR") || Has("CLOB") || Has("TEXT") ? typeof(string)
            : Has("BLOB") ? typeof(byte[])
            : Has("REAL") || Has("FLOA") || Has("DOUB") ? typeof(double)
            : typeof(string);
    }

    private int StorageClass(int ordinal) => _results.Row?.StorageClass(ordinal) ?? sqlite3_column_type(Columns.Handle, ordinal);

    private DbColumn Describe(Statement columns, int ordinal)
    {
        var statement = columns.Handle;
        var database = sqlite3_column_database_name(statement, ordinal).utf8_to_string();
        var table = sqlite3_column_table_name(statement, ordinal).utf8_to_string();
        var origin = sqlite3_column_origin_name(statement, ordinal).utf8_to_string();
        var name = columns.ColumnName(ordinal);
        var declared = sqlite3_column_decltype(statement, ordinal).utf8_to_string() is null ? null : GetDataTypeName(ordinal);
        var column = new ColumnDescription
        {
            Name = name,
            Ordinal = ordinal,
            ServerName = _connection.Database,
            CatalogName = database,
            TableName = table,
            OriginName = origin,
            Aliased = origin != name,
            Type = declared is null ? GetFieldType(ordinal) : TypeOfAffinity(declared),
            TypeName = GetDataTypeName(ordinal),
        };
        if (database is not null && table is not null && origin is not null)
        {
            var rc = sqlite3_table_column_metadata(
                _session.Handle.Db, database, table, origin, out _, out _, out var notNull, out var primaryKey, out var autoIncrement);
            if (rc == SQLITE_OK)
            {
                var unique = _session.Handle.IsUniqueColumn(database, table, origin);
                var known = column with
                {
                    Key = primaryKey != 0,
                    Nullable = column.Aliased || notNull == 0,
                    AutoIncrement = autoIncrement != 0,
                    Unique = !column.Aliased && unique,
                };
                return known.ToColumn();
            }
        }

        return column.ToColumn();
    }
}
