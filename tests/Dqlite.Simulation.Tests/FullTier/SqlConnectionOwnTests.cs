using Dqlite.Simulation.FullTier;
using Dqlite.Simulation.Workload;
using Dqlite.Sqlite;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.Tests.FullTier;

/// <summary>Connections of the library's own.</summary>
public sealed class SqlConnectionOwnTests : FullTierFixture
{
    [Test]
    public void Every_step_does_what_it_says()
    {
        var node = Leader();
        using var connection = node.Connect();
        connection.BeginWrite(node.Slot());
        Assert.Multiple(() =>
        {
            Assert.That(connection.Execute(new Op(OpKind.ReadRegister, 1)).Value, Is.Null);
            Assert.That(connection.Execute(new Op(OpKind.WriteRegister, 1, 10)).Applied, Is.True);
            Assert.That(connection.Execute(new Op(OpKind.CasRegister, 1, 12, 11)).Applied, Is.False);
            Assert.That(connection.Execute(new Op(OpKind.CasRegister, 1, 12, 10)).Applied, Is.True);
            Assert.That(connection.Execute(new Op(OpKind.CasRegister, 1, 13)).Applied, Is.False, "it exists");
            Assert.That(connection.Execute(new Op(OpKind.CasRegister, 2, 14)).Applied, Is.True, "it does not");
            Assert.That(connection.Execute(new Op(OpKind.ReadRegister, 1)).Value, Is.EqualTo(12));
            Assert.That(connection.Execute(new Op(OpKind.ReadList, 2)).Values, Is.Empty);
            Assert.That(connection.Execute(new Op(OpKind.Append, 2, 100)).Applied, Is.True);
            Assert.That(connection.Execute(new Op(OpKind.Append, 2, 99)).Applied, Is.True);
            Assert.That(connection.Execute(new Op(OpKind.ReadList, 2)).Values, Is.EqualTo(new long[] { 100, 99 }));
            Assert.That(connection.Execute(new Op(OpKind.Transfer, 0, 60, 1)).Applied, Is.True);
            Assert.That(connection.Execute(new Op(OpKind.Transfer, 0, 60, 1)).Applied, Is.False, "40 are left");
            Assert.That(connection.Execute(new Op(OpKind.Transfer, 0, 1, 77)).Applied, Is.False, "no such account");
            Assert.That(connection.Execute(new Op(OpKind.ReadAccounts)).Values, Is.EqualTo(new long[] { 40, 160, 100, 100 }));
            Assert.That(connection.Execute(new Op(OpKind.ReadBlob, 1)).Value, Is.Null);
            Assert.That(connection.Execute(new Op(OpKind.WriteBlob, 1, 7, 300_001)).Applied, Is.True);
            Assert.That(connection.Execute(new Op(OpKind.ReadBlob, 1)).Value, Is.EqualTo(7));
        });
        Assert.That(connection.Commit(), Is.Not.Zero);
        node.Commit();
        Assert.That(Tier.Check(node.Database), Is.Null);
    }

    [Test]
    public void What_follows_a_savepoint_is_undone_by_rolling_back_to_it()
    {
        var node = Leader();
        using var connection = node.Connect();
        node.Write(
            connection,
            new Op(OpKind.WriteRegister, 1, 1),
            new Op(OpKind.Savepoint),
            new Op(OpKind.WriteRegister, 1, 2),
            new Op(OpKind.WriteBlob, 1, 3, 200_000),
            new Op(OpKind.ChangeSchema, 0, 9),
            new Op(OpKind.RollbackTo),
            new Op(OpKind.WriteRegister, 2, 5));
        Assert.That(node.Read(connection, new Op(OpKind.ReadRegister, 1)).Value, Is.EqualTo(1));
        Assert.That(node.Read(connection, new Op(OpKind.ReadRegister, 2)).Value, Is.EqualTo(5));
        Assert.That(node.Read(connection, new Op(OpKind.ReadBlob, 1)).Value, Is.Null);
        Assert.That(Tier.Check(node.Database), Is.Null);
    }

    [Test]
    public void A_transaction_that_is_rolled_back_leaves_nothing_and_gives_the_slot_back()
    {
        var node = Leader();
        using var connection = node.Connect();
        var before = Tier.Image(node.Database);
        connection.BeginWrite(node.Slot());
        connection.Execute(new Op(OpKind.WriteRegister, 1, 1));
        connection.Rollback();
        node.Database.ReleaseWriter(node.Slot());
        connection.BeginWrite(node.Slot());
        connection.Execute(new Op(OpKind.ReadRegister, 1));
        Assert.That(connection.Commit(), Is.Zero, "nothing was written");
        node.Database.ReleaseWriter(node.Slot());
        Assert.That(node.Propose(), Is.Null);
        Assert.That(Tier.Image(node.Database), Is.EqualTo(before));
    }

    [Test]
    public void A_constraint_ends_the_transaction_with_its_code()
    {
        var node = Leader();
        using var connection = node.Connect();
        node.Write(connection, new Op(OpKind.Append, 1, 5));
        connection.BeginWrite(node.Slot());
        Assert.That(() => connection.Execute(new Op(OpKind.Append, 2, 5)), Throws.TypeOf<SimDatabaseException>().With.Property("Code").EqualTo(SQLITE_CONSTRAINT_UNIQUE));
        node.Database.ReleaseWriter(node.Slot());
    }

