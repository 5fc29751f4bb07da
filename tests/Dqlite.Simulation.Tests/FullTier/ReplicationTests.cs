using Dqlite.Simulation.FullTier;
using Dqlite.Simulation.Workload;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Tests.FullTier;

/// <summary>Pages from one node to another, and fences.</summary>
[TestFixture(512)]
[TestFixture(1024)]
[TestFixture(4096)]
public sealed class ReplicationTests(int pageSize) : FullTierFixture
{
    protected override int PageSize => pageSize;

    [Test]
    public void Applied_entries_give_the_same_image_on_another_node()
    {
        var leader = Leader();
        var follower = Follower(2);
        using var first = leader.Connect();
        using var second = leader.Connect();
        for (var i = 1; i <= 60; i++)
        {
            leader.Draft(i % 2 == 0 ? first : second, Mixed(i));
            if (i % 3 == 0)
            {
                leader.Commit();
                follower.Follow(leader);
                Assert.That(Tier.Image(follower.Database), Is.EqualTo(Tier.Image(leader.Database)));
            }

            if (i % 20 == 0)
            {
                follower.Checkpoint();
            }
        }

        Assert.That(Tier.Check(leader.Database), Is.Null);
        Assert.That(Tier.Check(follower.Database), Is.Null);
    }

    [Test]
    public void The_same_steps_give_the_same_bytes()
    {
        var images = new List<byte[]>();
        for (var run = 0; run < 2; run++)
        {
            var leader = Leader();
            using (var connection = leader.Connect())
            {
                for (var i = 1; i <= 40; i++)
                {
                    leader.Write(connection, Mixed(i));
                }
            }

            images.Add(Tier.Image(leader.Database));
            End();
            SetUp();
        }

        Assert.That(images[1], Is.EqualTo(images[0]));
    }

    [Test]
    public void A_fence_drops_drafts_and_revokes_who_saw_them()
    {
        var node = Leader();
        using var first = node.Connect();
        using var second = node.Connect();
        var before = Tier.Image(node.Database);
        node.Draft(first, new Op(OpKind.WriteRegister, 1, 1));
        second.BeginWrite(node.Slot());
        Assert.That(second.Execute(new Op(OpKind.ReadRegister, 1)).Value, Is.EqualTo(1));
        node.Fence();
        Assert.That(() => second.Execute(new Op(OpKind.WriteRegister, 1, 2)), Throws.TypeOf<SimDatabaseException>().With.Property("Code").EqualTo(ShimResult.LeadershipLost));
        Assert.That(first.IsDead || second.IsDead, Is.False, "no schema was dropped");
        Assert.That(Tier.Image(node.Database), Is.EqualTo(before));
        node.Lead();
        node.Write(first, new Op(OpKind.CasRegister, 1, 3));
        Assert.That(node.Read(second, new Op(OpKind.ReadRegister, 1)).Value, Is.EqualTo(3));
        Assert.That(Tier.Check(node.Database), Is.Null);
    }

    [Test]
    public void Who_saw_a_schema_change_that_was_dropped_is_dead()
    {
        var node = Leader();
        using var maker = node.Connect();
        using var follower = node.Connect();
        using var reader = node.Connect();
        node.Read(reader, new Op(OpKind.ReadAccounts));
        node.Draft(maker, new Op(OpKind.ChangeSchema, 0, 1));
        node.Draft(follower, new Op(OpKind.WriteRegister, 1, 1));
        node.Fence();
        Assert.That(maker.IsDead, Is.True);
        Assert.That(follower.IsDead, Is.True);
        Assert.That(reader.IsDead, Is.False);
        Assert.That(maker.BeginRead, Throws.TypeOf<SimDatabaseException>().With.Property("Code").EqualTo(ShimResult.LeadershipLost));
        node.Lead();
        node.Write(reader, new Op(OpKind.ChangeSchema, 0, 2));
        Assert.That(Tier.Check(node.Database), Is.Null);
    }

    [Test]
    public void Every_schema_change_moves_the_cookie_by_two()
    {
        var node = Leader();
        using var connection = node.Connect();
        for (var value = 1; value <= 64; value++)
        {
            var before = Cookie(node);
            node.Write(connection, new Op(OpKind.ChangeSchema, 0, value));
            Assert.That(Cookie(node) - before, Is.EqualTo(2), $"value {value}");
        }

        Assert.That(Tier.Check(node.Database), Is.Null);
    }

    /// <summary>A transaction with steps of all kinds; its values occur nowhere else.</summary>
    private static Op[] Mixed(int i) => (i % 5) switch
    {
        0 => [new Op(OpKind.ChangeSchema, 0, i), new Op(OpKind.WriteRegister, i % 4, i)],
        1 => [new Op(OpKind.WriteBlob, i % 2, i, 200 * i * i), new Op(OpKind.Append, 1, i)],
        2 => [new Op(OpKind.Transfer, 0, 1, 1), new Op(OpKind.WriteRegister, 1, i)],
        3 => [new Op(OpKind.CasRegister, 2, i), new Op(OpKind.Append, i % 3, i), new Op(OpKind.Append, 2, 1000 + i)],
        _ => [new Op(OpKind.Savepoint), new Op(OpKind.WriteBlob, 1, i, 50_000), new Op(OpKind.RollbackTo), new Op(OpKind.WriteRegister, 3, i)],
    };

    private int Cookie(FullNode node) => System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(Tier.Image(node.Database).AsSpan(4 + 40));
}
