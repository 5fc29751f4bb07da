using Dqlite.Simulation.CoreTier;
using Dqlite.Sqlite;
using static Dqlite.Simulation.Tests.CoreTier.StoreBed;

namespace Dqlite.Simulation.Tests.CoreTier;

/// <summary>Drafts, commits, fences and snapshots of the model.</summary>
public sealed class ModelPageStoreTests
{
    private StoreBed _bed = null!;

    private ModelPageStore Store => _bed.Store;

    [SetUp]
    public void SetUp()
    {
        _bed = new StoreBed();
        Store.Lead(7);
    }

    [TearDown]
    public void TearDown() => _bed.Dispose();

    [Test]
    public void Drafts_that_share_an_entry_leave_their_last_images_and_none_above_the_end()
    {
        _bed.Draft(4, (1, Image(1, 1)), (2, Image(2, 1)), (3, Image(3, 1)), (4, Image(4, 1)));
        _bed.Draft(3, (2, Image(2, 2)));
        Assert.That(_bed.DraftEvents, Is.EqualTo(1), "the queue became non-empty once");
        using var batch = Store.Poll(long.MaxValue)!;
        Assert.That((batch.LsnFirst, batch.LsnLast, batch.Term, batch.Drafts, batch.PageCount), Is.EqualTo((2UL, 3UL, 7L, 2, 3u)));
        Assert.That(batch.PageNumbers.ToArray(), Is.EqualTo(new uint[] { 1, 2, 3 }));
        var images = new byte[3 * PageSize];
        batch.CopyImagesTo(0, batch.Pages, images);
        Assert.That(images, Is.EqualTo(Image(1, 1).Concat(Image(2, 2)).Concat(Image(3, 1))));
        Assert.That(batch.Checksum, Is.EqualTo(PageChecksum.Compute(1, Image(1, 1)) ^ PageChecksum.Compute(2, Image(2, 2)) ^ PageChecksum.Compute(3, Image(3, 1))));
        Assert.That(Store.Poll(long.MaxValue), Is.Null);
    }

    [Test]
    public void A_poll_takes_whole_drafts_and_at_least_one()
    {
        for (ulong i = 1; i <= 3; i++)
        {
            _bed.Draft(2, (1, Image(1, i)), (2, Image(2, i)));
        }

        Assert.That((Store.Poll(1)!.LsnLast, Store.Poll(4 * PageSize)!.LsnLast), Is.EqualTo((2UL, 4UL)));
        Assert.That((Store.State.QueuedDrafts, Store.State.UndecidedBytes), Is.EqualTo((0u, 6UL * PageSize)));
        Assert.That(() => Store.Commit(9), Throws.TypeOf<ShimException>().With.Property("ResultCode").EqualTo(21));
        Store.Commit(4);
        Assert.That((Store.State.CommittedLsn, Store.State.UndecidedBytes), Is.EqualTo((4UL, 0UL)));
    }

    [Test]
    public void A_draft_that_was_not_polled_cannot_be_committed()
    {
        var lsn = _bed.Draft(1, (1, Image(1, 1)));
        Assert.That(() => Store.Commit(lsn), Throws.TypeOf<ShimException>().With.Property("ResultCode").EqualTo(21));
    }

    [Test]
    public void A_reader_sees_what_is_committed_and_a_writer_what_is_drafted()
    {
        _bed.Draft(1, (1, Image(1, 5)));
        using var reader = new StoreHandle(Store);
        reader.BeginRead();
        using var writer = _bed.BeginWrite();
        Assert.That(reader.Read(1).ToArray(), Is.Not.EqualTo(Image(1, 5)));
        Assert.That(writer.Read(1).ToArray(), Is.EqualTo(Image(1, 5)));
        Assert.That((reader.View.Lsn, writer.View.Lsn), Is.EqualTo((1UL, 2UL)));
    }

    [Test]
    public void A_fence_drops_the_drafts_and_their_LSNs_are_never_used_again()
    {
        _bed.Write(2, (1, Image(1, 1)), (2, Image(2, 1)));
        var checksum = Store.State.Checksum;
        _bed.Draft(3, (2, Image(2, 2)), (3, Image(3, 2)));
        _bed.Draft(3, (2, Image(2, 3)));
        Store.Fence(0);
        Assert.That((Store.State.CommittedLsn, Store.State.DraftLsn, Store.State.LastLsn, Store.State.Term, Store.State.UndecidedBytes), Is.EqualTo((2UL, 2UL, 4UL, 0UL, 0UL)));
        Assert.That(Store.Poll(long.MaxValue), Is.Null);
        var lsn = Store.Apply([2], Image(2, 9), 2, 0);
        Assert.That(lsn, Is.EqualTo(5UL));
        Assert.That(Store.State.Checksum, Is.EqualTo(checksum ^ PageChecksum.Compute(2, Image(2, 1)) ^ PageChecksum.Compute(2, Image(2, 9))));
    }

