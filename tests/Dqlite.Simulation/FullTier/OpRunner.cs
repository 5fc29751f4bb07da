using Dqlite.Simulation.Workload;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.FullTier;

/// <summary>The steps of a transaction as statements, on one connection.</summary>
internal sealed class OpRunner(SqlRunner sql) : IDisposable
{
    private readonly TrapProbe _probe = new(sql);
    private byte[] _blob = [];

    /// <summary>Whether a step is one statement, which can run without a transaction around it.</summary>
    public static bool IsSingleStatement(OpKind kind) => kind is OpKind.ReadRegister or OpKind.WriteRegister or OpKind.CasRegister or OpKind.Append
        or OpKind.ReadList or OpKind.ReadAccounts or OpKind.WriteBlob or OpKind.ReadBlob;

    /// <summary>Whether a step may write.</summary>
    public static bool Writes(OpKind kind) => kind is OpKind.CreateTables or OpKind.WriteRegister or OpKind.CasRegister or OpKind.Append
        or OpKind.Transfer or OpKind.WriteBlob or OpKind.ChangeSchema;

    /// <summary>Does one step.</summary>
    /// <exception cref="SimDatabaseException">A statement failed; the transaction may still be open.</exception>
    public OpResult Execute(in Op op)
    {
        if (op.Kind is OpKind.WriteRegister or OpKind.CasRegister or OpKind.Append or OpKind.Transfer && sql.InTransaction)
        {
            _probe.BeforeWrite();
        }

        switch (op.Kind)
        {
            case OpKind.CreateTables:
                CreateTables(op.Key, op.Value);
                return new OpResult(true);
            case OpKind.ReadRegister:
                return new OpResult(true, sql.QueryValue(Sql.ReadRegister, op.Key));
            case OpKind.WriteRegister:
                sql.Run(Sql.WriteRegister, op.Key, op.Value);
                return new OpResult(true);
            case OpKind.CasRegister:
                return new OpResult(CompareAndSet(op));
            case OpKind.Append:
                sql.Run(Sql.Append, op.Key, op.Value);
                return new OpResult(true);
            case OpKind.ReadList:
                return new OpResult(true, Values: sql.QueryColumn(Sql.ReadList, op.Key));
            case OpKind.Transfer:
                return new OpResult(Transfer(op.Key, op.Other, op.Value));
            case OpKind.ReadAccounts:
                return new OpResult(true, Values: sql.QueryColumn(Sql.ReadAccounts));
            case OpKind.WriteBlob:
                WriteBlob(op.Key, op.Value, checked((int)op.Other));
                return new OpResult(true);
            case OpKind.ReadBlob:
                return new OpResult(true, ReadBlob(op.Key));
            case OpKind.ChangeSchema:
                SchemaChange.Run(sql, op.Value);
                _probe.AfterChange();
                return new OpResult(true);
            case OpKind.Savepoint:
                sql.Run(Sql.Savepoint);
                return new OpResult(true);
            case OpKind.RollbackTo:
                sql.Run(Sql.RollbackToSavepoint);
                return new OpResult(true);
            default:
                throw new ArgumentOutOfRangeException(nameof(op), op.Kind, null);
        }
    }

    /// <summary>Finalizes statements.</summary>
    public void Dispose() => _probe.Dispose();

    private void CreateTables(int accounts, long balance)
    {
        foreach (var text in SqlTexts.Tables)
        {
            sql.Run(text);
        }

        foreach (var text in SchemaChange.First)
        {
            sql.Run(text);
        }

        for (var id = 0; id < accounts; id++)
        {
            sql.Run(Sql.AddAccount, id, balance);
        }
    }

    private bool CompareAndSet(in Op op)
    {
        if (op.Other == 0)
        {
            sql.Run(Sql.AddRegister, op.Key, op.Value);
        }
        else
        {
            sql.Run(Sql.ReplaceRegister, op.Key, op.Value, op.Other);
        }

        return sql.Changes == 1;
    }

    /// <summary>Pays first, so that a balance that is too low makes SQLite refuse the second statement, and the first has to be undone.</summary>
    private bool Transfer(long from, long to, long amount)
    {
        sql.Run(Sql.BeginTransfer);
        sql.Run(Sql.Credit, to, amount);
        var applied = sql.Changes == 1;
        var rc = sql.TryRun(Sql.Debit, from, amount);
        if (rc == SQLITE_OK)
        {
            applied &= sql.Changes == 1;
        }
        else if ((rc & 0xff) == SQLITE_CONSTRAINT)
        {
            applied = false;
        }
        else
        {
            sql.Check(rc);
        }

        if (!applied)
        {
            sql.Run(Sql.UndoTransfer);
        }

        sql.Run(Sql.EndTransfer);
        return applied;
    }

    private void WriteBlob(long key, long value, int size)
    {
        if (_blob.Length < size)
        {
            _blob = new byte[size];
        }

        BlobContent.Fill(value, _blob.AsSpan(0, size));
        sql.Run(Sql.WriteBlob, [key, value, size], _blob.AsSpan(0, size));
    }

    private long? ReadBlob(long key)
    {
        using var rows = sql.Query(Sql.ReadBlob, key);
        if (!rows.Next())
        {
            return null;
        }

        var value = rows.Int64(0);
        var bytes = rows.Blob(2);
        return bytes.Length == rows.Int64(1) && BlobContent.IsOf(value, bytes)
            ? value
            : throw new DamageException($"Blob {key} has {bytes.Length} bytes that do not follow from its value {value}.");
    }
}
