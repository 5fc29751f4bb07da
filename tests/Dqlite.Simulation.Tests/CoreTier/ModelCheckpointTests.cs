using Dqlite.Net.Engine;
using Dqlite.Net.Storage;
using Dqlite.Raft;
using Dqlite.Simulation.CoreTier;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;
using static Dqlite.Simulation.Tests.CoreTier.StoreBed;

namespace Dqlite.Simulation.Tests.CoreTier;

/// <summary>What a checkpoint leaves in the files, in memory and for readers, and what a crash in it leaves to the copies.</summary>
public sealed class ModelCheckpointTests
{
    [Test]
    public void The_files_hold_the_checkpointed_state_and_memory_is_free()
    {
        using var bed = new StoreBed();
        Fill(bed, 20);
        Assert.That((bed.Store.State.DirtyPages, bed.Store.State.VersionBytes), Is.EqualTo((20UL, 20UL * PageSize)));
        var before = bed.Store.State;
        bed.Checkpoint();
        var state = bed.Store.State;
        Assert.That((state.DirtyPages, state.VersionBytes, state.CheckpointLsn), Is.EqualTo((0UL, 0UL, before.CommittedLsn)));
        bed.Store.Dispose();
        bed.Open(bed.Options with { PageCount = before.PageCount, Checksum = before.Checksum });
        Assert.That(Enumerable.Range(1, 20).All(page => PagesOf(bed)[page - 1].AsSpan().SequenceEqual(Image((uint)page, 1))), Is.True);
    }

    [Test]
    public void A_snapshot_keeps_what_the_file_and_the_store_held()
    {
        using var bed = new StoreBed();
        Fill(bed, 6);
        bed.Checkpoint();
        using var old = bed.Store.OpenSnapshot();
        bed.Write(6, (2, Image(2, 2)), (3, Image(3, 2)));
        using var young = bed.Store.OpenSnapshot();
        bed.Write(4, (2, Image(2, 3)));
        bed.Checkpoint();
        bed.Write(4, (3, Image(3, 4)));
        bed.Checkpoint();
        Assert.That((ReadPage(old, 2), ReadPage(old, 3), ReadPage(old, 6)), Is.EqualTo((Image(2, 1), Image(3, 1), Image(6, 1))));
        Assert.That((ReadPage(young, 2), ReadPage(young, 3), ReadPage(young, 6)), Is.EqualTo((Image(2, 2), Image(3, 2), Image(6, 1))));
        Assert.That(() => ReadPage(young, 7), Throws.TypeOf<ArgumentOutOfRangeException>());
        young.Dispose();
        old.Dispose();
        bed.Checkpoint();
        Assert.That((bed.Store.State.VersionBytes, LengthOf(bed)), Is.EqualTo((0UL, 4L * PageSize)), "nothing is held any more, and the tail is cut");
    }

    [Test]
    public void An_older_state_can_be_written_while_a_snapshot_holds_it()
    {
        using var bed = new StoreBed();
        Fill(bed, 3);
        using var view = bed.Store.OpenSnapshot();
        bed.Write(4, (2, Image(2, 2)), (4, Image(4, 2)));
        Assert.That(bed.Store.Checkpoint(view.Lsn), Is.EqualTo((3u, view.Checksum)));
        bed.Store.CheckpointDone(view.Lsn);
        Assert.That((bed.Store.State.DirtyPages, PagesOf(bed)[1], ReadPage(view, 2)), Is.EqualTo((2UL, Image(2, 2), Image(2, 1))));
        view.Dispose();
        Assert.That(CodeOf(() => bed.Store.Checkpoint(view.Lsn)), Is.EqualTo(ShimResult.Busy));
        Assert.That(CodeOf(() => bed.Store.CheckpointDone(view.Lsn)), Is.EqualTo(21), "it has been told already");
    }

    [Test]
    public void A_draft_is_never_written()
    {
        using var bed = new StoreBed();
        Fill(bed, 3);
        bed.Draft(3, (2, Image(2, 9)));
        bed.Checkpoint();
        bed.Store.Fence(0);
        Assert.That(PagesOf(bed)[1], Is.EqualTo(Image(2, 1)));
        Assert.That(CodeOf(() => bed.Store.Checkpoint(bed.Store.State.LastLsn)), Is.EqualTo(21));
    }

