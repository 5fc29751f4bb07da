using Dqlite.Simulation.World;
using Dqlite.Sqlite;

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
    public void A_database_is_built_checkpointed_and_reopened_on_a_simulated_disk()
    {
        var bed = new DiskBed();
        _shim.Attach(bed.Disk);
        var (path, sums) = (bed.PathOf("a.db"), bed.PathOf("a.sums"));
        var checksum = PageDatabase.CreateFiles(path, sums, 4096, 0);
        Assert.That(bed.Content("a.db"), Has.Length.EqualTo(4096));
        Assert.That(checksum, Is.Not.Zero);
        DurableFile.SyncDirectory(bed.Disk.Root);
        bed.CutPowerAndStart();
        Assert.That(bed.Content("a.db"), Has.Length.EqualTo(4096));
    }
}
