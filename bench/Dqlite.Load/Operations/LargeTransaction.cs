using System.Data.Common;

namespace Dqlite.Load.Operations;

/// <summary>Many rows in one transaction.</summary>
/// <param name="Rows">How many.</param>
/// <param name="ValueBytes">Length of each value.</param>
/// <param name="IsBlob">Whether it is a BLOB, else a text.</param>
internal sealed record LargeTransaction(int Rows, int ValueBytes, bool IsBlob)
{
    /// <summary>A small one of the same kind, so that what is measured is not the first of all.</summary>
    public LargeTransaction ToWarmUp() => this with { Rows = Math.Max(1, Rows / 20) };

    /// <summary>Inserts them into a new table.</summary>
    public async Task RunAsync(DbConnection connection)
    {
        var values = IsBlob ? Values.Blobs(ValueBytes, 0) : Values.Texts(ValueBytes, 0);
        await connection.RunAsync("CREATE TABLE large(id INTEGER PRIMARY KEY, value NOT NULL)");
        await using var transaction = await connection.BeginTransactionAsync();
        await using var insert = connection.CreateCommand();
        insert.Transaction = transaction;
        insert.CommandText = "INSERT INTO large(value) VALUES($value)";
        var parameter = insert.CreateParameter();
        parameter.ParameterName = "$value";
        insert.Parameters.Add(parameter);
        for (var i = 0; i < Rows; i++)
        {
            parameter.Value = values[i % values.Length];
            await insert.ExecuteNonQueryAsync();
        }

        await transaction.CommitAsync();
    }
}