    [Test]
    public void A_handle_that_saw_a_dropped_change_of_the_schema_is_dead_and_others_live()
    {
        using var before = _bed.BeginWrite();
        before.End();
        using var author = _bed.BeginWrite();
        author.Draft([PageVersion.Of(1, Image(1, 1, cookie: 1))], 1);
        using var after = _bed.BeginWrite();
        Store.Fence(0);
        Assert.That((before.DeadCode, author.DeadCode, after.DeadCode), Is.EqualTo((0, ShimResult.LeadershipLost, ShimResult.LeadershipLost)));
        Assert.That(CodeOf(author.BeginRead), Is.EqualTo(ShimResult.LeadershipLost));
        before.BeginRead();
    }

    [Test]
    public void A_fence_revokes_a_transaction_that_saw_a_dropped_draft_and_one_that_holds_the_slot()
    {
        using var clean = _bed.BeginWrite();
        Store.Fence(0);
        Assert.That(CodeOf(() => clean.Read(1)), Is.EqualTo(ShimResult.NotLeader));
        clean.End();
        Store.Lead(8);
        _bed.Draft(1, (1, Image(1, 1)));
        using var stained = _bed.BeginWrite();
        Store.Fence(0);
        Assert.That(CodeOf(() => stained.Read(1)), Is.EqualTo(ShimResult.LeadershipLost));
        Assert.That(CodeOf(() => stained.Draft([], 1)), Is.EqualTo(ShimResult.LeadershipLost));
        stained.End();
        stained.BeginRead();
        Assert.That(stained.View.Lsn, Is.EqualTo(1UL));
    }

    [Test]
    public void An_entry_is_applied_only_by_who_does_not_lead_and_only_with_the_right_result()
    {
        Assert.That(CodeOf(() => Store.Apply([1], Image(1, 1), 1, 0)), Is.EqualTo(21));
        Store.Fence(0);
        Assert.That(CodeOf(() => Store.Apply([1], Image(1, 1), 1, 12345)), Is.EqualTo(11));
        Assert.That(Store.State.CommittedLsn, Is.EqualTo(1UL), "nothing moved");
        Store.Apply([1], Image(1, 1), 1, PageChecksum.Compute(1, Image(1, 1)));
        Assert.That(() => Store.Apply([1, 2], new byte[PageSize], 2, 0), Throws.ArgumentException);
    }

    [Test]
    public void Leading_needs_an_end_to_drafts()
    {
        _bed.Draft(1, (1, Image(1, 1)));
        Assert.That(CodeOf(() => Store.Lead(8)), Is.EqualTo(21));
        Store.Dispose();
        _bed.Open(_bed.Options);
        Store.Lead(8);
    }

    [Test]
    public void A_transaction_over_the_bound_has_no_effect()
    {
        using var bed = new StoreBed(configure: options => options with { MaxTransactionBytes = PageSize });
        bed.Store.Lead(1);
        Assert.That(CodeOf(() => bed.Draft(2, (1, Image(1, 1)), (2, Image(2, 1)))), Is.EqualTo(ShimResult.TooLarge));
        Assert.That((bed.Store.State.DraftLsn, bed.Store.State.LastLsn), Is.EqualTo((1UL, 1UL)));
    }

    [Test]
    public void A_transaction_that_leaves_a_hole_is_refused() =>
        Assert.That(() => _bed.Draft(3, (1, Image(1, 1)), (3, Image(3, 1))), Throws.InvalidOperationException);

    [Test]
    public void A_node_that_does_not_serve_lets_nobody_read()
    {
        Store.SetServing(ShimResult.NotLeader);
        using var handle = new StoreHandle(Store);
        Assert.That(CodeOf(handle.BeginRead), Is.EqualTo(ShimResult.NotLeader));
    }

    [Test]
    public void After_dispose_connections_answer_not_leader_and_snapshots_stay_readable()
    {
        var handle = new StoreHandle(Store);
        handle.BeginRead();
        var snapshot = Store.OpenSnapshot();
        _bed.BeginWrite().End();
        _bed.BeginWrite();
        Assert.That(Store.RequestSlot(99), Is.EqualTo(ShimResult.Busy));
        Store.Dispose();
        Assert.That(_bed.SlotEvents, Is.EqualTo(new[] { (99UL, ShimResult.NotLeader) }));
        Assert.That(CodeOf(() => handle.Read(1)), Is.EqualTo(ShimResult.NotLeader));
        Assert.That(PageChecksum.Compute(1, ReadPage(snapshot, 1)), Is.EqualTo(snapshot.Checksum));
        Assert.That(() => Store.State, Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => Store.RequestSlot(1), Throws.TypeOf<ObjectDisposedException>());
        handle.Dispose();
        snapshot.Dispose();
    }

    [Test]
    public void An_exception_of_an_event_handler_comes_out_of_the_next_call_that_drives_the_database()
    {
        _bed.DuringOnDraft = () => throw new FormatException("handler");
        _bed.Draft(1, (1, Image(1, 1)));
        Assert.That(Store.EventFailure, Is.TypeOf<FormatException>());
        Assert.That(() => Store.Poll(1), Throws.InvalidOperationException.With.InnerException.TypeOf<FormatException>());
        Assert.That(() => Store.Commit(2), Throws.InvalidOperationException);
    }

    private static int CodeOf(Action action) => Assert.Throws<ShimException>(() => action())!.ResultCode;
}
