using Dqlite.Simulation.Workload;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.CoreTier;

/// <summary>What the core tier has in place of SQL: carries the steps of a transaction out on its pages.</summary>
internal sealed class Application(TransactionPages pages)
{
    private readonly RegisterTable _registers = new(pages);
    private readonly ListTable _lists = new(pages);
    private readonly AccountTable _accounts = new(pages);
    private readonly BlobTable _blobs = new(pages);
    private readonly SchemaTable _schema = new(pages);

    /// <summary>The steps that make the tables.</summary>
    public static IReadOnlyList<Op> Setup(WorkloadShape shape) =>
    [
        new Op(OpKind.CreateTables, (int)TableId.Registers, shape.Registers),
        new Op(OpKind.CreateTables, (int)TableId.Lists, shape.Lists),
        new Op(OpKind.CreateTables, (int)TableId.Accounts, shape.Accounts, shape.InitialBalance),
        new Op(OpKind.CreateTables, (int)TableId.Blobs, shape.Blobs),
    ];

    /// <summary>Does one step.</summary>
    /// <exception cref="SimDatabaseException">It cannot be done.</exception>
    public OpResult Execute(in Op op) => op.Kind switch
    {
        OpKind.ReadRegister => new OpResult(true, _registers.Read(op.Key)),
        OpKind.CasRegister => new OpResult(_registers.CompareAndSet(op.Key, op.Value, op.Other)),
        OpKind.ReadList => new OpResult(true, Values: _lists.Read(op.Key)),
        OpKind.Transfer => new OpResult(_accounts.Transfer(op.Key, checked((int)op.Other), op.Value)),
        OpKind.ReadAccounts => new OpResult(true, Values: _accounts.ReadAll()),
        OpKind.ReadBlob => new OpResult(true, _blobs.Read(op.Key)),
        _ => Change(op),
    };

    /// <summary>Looks for damage.</summary>
    /// <exception cref="SimDatabaseException">What is wrong.</exception>
    public void Check()
    {
        var page1 = pages.Read(1);
        if (!PageLayout.IsFormatted(page1))
        {
            TransactionPages.Require(pages.PageCount == 1, $"{pages.PageCount} pages belong to no table");
            return;
        }

        TransactionPages.Require(PageLayout.PageCountOf(page1) == pages.PageCount, $"page 1 says {PageLayout.PageCountOf(page1)} pages, there are {pages.PageCount}");
        TransactionPages.Require(PageLayout.HasMatchingChangeCounter(page1), "the counters of page 1 differ");
        var audit = new PageAudit(pages);
        _schema.Check(audit);
        _registers.Check(audit);
        _lists.Check(audit);
        _accounts.Check(audit);
        _blobs.Check(audit);
        audit.Finish();
    }

    /// <summary>The steps without a result.</summary>
    private OpResult Change(in Op op)
    {
        switch (op.Kind)
        {
            case OpKind.CreateTables:
                CreateTable((TableId)op.Key, checked((int)op.Value), op.Other);
                break;
            case OpKind.WriteRegister:
                _registers.Write(op.Key, op.Value);
                break;
            case OpKind.Append:
                _lists.Append(op.Key, op.Value);
                break;
            case OpKind.WriteBlob:
                _blobs.Write(op.Key, op.Value, op.Other);
                break;
            case OpKind.ChangeSchema:
                _schema.Change(op.Value);
                break;
            case OpKind.Savepoint:
                pages.Savepoint();
                break;
            case OpKind.RollbackTo:
                pages.RollbackTo();
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(op), op.Kind, "There is no such step.");
        }

        return new OpResult(true);
    }

    private void CreateTable(TableId id, int count, long extra)
    {
        _schema.CreateDatabase();
        Table table = id switch
        {
            TableId.Registers => _registers,
            TableId.Lists => _lists,
            TableId.Accounts => _accounts,
            TableId.Blobs => _blobs,
            _ => throw new SimDatabaseException(SQLITE_ERROR, $"no such kind of table: {id}"),
        };
        table.Create(count, extra);
    }
}