    [TestCase(ShimOperation.Write, ".db")]
    [TestCase(ShimOperation.Write, ".sums")]
    [TestCase(ShimOperation.Sync, ".db")]
    [TestCase(ShimOperation.DataSync, ".sums")]
    public void A_checkpoint_that_fails_leaves_readers_what_they_saw(object operation, string file)
    {
        using var bed = new StoreBed();
        Fill(bed, 5);
        bed.Checkpoint();
        using var old = bed.Store.OpenSnapshot();
        bed.Write(5, (2, Image(2, 2)), (4, Image(4, 2)));
        bed.Machine.Disk.FailNext((ShimOperation)operation, file, 5);
        Assert.That(CodeOf(() => bed.Store.Checkpoint(bed.Store.State.CommittedLsn)) & 0xff, Is.EqualTo(10));
        Assert.That((ReadPage(old, 2), ReadPage(old, 3), PagesOf(bed)[1]), Is.EqualTo((Image(2, 1), Image(3, 1), Image(2, 2))));
        Assert.That(CodeOf(() => bed.Store.CheckpointDone(bed.Store.State.CommittedLsn)), Is.EqualTo(21));
    }

    [Test]
    public void After_a_crash_at_any_operation_of_a_checkpoint_the_copies_restore_its_state([Range(1, 12)] int operation, [Values(1UL, 2UL, 3UL, 4UL)] ulong seed)
    {
        using var bed = new StoreBed(seed);
        var random = new SeededRandom(seed);
        bed.Store.Lead(1);
        Enumerable.Range(0, 30).ToList().ForEach(i => RandomEntry(bed, random, i < 15 ? 60 : 25));
        bed.Checkpoint();
        var done = bed.Store.State;
        Enumerable.Range(0, 20).ToList().ForEach(_ => RandomEntry(bed, random, 40));
        var expected = bed.Store.State;
        var image = PagesOf(bed);
        var redo = bed.Machine.Disk.Root + "/test.redo";
        using (var view = bed.Store.OpenSnapshot())
        {
            var pages = Array.FindAll(bed.Store.CheckpointPages(view.Lsn), page => page <= view.PageCount);
            RedoFile.Write(bed.Machine.Disk, redo, new LogIndex(50), view, pages, uint.MaxValue);
        }

        bed.Machine.CrashAtOperation = bed.Machine.Operations + operation;
        try
        {
            bed.Checkpoint();
        }
        catch (MachineDownException)
        {
            bed.Machine.Start();
        }

        bed.Machine.CrashAtOperation = null;
        var meta = new DatabaseMeta { DatabaseId = 1, Name = "app", PageSize = PageSize, CheckpointTarget = new LogIndex(50), CheckpointDone = new LogIndex(30), PageCount = done.PageCount, Checksum = done.Checksum };
        for (var again = 0; again < 2; again++)
        {
            var restored = RedoFile.Restore(bed.Machine.Disk, redo, bed.Path, bed.SumsPath, meta);
            Assert.That((restored.Checksum, restored.PageCount, restored.CheckpointDone.Value), Is.EqualTo((expected.Checksum, expected.PageCount, 50L)));
        }

        bed.Open(bed.Options with { PageCount = expected.PageCount, Checksum = expected.Checksum });
        Assert.That(PagesOf(bed), Is.EqualTo(image));
    }

