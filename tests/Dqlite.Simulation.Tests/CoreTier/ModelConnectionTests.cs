using Dqlite.Simulation.CoreTier;
using Dqlite.Simulation.Workload;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Tests.CoreTier;

/// <summary>Transactions of the application on pages.</summary>
public sealed class ModelConnectionTests
{
    private static readonly WorkloadShape Shape = new(Registers: 40, Lists: 3, Accounts: 4, InitialBalance: 100, Blobs: 2);

    private StoreBed _bed = null!;
    private ModelConnection _connection = null!;
    private ulong _ticket;

    [SetUp]
    public void SetUp()
    {
        _bed = new StoreBed();
        _bed.Store.Lead(1);
        _connection = new ModelConnection(_bed.Store);
        Assert.That(DatabaseAudit.Run(_bed.Store), Is.Null, "an empty database");
        Write([.. Application.Setup(Shape)]);
    }

    [TearDown]
    public void TearDown()
    {
        _connection.Dispose();
        _bed.Dispose();
    }

    [Test]
    public void Registers_are_read_written_and_compared()
    {
        Write(new Op(OpKind.WriteRegister, 39, 7), new Op(OpKind.CasRegister, 3, 5, 0));
        Assert.That((Read(OpKind.ReadRegister, 39).Value, Read(OpKind.ReadRegister, 3).Value, Read(OpKind.ReadRegister, 4).Value), Is.EqualTo((7L, 5L, (long?)null)));
        Assert.That(Write(new Op(OpKind.CasRegister, 3, 6, 4))[0].Applied, Is.False);
        Assert.That(Write(new Op(OpKind.CasRegister, 3, 6, 5))[0].Applied, Is.True);
        Assert.That(Read(OpKind.ReadRegister, 3).Value, Is.EqualTo(6));
    }

    [Test]
    public void A_list_grows_over_many_pages_and_keeps_its_order()
    {
        for (var i = 1; i <= 300; i++)
        {
            Write(new Op(OpKind.Append, i % 2, i));
        }

        Assert.That(Read(OpKind.ReadList, 1).Values, Is.EqualTo(Enumerable.Range(0, 150).Select(i => (2L * i) + 1)));
        Assert.That(Read(OpKind.ReadList, 2).Values, Is.Empty);
    }

    [Test]
    public void The_audit_finds_a_value_that_is_in_a_list_twice()
    {
        WriteUnchecked(new Op(OpKind.Append, 2, 5), new Op(OpKind.Append, 2, 5));
        Assert.That(DatabaseAudit.Run(_bed.Store), Does.Contain("list 2 holds 5 twice"));
    }

    [Test]
    public void Money_moves_when_there_is_enough()
    {
        Assert.That(Write(new Op(OpKind.Transfer, 0, 60, 1))[0].Applied, Is.True);
        Assert.That(Write(new Op(OpKind.Transfer, 0, 60, 1))[0].Applied, Is.False);
        Assert.That(Write(new Op(OpKind.Transfer, 2, 60, 2))[0].Applied, Is.True);
        Assert.That(Read(OpKind.ReadAccounts, 0).Values, Is.EqualTo(new[] { 40L, 160L, 100L, 100L }));
    }

    [Test]
    public void Blobs_make_the_database_grow_and_shrink()
    {
        var before = _bed.Store.State.PageCount;
        Write(new Op(OpKind.WriteBlob, 0, 77, 100_001));
        Assert.That((Read(OpKind.ReadBlob, 0).Value, Read(OpKind.ReadBlob, 1).Value), Is.EqualTo((77L, (long?)null)));
        Assert.That(_bed.Store.State.PageCount, Is.EqualTo(before + 205));
        Write(new Op(OpKind.WriteBlob, 1, 78, 5000), new Op(OpKind.WriteBlob, 0, 79, 1));
        Write(new Op(OpKind.WriteBlob, 1, 80, 5000));
        Write(new Op(OpKind.WriteBlob, 0, 81, 0), new Op(OpKind.WriteBlob, 1, 82, 0));
        Assert.That(_bed.Store.State.PageCount, Is.EqualTo(before));
        Assert.That(Read(OpKind.ReadBlob, 0).Value, Is.EqualTo(81));
    }

    [Test]
    public void A_database_of_more_than_one_group_of_pages_is_whole()
    {
        Write(new Op(OpKind.WriteBlob, 0, 1, 3_000_000));
        Write(new Op(OpKind.WriteBlob, 1, 2, 1_000_000));
        Write(new Op(OpKind.WriteBlob, 0, 3, 10));
        Write(new Op(OpKind.WriteBlob, 1, 4, 10));
        Assert.That(_bed.Store.State.PageCount, Is.LessThan(20u));
    }

    [Test]
    public void The_schema_changes_with_a_new_cookie_and_its_index_comes_and_goes()
    {
        var before = _bed.Store.State.PageCount;
        Write(new Op(OpKind.ChangeSchema, Value: 3));
        Assert.That(_bed.Store.State.PageCount, Is.EqualTo(before + 1));
        Write(new Op(OpKind.ChangeSchema, Value: 4));
        Assert.That(_bed.Store.State.PageCount, Is.EqualTo(before));
    }

