using Dqlite.Simulation.Workload;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Tests.FullTier;

/// <summary>Unmodified connections, which wait inside SQLite while the test lets the world go on.</summary>
public sealed class SqlConnectionPlainTests : FullTierFixture
{
    [Test]
    public void A_commit_returns_when_it_is_committed()
    {
        var node = Leader();
        node.Database.Pages.SetLease(long.MaxValue);
        using var plain = Tier.ConnectPlain(node.Database);
        var waits = 0;
        WhileWaiting(() =>
        {
            waits++;
            Assert.That(node.Database.Pages.State.QueuedDrafts, Is.EqualTo(1));
            node.Commit();
        });
        Assert.That(plain.Run([new Op(OpKind.WriteRegister, 1, 5)], write: true)[0].Applied, Is.True, "autocommit");
        Assert.That(waits, Is.EqualTo(1));
        var results = plain.Run([new Op(OpKind.ReadRegister, 1), new Op(OpKind.Append, 1, 6), new Op(OpKind.Transfer, 0, 500, 1)], write: true);
        Assert.That(results.Select(result => (result.Applied, result.Value)), Is.EqualTo(new (bool, long?)[] { (true, 5), (true, null), (false, null) }));
        results = plain.Run([new Op(OpKind.ReadRegister, 1), new Op(OpKind.CasRegister, 1, 7, 5)], write: true);
        Assert.That(results[1].Applied, Is.True);
        Assert.That(waits, Is.EqualTo(3));
        Assert.That(plain.Run([new Op(OpKind.ReadRegister, 1), new Op(OpKind.ReadList, 1)], write: false)[0].Value, Is.EqualTo(7));
        Assert.That(waits, Is.EqualTo(3), "reads do not wait");
        Assert.That(Tier.Check(node.Database), Is.Null);
    }

    [Test]
    public void Its_statements_see_no_draft_of_others()
    {
        var node = Leader();
        node.Database.Pages.SetLease(long.MaxValue);
        using var own = node.Connect();
        using var plain = Tier.ConnectPlain(node.Database);
        node.Draft(own, new Op(OpKind.WriteRegister, 1, 1));
        Assert.That(plain.Run([new Op(OpKind.ReadRegister, 1)], write: false)[0].Value, Is.Null);
        WhileWaiting(node.Commit);
        Assert.That(plain.Run([new Op(OpKind.ReadRegister, 1), new Op(OpKind.WriteRegister, 1, 2)], write: true)[0].Value, Is.EqualTo(1), "it waited for the draft");
    }

    [Test]
    public void A_commit_that_is_not_decided_in_time_is_unknown_and_one_that_a_fence_dropped_is_not()
    {
        var node = Leader();
        node.Database.Pages.SetLease(long.MaxValue);
        using var plain = Tier.ConnectPlain(node.Database);
        var unknown = Assert.Throws<SimDatabaseException>(() => plain.Run([new Op(OpKind.WriteRegister, 1, 5)], write: true));
        Assert.That((unknown!.Code, unknown.IsUnknown), Is.EqualTo((ShimResult.OutcomeUnknown, true)));
        node.Commit();
        Assert.That(plain.Run([new Op(OpKind.ReadRegister, 1)], write: false)[0].Value, Is.EqualTo(5), "and it took effect");

        WhileWaiting(() => node.Fence());
        var refused = Assert.Throws<SimDatabaseException>(() => plain.Run([new Op(OpKind.ChangeSchema, 0, 1), new Op(OpKind.WriteRegister, 1, 6)], write: true));
        Assert.That((refused!.Code, refused.IsUnknown), Is.EqualTo((ShimResult.NotLeader, false)));
        Assert.That(plain.Run([new Op(OpKind.ReadRegister, 1)], write: false)[0].Value, Is.EqualTo(5), "it is not dead");
        node.Lead();
        node.Database.Pages.SetLease(long.MaxValue);
        WhileWaiting(node.Commit);
        plain.Run([new Op(OpKind.ChangeSchema, 0, 2), new Op(OpKind.WriteRegister, 1, 7)], write: true);
        Assert.That(Tier.Check(node.Database), Is.Null);
    }

    [Test]
    public void It_waits_for_the_slot_that_another_connection_has()
    {
        var node = Leader();
        node.Database.Pages.SetLease(long.MaxValue);
        using var own = node.Connect();
        using var plain = Tier.ConnectPlain(node.Database);
        own.BeginWrite(node.Slot());
        own.Execute(new Op(OpKind.WriteRegister, 1, 1));
        var ended = false;
        WhileWaiting(() =>
        {
            if (!ended)
            {
                ended = true;
                own.Commit();
            }

            node.Commit();
        });
        Assert.That(plain.Run([new Op(OpKind.CasRegister, 1, 2, 1)], write: true)[0].Applied, Is.True);
    }

    [Test]
    public void A_read_without_a_lease_waits_for_the_barrier_of_the_engine()
    {
        var node = Leader();
        node.Database.Pages.SetLease(long.MaxValue);
        using var plain = Tier.ConnectPlain(node.Database);
        using var own = node.Connect();
        node.Database.Pages.SetLease(0);
        WhileWaiting(() =>
        {
            node.Write(own, new Op(OpKind.WriteRegister, 1, 1));
            node.Barriers[^1].SetResult();
        });
        Assert.That(plain.Run([new Op(OpKind.ReadRegister, 1)], write: false)[0].Value, Is.EqualTo(1));
        WhileWaiting(() => node.Barriers[^1].SetException(new InvalidOperationException("no quorum")));
        Assert.That(() => plain.Run([new Op(OpKind.ReadRegister, 1)], write: false), Throws.TypeOf<SimDatabaseException>().With.Property("Code").EqualTo(ShimResult.NotLeader));
    }

    [Test]
    public void A_node_that_ends_while_it_waits_leaves_the_outcome_unknown_once_it_was_proposed()
    {
        var node = Leader();
        node.Database.Pages.SetLease(long.MaxValue);
        using var plain = Tier.ConnectPlain(node.Database);
        WhileWaiting(() =>
        {
            node.Propose();
            node.Database.Dispose();
        });
        var unknown = Assert.Throws<SimDatabaseException>(() => plain.Run([new Op(OpKind.WriteRegister, 1, 5)], write: true));
        Assert.That(unknown!.IsUnknown, Is.True);
        Assert.That(() => plain.Run([new Op(OpKind.ReadRegister, 1)], write: false), Throws.TypeOf<SimDatabaseException>());
    }

    [Test]
    public void What_fails_inside_a_wait_comes_out_of_the_call()
    {
        var node = Leader();
        node.Database.Pages.SetLease(long.MaxValue);
        using var plain = Tier.ConnectPlain(node.Database);
        WhileWaiting(() => throw new NotSupportedException("in between"));
        Assert.That(
            () => plain.Run([new Op(OpKind.WriteRegister, 1, 5)], write: true),
            Throws.InvalidOperationException.With.InnerException.TypeOf<NotSupportedException>());
    }

    /// <summary>What happens while native code waits; 100 us pass each time.</summary>
    private void WhileWaiting(Action action) => ShimDisk.Wait = deadlineNs =>
    {
        action();
        Now += 100_000;
        return Now < deadlineNs;
    };
}
