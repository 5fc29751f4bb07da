using Dqlite.Net.Data;
using Dqlite.Simulation.FullTier;
using Dqlite.Simulation.Workload;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Tests.FullTier;

/// <summary>Damage that was planted is found.</summary>
public sealed class DamageTests : FullTierFixture
{
    [TestCase("UPDATE counters SET t = 'tags'", "table counters has a row of table 'tags'")]
    [TestCase("INSERT INTO lists(k, t, seq, v) VALUES(1, 'lists', 7, 77)", "list 1 has 3 values in places 1 to 7")]
    [TestCase("DELETE FROM tags WHERE v = 1", "the value 1 of list 1 has no tag")]
    [TestCase("PRAGMA foreign_keys = OFF; INSERT INTO tags(v, t, k) VALUES(9, 'tags', 1)", "row 9 of table tags refers to nothing")]
    [TestCase("PRAGMA ignore_check_constraints = ON; UPDATE accounts SET balance = -1 WHERE id = 2", "integrity_check: CHECK constraint failed in accounts")]
    [TestCase("UPDATE registers SET v = 'x'", "register 1 holds text")]
    [TestCase("UPDATE blobs SET bytes = substr(bytes, 1, 99)", "blob 1 has 99 bytes that do not follow from its value 3")]
    [TestCase("UPDATE blobs SET value = 4", "blob 1 has 100 bytes that do not follow from its value 4")]
    [TestCase("DROP VIEW totals_a", "there are 4 tables trap_N, extra_X, indexes, views and triggers that come and go")]
    public void A_statement_that_no_transaction_runs_is_found(string statements, string found)
    {
        var node = Written();
        using (var handle = DatabaseHandle.Open(node.Database.Path))
        {
            foreach (var statement in statements.Split("; "))
            {
                handle.Vfs.Arm(statement.StartsWith("PRAGMA", StringComparison.Ordinal) ? 0 : node.Slot());
                Assert.That(SQLitePCL.raw.sqlite3_exec(handle.Db, statement), Is.Zero);
            }
        }

        node.Commit();
        Assert.That(Tier.Check(node.Database), Does.StartWith(found));
    }

    [Test]
    public void A_flipped_bit_of_the_file_is_found_and_reads_of_it_end_in_an_error()
    {
        var node = Written();
        node.Checkpoint();
        Assert.That(Tier.Check(node.Database), Is.Null);
        using (var file = node.Machine.Disk.Open(node.Database.Path, DurableFileMode.Read | DurableFileMode.Write))
        {
            var page = new byte[PageSize];
            file.Read(page, PageSize);
            page[^1] ^= 1;
            file.Write(page, PageSize);
        }

        Assert.That(Tier.Check(node.Database), Does.Contain("does not match its checksum"));
        Assert.That(node.RottenPage, Is.EqualTo(2));
        using var connection = node.Connect();
        Assert.That(() => node.Read(connection, new Op(OpKind.ReadRegister, 1)), Throws.TypeOf<SimDatabaseException>().With.Property("Code").EqualTo(ShimResult.PageRot));
    }

    [Test]
    public void A_page_that_no_checksum_protects_is_found_by_sqlite()
    {
        var node = Written();
        var follower = Follower(2);
        follower.Follow(node);
        var garbage = new byte[PageSize];
        garbage[0] = 7;
        follower.Database.Pages.Apply([2], garbage, follower.Database.Pages.State.PageCount, 0);
        Assert.That(Tier.Check(follower.Database), Does.StartWith("integrity_check: "));
        using var connection = follower.Connect();
        Assert.That(() => follower.Read(connection, new Op(OpKind.ReadRegister, 1)), Throws.TypeOf<DamageException>());
        connection.Rollback();
    }

    private FullNode Written()
    {
        var node = Leader();
        using var connection = node.Connect();
        node.Write(connection, new Op(OpKind.WriteRegister, 1, 1), new Op(OpKind.Append, 1, 1), new Op(OpKind.Append, 1, 2), new Op(OpKind.WriteBlob, 1, 3, 100));
        Assert.That(Tier.Check(node.Database), Is.Null);
        return node;
    }
}