    [Test]
    public void What_follows_a_savepoint_can_be_undone_as_often_as_wanted()
    {
        Write(
            new Op(OpKind.WriteRegister, 1, 1),
            new Op(OpKind.Savepoint),
            new Op(OpKind.WriteRegister, 1, 2),
            new Op(OpKind.WriteBlob, 0, 5, 4000),
            new Op(OpKind.RollbackTo),
            new Op(OpKind.Append, 0, 9),
            new Op(OpKind.RollbackTo),
            new Op(OpKind.Append, 1, 8));
        Assert.That((Read(OpKind.ReadRegister, 1).Value, Read(OpKind.ReadBlob, 0).Value), Is.EqualTo((1L, (long?)null)));
        Assert.That((Read(OpKind.ReadList, 0).Values!.Length, Read(OpKind.ReadList, 1).Values), Is.EqualTo((0, new[] { 8L })));
    }

    [Test]
    public void A_transaction_that_changed_nothing_makes_no_draft()
    {
        var drafts = _bed.Store.State.Drafts;
        BeginWrite();
        Execute(new Op(OpKind.Savepoint));
        Execute(new Op(OpKind.WriteRegister, 1, 2));
        Execute(new Op(OpKind.RollbackTo));
        Execute(new Op(OpKind.CasRegister, 1, 2, 3));
        Assert.That((_connection.Commit(), _bed.Store.State.Drafts), Is.EqualTo((0UL, drafts)));
        Write([.. Application.Setup(Shape)]);
        Assert.That(_bed.Store.State.Drafts, Is.EqualTo(drafts), "the tables are there already");
    }

    [Test]
    public void A_rolled_back_transaction_leaves_nothing_and_frees_the_slot()
    {
        BeginWrite();
        Execute(new Op(OpKind.WriteRegister, 1, 2));
        _connection.Rollback();
        Assert.That(Read(OpKind.ReadRegister, 1).Value, Is.Null);
        Write(new Op(OpKind.WriteRegister, 1, 3));
    }

    [Test]
    public void A_reader_keeps_its_state_and_may_not_write()
    {
        using var reader = new ModelConnection(_bed.Store);
        reader.BeginRead();
        Write(new Op(OpKind.WriteRegister, 1, 2));
        Assert.That(reader.Execute(new Op(OpKind.ReadRegister, 1)).Value, Is.Null);
        Assert.That(reader.SnapshotLsn, Is.LessThan(_bed.Store.State.CommittedLsn));
        Assert.That(CodeOf(() => reader.Execute(new Op(OpKind.WriteRegister, 1, 3))), Is.EqualTo(8));
        Assert.That(() => reader.Execute(new Op(OpKind.ReadRegister, 1)), Throws.InvalidOperationException, "the transaction is over");
    }

    [Test]
    public void A_fence_revokes_the_running_transaction_and_kills_who_saw_a_schema_that_is_gone()
    {
        BeginWrite();
        Execute(new Op(OpKind.ChangeSchema, Value: 3));
        _connection.Commit();
        using var second = new ModelConnection(_bed.Store);
        _bed.Store.RequestSlot(++_ticket);
        second.BeginWrite(_ticket);
        _bed.Store.Fence(0);
        Assert.That(CodeOf(() => second.Execute(new Op(OpKind.WriteRegister, 1, 2))), Is.EqualTo(ShimResult.LeadershipLost));
        Assert.That((_connection.IsDead, second.IsDead), Is.EqualTo((true, true)));
        Assert.That(CodeOf(second.BeginRead), Is.EqualTo(ShimResult.LeadershipLost));
    }

    [Test]
    public void A_commit_without_the_right_to_write_is_refused_without_effect()
    {
        BeginWrite();
        Execute(new Op(OpKind.WriteRegister, 1, 2));
        _bed.Store.RevokeSlot(_ticket, ShimResult.SlotRevoked);
        Assert.That(CodeOf(() => _connection.Commit()), Is.EqualTo(ShimResult.SlotRevoked));
        Assert.That(CodeOf(() => _connection.BeginWrite(_ticket)), Is.EqualTo(ShimResult.Busy));
        Assert.That(_connection.IsDead, Is.False);
        Assert.That(Read(OpKind.ReadRegister, 1).Value, Is.Null);
    }

    [Test]
    public void Statements_on_a_database_without_tables_are_errors()
    {
        using var bed = new StoreBed();
        using var connection = new ModelConnection(bed.Store);
        foreach (var kind in new[] { OpKind.ReadRegister, OpKind.ReadList, OpKind.ReadAccounts, OpKind.ReadBlob })
        {
            connection.BeginRead();
            Assert.That(CodeOf(() => connection.Execute(new Op(kind))), Is.EqualTo(1));
        }
    }

    private static int CodeOf(Action action) => Assert.Throws<SimDatabaseException>(() => action())!.Code;

    private OpResult Execute(Op op) => _connection.Execute(op);

    private OpResult Read(OpKind kind, int key)
    {
        _connection.BeginRead();
        var result = Execute(new Op(kind, key));
        Assert.That(_connection.Commit(), Is.Zero);
        return result;
    }

    private void BeginWrite()
    {
        Assert.That(_bed.Store.RequestSlot(++_ticket), Is.EqualTo(ShimResult.Ok));
        _connection.BeginWrite(_ticket);
    }

    private OpResult[] Write(params Op[] ops)
    {
        var results = WriteUnchecked(ops);
        Assert.That(DatabaseAudit.Run(_bed.Store), Is.Null);
        return results;
    }

    private OpResult[] WriteUnchecked(params Op[] ops)
    {
        BeginWrite();
        OpResult[] results = [.. ops.Select(Execute)];
        var lsn = _connection.Commit();
        if (lsn != 0)
        {
            Assert.That(_bed.Store.Poll(long.MaxValue)!.LsnLast, Is.EqualTo(lsn));
            _bed.Store.Commit(lsn);
        }

        return results;
    }
}