    [Test]
    public void Readers_see_what_is_committed_and_writers_what_is_drafted()
    {
        var node = Leader();
        using var writer = node.Connect();
        using var reader = node.Connect();
        node.Draft(writer, new Op(OpKind.WriteRegister, 1, 1));
        Assert.That(node.Read(reader, new Op(OpKind.ReadRegister, 1)).Value, Is.Null);
        reader.BeginWrite(node.Slot());
        Assert.That(reader.Execute(new Op(OpKind.ReadRegister, 1)).Value, Is.EqualTo(1));
        Assert.That(reader.SnapshotLsn, Is.EqualTo(node.Database.Pages.State.DraftLsn));
        Assert.That(reader.Commit(), Is.Zero);
        node.Commit();
        Assert.That(node.Read(reader, new Op(OpKind.ReadRegister, 1)).Value, Is.EqualTo(1));
    }

    [Test]
    public void A_reader_keeps_its_snapshot_while_others_commit_and_pages_go_to_the_file()
    {
        var node = Leader();
        using var writer = node.Connect();
        using var reader = node.Connect();
        for (var i = 0; i < 200; i++)
        {
            node.Write(writer, new Op(OpKind.Append, i % 2, i + 1), new Op(OpKind.WriteRegister, 1, i + 1));
        }

        for (var round = 0; round < 8; round++)
        {
            reader.BeginRead();
            var list = reader.Execute(new Op(OpKind.ReadList, 1)).Values;
            for (var i = 0; i < 5; i++)
            {
                var value = (round * 5) + i + 1000;
                node.Write(writer, new Op(OpKind.Append, 1, value), new Op(OpKind.WriteRegister, 1, value), new Op(OpKind.ChangeSchema, 0, value));
                node.Checkpoint();
                Assert.That(reader.Execute(new Op(OpKind.ReadList, 1)).Values, Is.EqualTo(list));
            }

            Assert.That(reader.Commit(), Is.Zero);
        }

        Assert.That(Tier.Check(node.Database), Is.Null);
    }

    [Test]
    public void A_deferred_transaction_may_write_only_at_the_draft_head()
    {
        var node = Leader();
        using var first = node.Connect();
        using var second = node.Connect();
        node.Draft(first, new Op(OpKind.WriteRegister, 1, 1));
        second.BeginWrite(node.Slot(multipleOf: 8));
        Assert.That(second.Execute(new Op(OpKind.ReadRegister, 1)).Value, Is.Null, "it reads what is committed");
        Assert.That(() => second.Execute(new Op(OpKind.WriteRegister, 1, 2)), Throws.TypeOf<SimDatabaseException>().With.Property("Code").EqualTo(ShimResult.UpgradeConflict));
        second.BeginWrite(node.Slot(multipleOf: 8));
        second.Execute(new Op(OpKind.WriteRegister, 1, 2));
        Assert.That(second.Execute(new Op(OpKind.ReadRegister, 1)).Value, Is.EqualTo(2));
        Assert.That(second.Commit(), Is.Not.Zero);
    }

    [Test]
    public void An_autocommit_statement_drafts_by_itself()
    {
        var node = Leader();
        using var connection = (SqlConnectionOwn)node.Connect();
        Assert.That(connection.RunAlone(new Op(OpKind.Append, 1, 5), node.Slot(), out var draft).Applied, Is.True);
        Assert.That(draft, Is.Not.Zero);
        Assert.That(connection.RunAlone(new Op(OpKind.CasRegister, 1, 5, 4), node.Slot(), out draft).Applied, Is.False);
        Assert.That(draft, Is.Zero);
        Assert.That(connection.SnapshotLsn, Is.EqualTo(node.Database.Pages.State.DraftLsn), "its answer stems from the draft before");
        Assert.That(() => connection.RunAlone(new Op(OpKind.Append, 2, 5), node.Slot(), out _), Throws.TypeOf<SimDatabaseException>());
        node.Commit();
        Assert.That(connection.RunAlone(new Op(OpKind.ReadList, 1), 0, out _).Values, Is.EqualTo(new long[] { 5 }));
    }

    [Test]
    public void A_revoked_slot_ends_the_transaction()
    {
        var node = Leader();
        using var connection = node.Connect();
        var ticket = node.Slot();
        connection.BeginWrite(ticket);
        connection.Execute(new Op(OpKind.WriteRegister, 1, 1));
        node.Database.Pages.RevokeSlot(ticket, ShimResult.SlotRevoked);
        Assert.That(() => connection.Commit(), Throws.TypeOf<SimDatabaseException>().With.Property("Code").EqualTo(ShimResult.SlotRevoked));
        Assert.That(connection.IsDead, Is.False);
        node.Write(connection, new Op(OpKind.WriteRegister, 1, 2));
    }

    [Test]
    public void A_connection_cannot_be_used_inside_its_own_call()
    {
        var node = Leader();
        using var connection = node.Connect();
        node.Checkpoint();
        var inside = 0;
        Tier.Interleave = _ =>
        {
            inside++;
            Assert.That(connection.BeginRead, Throws.InvalidOperationException);
        };
        node.Read(connection, new Op(OpKind.ReadAccounts));
        Assert.That(inside, Is.Positive);
    }

    [Test]
    public void A_connection_that_outlives_its_node_answers_that_for_good()
    {
        var node = Leader();
        using var connection = node.Connect();
        connection.BeginRead();
        node.Database.Dispose();
        Assert.That(() => connection.Execute(new Op(OpKind.ReadAccounts)), Throws.TypeOf<SimDatabaseException>().With.Property("Code").EqualTo(ShimResult.NotLeader));
        Assert.That(connection.IsDead, Is.True);
        Assert.That(() => Tier.Connect(node.Database), Throws.TypeOf<SimDatabaseException>());
    }
}
