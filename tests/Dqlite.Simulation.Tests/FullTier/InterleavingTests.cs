using Dqlite.Simulation.FullTier;
using Dqlite.Simulation.Workload;

namespace Dqlite.Simulation.Tests.FullTier;

/// <summary>Other things happen in the middle of the shim's calls.</summary>
public sealed class InterleavingTests : FullTierFixture
{
    [Test]
    public void Readers_are_right_while_a_checkpoint_writes_pages()
    {
        var node = Leader();
        using var writer = node.Connect();
        using var old = node.Connect();
        using var reader = node.Connect();
        Grow(node, writer, 1);
        node.Checkpoint();
        old.BeginRead();
        var before = old.Execute(new Op(OpKind.ReadList, 1)).Values;
        Grow(node, writer, 1000);
        var after = node.Read(reader, new Op(OpKind.ReadList, 1)).Values;
        var calls = new List<string>();
        Tier.Interleave = call =>
        {
            calls.Add(call);
            Assert.That(old.Execute(new Op(OpKind.ReadList, 1)).Values, Is.EqualTo(before));
            Assert.That(node.Read(reader, new Op(OpKind.ReadList, 1)).Values, Is.EqualTo(after));
        };
        node.Checkpoint();
        Tier.Interleave = null;
        Assert.That(calls, Is.SupersetOf(new[] { "pread", "pwrite", "fsync", "fdatasync" }));
        Assert.That(old.Execute(new Op(OpKind.ReadList, 1)).Values, Is.EqualTo(before));
        old.Commit();
        Assert.That(Tier.Check(node.Database), Is.Null);
    }

    [Test]
    public void Transactions_commit_inside_a_read_of_a_page_and_inside_a_checkpoint()
    {
        var node = Leader();
        var follower = Follower(2);
        using var writer = node.Connect();
        using var reader = follower.Connect();
        Grow(node, writer, 1);
        follower.Follow(node);
        follower.Checkpoint();
        var value = 1000;
        Tier.Interleave = _ =>
        {
            value++;
            node.Write(writer, new Op(OpKind.Append, 1, value), new Op(OpKind.WriteBlob, 1, value, 3000));
            follower.Follow(node);
        };
        reader.BeginRead();
        var list = reader.Execute(new Op(OpKind.ReadList, 1)).Values!;
        var insideRead = value - 1000;
        Assert.That(reader.Execute(new Op(OpKind.ReadList, 1)).Values, Is.EqualTo(list));
        reader.Commit();
        follower.Checkpoint();
        Tier.Interleave = null;
        Assert.That(insideRead, Is.Positive);
        Assert.That(value - 1000, Is.GreaterThan(insideRead));
        Assert.That(Tier.Image(follower.Database), Is.EqualTo(Tier.Image(node.Database)));
        Assert.That(Tier.Check(follower.Database), Is.Null);
    }

    [Test]
    public void A_node_may_end_inside_a_read_of_a_page()
    {
        var node = Leader();
        var follower = Follower(2);
        follower.Follow(node);
        follower.Checkpoint();
        using var reader = follower.Connect();
        Tier.Interleave = _ => follower.Database.Dispose();
        Assert.That(() => follower.Read(reader, new Op(OpKind.ReadAccounts)), Throws.TypeOf<SimDatabaseException>());
        Assert.That(reader.IsDead, Is.True);
    }

    [Test]
    public void A_native_mutant_can_be_switched_on_and_off()
    {
        NativeMutant.Set(int.MaxValue);
        NativeMutant.Set(0);
        Assert.That(Tier.Check(Leader().Database), Is.Null);
    }

    private static void Grow(FullNode node, ISimConnection writer, int first)
    {
        for (var i = first; i < first + 100; i++)
        {
            node.Write(writer, new Op(OpKind.Append, 1, i), new Op(OpKind.WriteRegister, 1, i));
        }
    }
}
