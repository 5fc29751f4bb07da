using static Dqlite.Sqlite.Tests.TestDatabase;

namespace Dqlite.Sqlite.Tests;

/// <summary>The managed side of the page version store; what the shim itself promises is tested beside it.</summary>
public sealed class PageDatabaseTests
{
    private const string Schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)";

    private TestDatabase _database = null!;

    private PageDatabase Pages => _database.Pages;

    [SetUp]
    public void SetUp() => _database = new TestDatabase();

    [TearDown]
    public void TearDown() => _database.Dispose();

    [Test]
    public void A_write_becomes_a_draft_and_is_seen_by_others_once_committed()
    {
        Pages.Lead(7);
        var (connection, handle) = _database.ConnectOwn();
        var (reader, readerHandle) = _database.ConnectOwn();
        _database.Write(connection, handle, 1, Schema);
        var state = handle.State;
        Assert.That((state.DraftLsn, state.DraftTerm, state.HoldsSlot, state.DeadCode), Is.EqualTo((2UL, 7UL, false, 0)));
        Assert.That(_database.DraftEvents, Is.EqualTo(1));
        Assert.That((Pages.State.CommittedLsn, Pages.State.DraftLsn, Pages.State.QueuedDrafts), Is.EqualTo((1UL, 2UL, 1u)));

        using (var batch = Pages.Poll(long.MaxValue)!)
        {
            Assert.That((batch.LsnFirst, batch.LsnLast, batch.Term, batch.Drafts, batch.PageSize), Is.EqualTo((2UL, 2UL, 7L, 1, PageSize)));
            Assert.That(batch.PageNumbers.ToArray(), Is.EqualTo(new uint[] { 1, 2 }));
            var copy = new byte[2 * PageSize];
            batch.CopyImagesTo(0, batch.Pages, copy);
            Assert.That(batch.Image(1).SequenceEqual(copy.AsSpan(PageSize)), Is.True);
            Assert.That(PageChecksum.Compute(1, batch.Image(0)) ^ PageChecksum.Compute(2, batch.Image(1)), Is.EqualTo(batch.Checksum));
        }

        Assert.That(Pages.Poll(long.MaxValue), Is.Null);
        readerHandle.Arm(0);
        Assert.That(Scalar(reader, "SELECT count(*) FROM sqlite_schema"), Is.Zero);
        Pages.Commit(2);
        Assert.That(Scalar(reader, "SELECT count(*) FROM sqlite_schema"), Is.EqualTo(1));
        Assert.That(readerHandle.State.SnapshotLsn, Is.EqualTo(2UL));
    }

    [Test]
    public void Another_node_that_applies_the_entries_has_the_same_pages()
    {
        using var follower = new TestDatabase();
        Pages.Lead(1);
        var (connection, handle) = _database.ConnectOwn();
        for (ulong i = 1; i <= 20; i++)
        {
            _database.Write(connection, handle, i, i == 1 ? Schema : $"INSERT INTO t(v) VALUES(hex(randomblob(2000)))");
            if (i % 5 == 0)
            {
                using var batch = Pages.Poll(long.MaxValue)!;
                var images = new byte[batch.Pages * PageSize];
                batch.CopyImagesTo(0, batch.Pages, images);
                Pages.Commit(batch.LsnLast);
                Assert.That(batch.Drafts, Is.EqualTo(5));
                follower.Pages.Apply(batch.PageNumbers, images, batch.PageCount, batch.Checksum);
                images[10] ^= 1;
                Assert.That(() => follower.Pages.Apply([1], images.AsSpan(0, PageSize), 1, 12345), Throws.TypeOf<ShimException>().With.Property("ResultCode").EqualTo(11));
            }
        }

        Assert.That(follower.Pages.State.Checksum, Is.EqualTo(Pages.State.Checksum));
        Assert.That(Scalar(follower.Connect(), "SELECT count(*) FROM t"), Is.EqualTo(19));
        Assert.That(() => follower.Pages.Apply([1, 2], new byte[PageSize], 2, 0), Throws.ArgumentException);
    }

    [Test]
    public void A_checkpoint_makes_the_file_a_plain_database()
    {
        FillAndCommit();
        var (pageCount, checksum) = Pages.Checkpoint(Pages.State.CommittedLsn);
        Pages.CheckpointDone(Pages.State.CommittedLsn);
        Assert.That((pageCount, checksum), Is.EqualTo((Pages.State.PageCount, Pages.State.Checksum)));
        Assert.That(Pages.State.DirtyPages, Is.Zero);
        File.Copy(_database.Path, _database.FileOf("plain.db"));
        var plain = _database.Connect(_database.FileOf("plain.db"), vfs: null);
        Assert.That(Scalar(plain, "SELECT count(*) FROM t"), Is.EqualTo(100));
    }

    [Test]
    public void A_snapshot_rebuilds_the_database_elsewhere()
    {
        FillAndCommit();
        using var snapshot = Pages.OpenSnapshot();
        using var builder = DatabaseFileBuilder.Open(_database.FileOf("copy.db"), _database.FileOf("copy.sums"), PageSize);
        var page = new byte[PageSize];
        for (uint number = 1; number <= snapshot.PageCount; number++)
        {
            snapshot.ReadPage(number, page);
            builder.WritePage(number, page);
        }

        Assert.That(builder.Finish(snapshot.PageCount), Is.EqualTo(snapshot.Checksum));
        Assert.That(() => snapshot.ReadPage(snapshot.PageCount + 1, page), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(Scalar(_database.Connect(_database.FileOf("copy.db"), vfs: null), "SELECT count(*) FROM t"), Is.EqualTo(100));
    }

    [Test]
    public void A_file_with_a_missing_page_is_not_finished()
    {
        using var builder = DatabaseFileBuilder.Open(_database.FileOf("b.db"), _database.FileOf("b.sums"), PageSize);
        builder.WritePage(1, new byte[PageSize]);
        Assert.That(() => builder.Finish(2), Throws.TypeOf<ShimException>().With.Property("ResultCode").EqualTo(11));
    }

    [Test]
    public void The_slot_goes_to_the_waiting_ticket_by_event()
    {
        Assert.That(Pages.RequestSlot(1), Is.EqualTo(ShimResult.NotLeader));
        Pages.Lead(1);
        Assert.That((Pages.RequestSlot(1), Pages.RequestSlot(2), Pages.RequestSlot(3)), Is.EqualTo((ShimResult.Ok, ShimResult.Busy, ShimResult.Busy)));
        Assert.That(Pages.CancelSlot(3), Is.True);
        Pages.ReleaseSlot(1);
        Assert.That(_database.SlotEvents, Is.EqualTo(new[] { (2UL, ShimResult.Ok) }));
        Assert.That((Pages.RevokeSlot(1, ShimResult.SlotRevoked), Pages.RevokeSlot(2, ShimResult.SlotRevoked)), Is.EqualTo((false, true)));
    }

    [Test]
    public void A_fence_drops_the_drafts_and_kills_a_connection_that_saw_a_changed_schema()
    {
        Pages.Lead(1);
        var (connection, handle) = _database.ConnectOwn();
        _database.Write(connection, handle, 1, Schema);
        Pages.Fence(0);
        Assert.That((Pages.State.DraftLsn, Pages.State.Fences), Is.EqualTo((1UL, 1UL)));
        Assert.That(handle.State.DeadCode, Is.EqualTo(ShimResult.LeadershipLost));
        Assert.That(Assert.Throws<ShimException>(() => handle.Arm(0))!.ResultCode, Is.EqualTo(ShimResult.LeadershipLost));
    }

    [Test]
    public void An_exception_of_an_event_handler_does_not_cross_SQLite_and_comes_out_of_the_next_call()
    {
        Pages.Lead(1);
        var (connection, handle) = _database.ConnectOwn();
        _database.DuringOnDraft = () => throw new FormatException("handler");
        _database.Write(connection, handle, 1, Schema);
        Assert.That(Pages.EventFailure, Is.TypeOf<FormatException>());
        Assert.That(() => Pages.Poll(1), Throws.InvalidOperationException.With.InnerException.TypeOf<FormatException>());
        Assert.That(() => Pages.Commit(2), Throws.InvalidOperationException);
    }

    [Test]
    public void Rot_in_the_file_is_an_error_and_an_event()
    {
        FillAndCommit();
        Pages.Checkpoint(Pages.State.CommittedLsn);
        Pages.CheckpointDone(Pages.State.CommittedLsn);
        using (var file = DurableFile.Open(_database.Path, DurableFileMode.Write))
        {
            file.Write([0xff, 0xff, 0xff, 0xff], PageSize + 500);
        }

        var (reader, handle) = _database.ConnectOwn();
        handle.Arm(0);
        // SQLite's virtual machine turns IOERR_CORRUPTFS into CORRUPT (11); the handle tells what it was.
        Assert.That(Scalar(reader, "SELECT sum(length(v)) FROM t"), Is.EqualTo(-11));
        Assert.That(handle.State.LastError, Is.EqualTo(ShimResult.PageRot));
        Assert.That(_database.RotEvents, Does.Contain(2u));
    }

    [Test]
    public void After_dispose_connections_answer_not_leader_and_a_batch_stays_readable()
    {
        Pages.Lead(1);
        var (connection, handle) = _database.ConnectOwn();
        _database.Write(connection, handle, 1, Schema);
        using var batch = Pages.Poll(long.MaxValue)!;
        Pages.Dispose();
        Assert.That(Scalar(connection, "SELECT count(*) FROM sqlite_schema"), Is.EqualTo(-ShimResult.NotLeader));
        Assert.That(PageChecksum.Compute(1, batch.Image(0)) ^ PageChecksum.Compute(2, batch.Image(1)), Is.EqualTo(batch.Checksum));
        Assert.That(() => Pages.State, Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => Pages.RequestSlot(1), Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void A_disposed_batch_and_a_closed_connection_refuse_access()
    {
        Pages.Lead(1);
        var (connection, handle) = _database.ConnectOwn();
        _database.Write(connection, handle, 1, Schema);
        var batch = Pages.Poll(long.MaxValue)!;
        batch.Dispose();
        Assert.That(() => batch.Pages, Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => batch.PageNumbers.Length, Throws.TypeOf<ObjectDisposedException>());
        SQLitePCL.raw.sqlite3_close_v2(connection);
        Assert.That(() => handle.State, Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void Opening_what_is_wrong_names_the_file_and_the_reason()
    {
        var options = new PageDatabaseOptions { Path = _database.Path, SumsPath = _database.SumsPath, PageSize = PageSize, PageCount = 1, Checksum = Pages.State.Checksum };
        Assert.That(Assert.Throws<ShimException>(() => PageDatabase.Open(options, _database))!.ResultCode, Is.EqualTo(21));
        var exception = Assert.Throws<ShimException>(() => PageDatabase.Open(options with { Path = _database.FileOf("none.db") }, _database))!;
        Assert.That(exception.ResultCode & 0xff, Is.EqualTo(14));
        Assert.That(exception.Message, Does.Contain(_database.FileOf("none.db")).And.Contain("open database"));
        Assert.That(() => PageDatabase.Open(options with { PageSize = 1000 }, _database), Throws.ArgumentException);
    }

    [Test]
    public void The_hot_calls_allocate_nothing()
    {
        Pages.Lead(1);
        var (_, handle) = _database.ConnectOwn();
        CallOnce(handle);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            CallOnce(handle);
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    private void CallOnce(VfsHandle handle)
    {
        _ = Pages.RequestSlot(9);
        handle.Arm(9);
        _ = handle.State.HoldsSlot;
        Pages.ReleaseSlot(9);
        handle.Arm(0);
        _ = Pages.Poll(1);
        _ = Pages.State.DraftLsn;
    }

    private void FillAndCommit()
    {
        Pages.Lead(1);
        var (connection, handle) = _database.ConnectOwn();
        _database.Write(connection, handle, 1, Schema);
        _database.Write(connection, handle, 2,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO t(v) SELECT hex(randomblob(300)) FROM n");
        using var batch = Pages.Poll(long.MaxValue)!;
        Pages.Commit(batch.LsnLast);
    }
}
