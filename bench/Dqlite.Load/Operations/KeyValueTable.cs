using System.Data.Common;
using System.Globalization;

namespace Dqlite.Load.Operations;

/// <summary>The table of all workloads but TPC-B.</summary>
internal static class KeyValueTable
{
    public static Task CreateAsync(DbConnection connection) => connection.RunAsync("CREATE TABLE t(id INTEGER PRIMARY KEY, value NOT NULL)");

    public static async Task FillAsync(DbConnection connection, int rows, int valueBytes)
    {
        await CreateAsync(connection);
        await connection.RunAsync(string.Create(CultureInfo.InvariantCulture,
            $"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) INSERT INTO t SELECT i, substr(hex(randomblob({(valueBytes + 1) / 2})), 1, {valueBytes}) FROM n"));
    }
}

/// <summary>What ADO.NET takes several lines for.</summary>
internal static class CommandExtensions
{
    public static async Task RunAsync(this DbConnection connection, string sql)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Prepares a statement whose parameters are set by position.</summary>
    public static DbCommand Prepare(this DbConnection connection, string sql, params object[] values)
    {
        var command = connection.CreateCommand();
        command.CommandText = sql;
        for (var i = 0; i < values.Length; i++)
        {
            var parameter = command.CreateParameter();
            parameter.ParameterName = string.Create(CultureInfo.InvariantCulture, $"$p{i}");
            parameter.Value = values[i];
            command.Parameters.Add(parameter);
        }

        command.Prepare();
        return command;
    }
}