    [Test]
    public void Copies_that_are_not_what_was_written_are_refused_by_name()
    {
        using var bed = new StoreBed();
        Fill(bed, 4);
        var disk = bed.Machine.Disk;
        var redo = bed.Machine.Disk.Root + "/test.redo";
        var meta = new DatabaseMeta { DatabaseId = 1, Name = "app", PageSize = PageSize, CheckpointTarget = new LogIndex(7), PageCount = 1 };
        StorageDamagedException Refusal(LogIndex target) => Assert.Throws<StorageDamagedException>(() => RedoFile.Restore(disk, redo, bed.Path, bed.SumsPath, meta with { CheckpointTarget = target }))!;

        Assert.That(Refusal(new LogIndex(7)).Message, Does.Contain("test.redo").And.Contain("missing"));
        using (var view = bed.Store.OpenSnapshot())
        {
            RedoFile.Write(disk, redo, new LogIndex(7), view, bed.Store.CheckpointPages(view.Lsn), uint.MaxValue);
        }

        Assert.That(RedoFile.TargetOf(disk, redo), Is.EqualTo(new LogIndex(7)));
        Assert.That(Refusal(new LogIndex(8)).Message, Does.Contain("test.redo").And.Contain("not the copy"));
        var bytes = disk.ReadAllBytes(redo);
        bytes[^1] ^= 1;
        disk.WriteAllBytes(redo, bytes);
        Assert.That(Refusal(new LogIndex(7)).Message, Does.Contain("test.redo").And.Contain("page 4"));
        bytes[70] ^= 1;
        disk.WriteAllBytes(redo, bytes);
        Assert.That((RedoFile.TargetOf(disk, redo), Refusal(new LogIndex(7)).Path), Is.EqualTo((LogIndex.Zero, redo)));
    }

    [Test]
    public void The_crash_test_reaches_the_end_of_the_checkpoint()
    {
        using var bed = new StoreBed(1);
        bed.Store.Lead(1);
        var random = new SeededRandom(1);
        for (var i = 0; i < 50; i++)
        {
            RandomEntry(bed, random, 40);
        }

        var before = bed.Machine.Operations;
        bed.Checkpoint();
        Assert.That(bed.Machine.Operations - before, Is.InRange(4, 12));
    }

    [Test]
    public void Old_readers_are_given_up_to_bound_memory_and_snapshots_last()
    {
        using var bed = new StoreBed(configure: options => options with { MaxVersionBytes = PageSize });
        Fill(bed, 4);
        using var reader = new StoreHandle(bed.Store);
        reader.BeginRead();
        bed.Write(4, (2, Image(2, 2)));
        Assert.That(reader.Read(2).ToArray(), Is.EqualTo(Image(2, 1)));
        using var snapshot = bed.Store.OpenSnapshot();
        bed.Write(4, (2, Image(2, 3)));
        Assert.That(CodeOf(() => reader.Read(2)), Is.EqualTo(ShimResult.SnapshotGone));
        Assert.That(ReadPage(snapshot, 2), Is.EqualTo(Image(2, 2)));
        bed.Write(4, (3, Image(3, 3)), (4, Image(4, 3)));
        Assert.That(CodeOf(() => ReadPage(snapshot, 2)), Is.EqualTo(ShimResult.SnapshotGone));
        reader.End();
        reader.BeginRead();
        Assert.That(reader.Read(2).ToArray(), Is.EqualTo(Image(2, 3)));
    }

    [Test]
    public void A_rotten_page_is_an_error_and_an_event_but_not_for_a_checker()
    {
        using var bed = new StoreBed();
        Fill(bed, 3);
        bed.Checkpoint();
        using (var file = bed.Machine.Disk.Open(bed.Path, DurableFileMode.Read | DurableFileMode.Write))
        {
            file.Write([1, 2, 3], PageSize + 100);
        }

        using var snapshot = bed.Store.OpenSnapshot();
        Assert.That(DatabaseAudit.Run(bed.Store), Does.Contain("page 2"));
        Assert.That(bed.RotEvents, Is.Empty);
        Assert.That(CodeOf(() => ReadPage(snapshot, 2)), Is.EqualTo(ShimResult.PageRot));
        Assert.That(bed.RotEvents, Is.EqualTo(new[] { 2u }));
        Assert.That(ReadPage(snapshot, 3), Is.EqualTo(Image(3, 1)));
    }

