using Dqlite.Simulation.World;
using Dqlite.Sqlite;
using SQLitePCL;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.Tests.World;

/// <summary>Native code on simulated disks.</summary>
[NonParallelizable]
public sealed class ShimDiskTests
{
    private ShimDisk _shim = null!;

    [SetUp]
    public void SetUp() => _shim = ShimDisk.Install();

    [TearDown]
    public void TearDown()
    {
        (ShimDisk.Clock, ShimDisk.Wait, ShimDisk.WakeAll, ShimDisk.Yield) = (null, null, null, null);
        _shim.ThrowIfDefect();
        _shim.Dispose();
    }

    [Test]
    public void A_file_under_the_prefix_of_a_machine_lies_on_its_disk_and_others_on_the_real_one()
    {
        var bed = new DiskBed();
        _shim.Attach(bed.Disk);
        using (var file = DurableFile.Open(bed.FilePath, DiskBed.ReadWriteCreate))
        {
            file.Write([1, 2, 3], 0);
            file.Truncate(2);
            file.Allocate(0, 4);
            file.DataSync();
            file.Sync();
            Assert.That(file.Length, Is.EqualTo(4));
            Assert.That(file.TryLock(), Is.True);
            using var second = DurableFile.Open(bed.FilePath, DurableFileMode.Read);
            Assert.That(second.TryLock(), Is.False);
            var read = new byte[10];
            Assert.That(second.Read(read, 0), Is.EqualTo(4));
        }

        DurableFile.Rename(bed.FilePath, bed.PathOf("new"));
        DurableFile.SyncDirectory(bed.Disk.Root);
        Assert.That(bed.Disk.DurableImage(bed.PathOf("new")), Is.EqualTo(new byte[] { 1, 2, 0, 0 }));
        DurableFile.Delete(bed.PathOf("new"));
        Assert.That(() => DurableFile.Open(bed.PathOf("new"), DurableFileMode.Read), Throws.TypeOf<DurableIOException>().With.Property("Errno").EqualTo(SimDisk.Enoent));
        Assert.That(() => DurableFile.Open("/sim/9/file", DurableFileMode.Read), Throws.TypeOf<DurableIOException>(), "no such machine");

        var real = Path.GetTempFileName();
        using (var file = DurableFile.Open(real, DurableFileMode.Write))
        {
            file.Write([5], 0);
            file.Sync();
        }

        Assert.That(File.ReadAllBytes(real), Is.EqualTo(new byte[] { 5 }));
        File.Delete(real);
    }

    [Test]
    public void Short_writes_are_continued_and_a_full_disk_is_reported()
    {
        var bed = new DiskBed();
        _shim.Attach(bed.Disk);
        bed.Disk.ShortWriteChance = 1;
        var bytes = new byte[10_000];
        new SeededRandom(3).Fill(bytes);
        using var file = DurableFile.Open(bed.FilePath, DiskBed.ReadWriteCreate);
        var before = bed.Machine.Operations;
        file.Write(bytes, 0);
        Assert.That(bed.Content(), Is.EqualTo(bytes));
        Assert.That(bed.Machine.Operations - before, Is.GreaterThan(1));
        bed.Disk.CapacityBytes = 15_000;
        Assert.That(() => file.Write(bytes, 10_000), Throws.TypeOf<DurableIOException>().With.Property("IsDiskFull").True);
        Assert.That(file.Length, Is.EqualTo(15_000));
    }

    [Test]
    public void A_machine_that_is_down_answers_EIO_to_native_code()
    {
        var bed = new DiskBed();
        _shim.Attach(bed.Disk);
        using var file = DurableFile.Open(bed.FilePath, DiskBed.ReadWriteCreate);
        bed.Machine.CrashAtOperation = bed.Machine.Operations + 1;
        Assert.That(() => file.Write([1], 0), Throws.TypeOf<DurableIOException>().With.Property("Errno").EqualTo(SimDisk.Eio));
        Assert.That(bed.Machine.IsUp, Is.False);
        Assert.That(file.Sync, Throws.TypeOf<DurableIOException>());
        bed.Machine.Start();
        Assert.That(() => file.GetState(), Throws.TypeOf<DurableIOException>().With.Property("Errno").EqualTo(SimDisk.Eio), "a descriptor of an earlier life");
        Assert.That(() => DurableFile.SyncDirectory(bed.Disk.Root), Throws.Nothing);
    }

