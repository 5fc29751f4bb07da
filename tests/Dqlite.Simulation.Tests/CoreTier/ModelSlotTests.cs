using Dqlite.Simulation.CoreTier;
using Dqlite.Sqlite;
using static Dqlite.Simulation.Tests.CoreTier.StoreBed;

namespace Dqlite.Simulation.Tests.CoreTier;

/// <summary>The right to write.</summary>
public sealed class ModelSlotTests
{
    private StoreBed _bed = null!;

    private ModelPageStore Store => _bed.Store;

    [SetUp]
    public void SetUp()
    {
        _bed = new StoreBed(configure: options => options with { MaxUndecidedBytes = PageSize });
        Store.Lead(1);
    }

    [TearDown]
    public void TearDown() => _bed.Dispose();

    [Test]
    public void The_slot_goes_on_in_the_order_of_the_requests()
    {
        Assert.That((Store.RequestSlot(1), Store.RequestSlot(2), Store.RequestSlot(3), Store.RequestSlot(4)), Is.EqualTo((ShimResult.Ok, ShimResult.Busy, ShimResult.Busy, ShimResult.Busy)));
        Assert.That((Store.CancelSlot(3), Store.CancelSlot(1), Store.CancelSlot(3)), Is.EqualTo((true, false, false)));
        Store.ReleaseSlot(9);
        Assert.That(_bed.SlotEvents, Is.Empty);
        Store.ReleaseSlot(1);
        Store.ReleaseSlot(1);
        Store.ReleaseSlot(2);
        Assert.That(_bed.SlotEvents, Is.EqualTo(new[] { (2UL, ShimResult.Ok), (4UL, ShimResult.Ok) }));
        Assert.That((Store.RevokeSlot(1, ShimResult.SlotRevoked), Store.RevokeSlot(4, ShimResult.SlotRevoked)), Is.EqualTo((false, true)));
        Assert.That(Store.RequestSlot(5), Is.EqualTo(ShimResult.Ok));
    }

    [Test]
    public void A_fence_decides_every_queued_ticket()
    {
        using var holder = _bed.BeginWrite();
        Store.RequestSlot(10);
        Store.RequestSlot(11);
        Store.Fence(0);
        Assert.That(_bed.SlotEvents, Is.EqualTo(new[] { (10UL, ShimResult.NotLeader), (11UL, ShimResult.NotLeader) }));
        Assert.That(Store.RequestSlot(12), Is.EqualTo(ShimResult.NotLeader));
    }

    [Test]
    public void A_commit_point_frees_the_slot_and_a_revoked_transaction_has_none()
    {
        using var first = _bed.BeginWrite();
        Store.RequestSlot(10);
        first.Draft([PageVersion.Of(1, Image(1, 1))], 1);
        Assert.That(_bed.SlotEvents, Is.EqualTo(new[] { (10UL, ShimResult.Ok) }));
        using var second = new StoreHandle(Store);
        second.BeginWrite(10);
        Assert.That(Store.RevokeSlot(10, ShimResult.SlotRevoked), Is.True);
        Assert.That(Assert.Throws<ShimException>(() => second.Draft([PageVersion.Of(1, Image(1, 2))], 1))!.ResultCode, Is.EqualTo(ShimResult.SlotRevoked));
        Assert.That(Assert.Throws<ShimException>(() => new StoreHandle(Store).BeginWrite(10))!.ResultCode, Is.EqualTo(ShimResult.Busy));
    }

    [Test]
    public void Nobody_gets_the_slot_while_too_much_is_undecided()
    {
        _bed.Draft(2, (1, Image(1, 1)), (2, Image(2, 1)));
        Assert.That(Store.RequestSlot(10), Is.EqualTo(ShimResult.Busy));
        Store.Commit(Store.Poll(long.MaxValue)!.LsnLast);
        Assert.That(_bed.SlotEvents, Is.EqualTo(new[] { (10UL, ShimResult.Ok) }));
    }

    [Test]
    public void While_the_log_is_full_requests_are_refused_and_waiters_wait()
    {
        using var holder = _bed.BeginWrite();
        Store.RequestSlot(10);
        Store.SetDrafting(ShimResult.Full);
        Assert.That(Store.RequestSlot(11), Is.EqualTo(ShimResult.Full));
        holder.Draft([PageVersion.Of(1, Image(1, 1))], 1);
        Assert.That(_bed.SlotEvents, Is.Empty);
        Store.SetDrafting(ShimResult.Ok);
        Assert.That(_bed.SlotEvents, Is.EqualTo(new[] { (10UL, ShimResult.Ok) }));
    }

    [Test]
    public void An_event_handler_may_give_the_slot_on()
    {
        using var holder = _bed.BeginWrite();
        Store.RequestSlot(10);
        Store.RequestSlot(11);
        _bed.DuringOnSlot = () => Store.ReleaseSlot(10);
        holder.End();
        Assert.That(_bed.SlotEvents, Is.EqualTo(new[] { (10UL, ShimResult.Ok), (11UL, ShimResult.Ok) }));
    }
}