    [Test]
    public void A_new_generation_takes_the_place_of_the_files_and_readers_keep_the_old_one()
    {
        using var bed = new StoreBed();
        Fill(bed, 3);
        bed.Checkpoint();
        bed.Store.Fence(0);
        using var snapshot = bed.Store.OpenSnapshot();
        var disk = bed.Machine.Disk;
        var checksum = Build(bed, bed.Path + ".new", bed.SumsPath + ".new", 2);
        disk.Rename(bed.SumsPath + ".new", bed.SumsPath);
        disk.Rename(bed.Path + ".new", bed.Path);
        bed.Store.Reopen(2, checksum);
        var state = bed.Store.State;
        Assert.That((state.CommittedLsn, state.DraftLsn, state.PageCount, state.Checksum, state.Generation), Is.EqualTo((3UL, 3UL, 2u, checksum, 2u)));
        Assert.That((ReadPage(snapshot, 3), PagesOf(bed)[1]), Is.EqualTo((Image(3, 1), Image(2, 8))));
        bed.Store.Lead(2);
        Assert.That(CodeOf(() => bed.Store.Reopen(2, checksum)), Is.EqualTo(21));
    }

    [Test]
    public void Files_that_do_not_match_are_refused()
    {
        using var bed = new StoreBed();
        Fill(bed, 3);
        bed.Checkpoint();
        var good = bed.Options with { PageCount = 3, Checksum = bed.Store.State.Checksum };
        bed.Store.Dispose();
        Assert.That(CodeOf(() => bed.Open(good with { Checksum = 1 })), Is.EqualTo(11));
        Assert.That(CodeOf(() => bed.Open(good with { PageCount = 4 })), Is.EqualTo(11));
        Assert.That(CodeOf(() => bed.Open(good with { Path = bed.Path + "x" })), Is.EqualTo(14));
        Assert.That(CodeOf(() => bed.Open(good with { Path = bed.SumsPath })), Is.EqualTo(26));
        Assert.That(CodeOf(() => bed.Open(good with { SumsPath = bed.Path })), Is.EqualTo(11));
        bed.Open(good);
    }

    [Test]
    public void A_file_with_a_missing_page_is_not_finished()
    {
        using var bed = new StoreBed();
        using var builder = bed.Stores.Build(bed.Path + ".new", bed.SumsPath + ".new", PageSize);
        builder.WritePage(1, Image(1, 1));
        builder.WritePage(3, Image(3, 1));
        Assert.That(CodeOf(() => builder.Finish(3)), Is.EqualTo(11));
        builder.WritePage(2, Image(2, 1));
        Assert.That(builder.Finish(2), Is.EqualTo(PageChecksum.Compute(1, Image(1, 1)) ^ PageChecksum.Compute(2, Image(2, 1))));
    }

    private static void Fill(StoreBed bed, uint pageCount)
    {
        bed.Store.Lead(1);
        bed.Write(pageCount, [.. Enumerable.Range(1, (int)pageCount).Select(page => ((uint)page, Image((uint)page, 1)))]);
    }

    private static ulong Build(StoreBed bed, string path, string sumsPath, uint pageCount)
    {
        using var builder = bed.Stores.Build(path, sumsPath, PageSize);
        for (uint page = 1; page <= pageCount; page++)
        {
            builder.WritePage(page, Image(page, 8));
        }

        return builder.Finish(pageCount);
    }

    /// <summary>One committed transaction that changes some pages and the number of pages.</summary>
    private static Entry RandomEntry(StoreBed bed, SeededRandom random, int maxPages)
    {
        var before = bed.Store.State.PageCount;
        var pageCount = (uint)random.Between(1, maxPages);
        var pages = new List<(uint, byte[])>();
        for (uint page = 1; page <= pageCount; page++)
        {
            if (page == 1 || page > before || random.Chance(0.2))
            {
                pages.Add((page, Image(page, random.NextBits())));
            }
        }

        bed.Draft(pageCount, [.. pages]);
        var entry = bed.Poll();
        bed.Store.Commit(entry.Lsn);
        return entry;
    }

    private static byte[][] PagesOf(StoreBed bed) => [.. bed.Store.CopyCommitted().Chunk(PageSize)];

    private static long LengthOf(StoreBed bed)
    {
        using var file = bed.Machine.Disk.Open(bed.Path, DurableFileMode.Read);
        return file.Length;
    }

    private static int CodeOf(Action action) => Assert.Throws<ShimException>(() => action())!.ResultCode;
}