    [Test]
    public void The_clock_of_native_code_is_the_simulated_one()
    {
        ShimDisk.Clock = () => 42;
        Assert.That(MonotonicClock.NowNs, Is.EqualTo(42));
        ShimDisk.Clock = () => throw new InvalidOperationException("no machine runs");
        Assert.That(MonotonicClock.NowNs, Is.EqualTo(-SimDisk.Eio));
        Assert.That(_shim.ThrowIfDefect, Throws.InvalidOperationException);
        ShimDisk.Clock = null;
        Assert.That(MonotonicClock.NowNs, Is.GreaterThan(42));
    }

    [Test]
    public void A_blocking_commit_waits_in_simulated_time_while_the_simulation_goes_on()
    {
        var bed = new DiskBed();
        _shim.Attach(bed.Disk);
        using var pages = OpenDatabase(bed, bed.Disk.Root + "/a");
        pages.Lead(1);
        var rc = sqlite3_open_v2(bed.PathOf("a.db"), out var connection, SQLITE_OPEN_READWRITE, ShimRuntime.VfsName);
        Assert.That(rc, Is.Zero);
        var nowNs = 1_000L;
        ShimDisk.Clock = () => nowNs;
        Assert.That(sqlite3_exec(connection, "CREATE TABLE lost(x)"), Is.EqualTo(SQLITE_IOERR), "nobody lets time pass");
        Assert.That(sqlite3_extended_errcode(connection), Is.EqualTo(ShimResult.OutcomeUnknown));

        ShimDisk.Wait = deadlineNs =>
        {
            nowNs += 1_000_000;
            using var batch = pages.Poll(long.MaxValue);
            pages.Commit(batch?.LsnLast ?? pages.State.DraftLsn);
            return nowNs < deadlineNs;
        };
        Assert.That(sqlite3_exec(connection, "CREATE TABLE t(x); INSERT INTO t VALUES(1), (2)"), Is.Zero, sqlite3_errmsg(connection).utf8_to_string());
        Assert.That(nowNs, Is.GreaterThan(1_000_000));
        sqlite3_close_v2(connection);
    }

    [Test]
    public void A_checkpoint_on_a_simulated_disk_survives_a_power_cut()
    {
        var bed = new DiskBed();
        _shim.Attach(bed.Disk);
        using (var pages = OpenDatabase(bed, bed.Disk.Root + "/a"))
        {
            pages.Apply([1, 2], [.. PageImage(bed), .. new byte[4096]], 2, 0);
            pages.Checkpoint(pages.State.CommittedLsn);
            pages.CheckpointDone(pages.State.CommittedLsn);
        }

        var written = bed.Content("a.db");
        Assert.That(written, Has.Length.EqualTo(2 * 4096));
        bed.CutPowerAndStart();
        Assert.That(bed.Content("a.db"), Is.EqualTo(written));
    }

    private static byte[] PageImage(DiskBed bed) => bed.Content("a.db")[..4096];

    private static PageDatabase OpenDatabase(DiskBed bed, string path)
    {
        var checksum = PageDatabase.CreateFiles(path + ".db", path + ".sums", 4096, 0);
        bed.Disk.SyncDirectory(bed.Disk.Root);
        var options = new PageDatabaseOptions { Path = path + ".db", SumsPath = path + ".sums", PageSize = 4096, PageCount = 1, Checksum = checksum };
        var pages = PageDatabase.Open(options, new NoEvents());
        pages.SetServing(ShimResult.Ok);
        return pages;
    }

    private sealed class NoEvents : IPageDatabaseEvents
    {
        public void OnDraft()
        {
        }

        public void OnSlot(ulong ticket, int resultCode)
        {
        }

        public int ReadBarrier() => ShimResult.Ok;

        public void OnRot(uint pageNumber)
        {
        }
    }
}
