using Dqlite.Simulation.World;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Tests.World;

/// <summary>A disk in the absence of power cuts, and what it was told to do wrong.</summary>
public sealed class SimDiskTests
{
    [Test]
    public void Bytes_are_read_as_they_were_written()
    {
        var bed = new DiskBed();
        var random = new SeededRandom(5);
        var model = new byte[50_000];
        var length = 0;
        using var file = bed.Disk.Open(bed.FilePath, DiskBed.ReadWriteCreate);
        for (var i = 0; i < 2000; i++)
        {
            var offset = random.Next(40_000);
            switch (random.Next(10))
            {
                case 0:
                    file.Truncate(offset);
                    model.AsSpan(offset).Clear();
                    length = offset;
                    break;
                case 1:
                    file.Sync();
                    break;
                default:
                    var bytes = new byte[random.Next(3000)];
                    random.Fill(bytes);
                    file.Write(bytes, offset);
                    bytes.CopyTo(model, offset);
                    length = bytes.Length > 0 ? Math.Max(length, offset + bytes.Length) : length;
                    break;
            }

            var read = new byte[60_000];
            Assert.That(file.Length, Is.EqualTo(length));
            Assert.That(file.Read(read, 0), Is.EqualTo(length));
            Assert.That(read.AsSpan(0, length).SequenceEqual(model.AsSpan(0, length)), Is.True, $"operation {i}");
        }

        file.Sync();
        Assert.That(bed.Disk.DurableImage(bed.FilePath), Is.Null, "its name is not durable");
        bed.Disk.SyncDirectory(bed.Disk.Root);
        Assert.That(bed.Disk.DurableImage(bed.FilePath), Is.EqualTo(model[..length]));
    }

    [Test]
    public void Vectored_writes_go_one_behind_the_other()
    {
        var bed = new DiskBed();
        using var file = bed.Disk.Open(bed.FilePath, DiskBed.ReadWriteCreate);
        var before = bed.Machine.Operations;
        file.WriteVectored([new byte[] { 1, 2 }, Array.Empty<byte>(), new byte[] { 3 }], 4);
        Assert.That(bed.Machine.Operations, Is.EqualTo(before + 1));
        Assert.That(bed.Content(), Is.EqualTo(new byte[] { 0, 0, 0, 0, 1, 2, 3 }));
    }

    [Test]
    public void Names_behave_like_those_of_a_real_file_system()
    {
        var bed = new DiskBed();
        Assert.That(() => bed.Disk.Open(bed.FilePath, DiskBed.ReadWrite), Throws.TypeOf<DurableIOException>().With.Property("Errno").EqualTo(SimDisk.Enoent));
        Assert.That(() => bed.Disk.Open(bed.PathOf("no/file"), DiskBed.ReadWriteCreate), Throws.TypeOf<DurableIOException>());
        Assert.That(() => bed.Disk.ListFiles(bed.PathOf("no")), Throws.TypeOf<DirectoryNotFoundException>());
        Assert.That(() => bed.Disk.SyncDirectory(bed.PathOf("no")), Throws.TypeOf<DurableIOException>());
        bed.Disk.CreateDirectory(bed.PathOf("a/b"));
        bed.Disk.Open(bed.PathOf("a/b/2"), DiskBed.ReadWriteCreate).Dispose();
        bed.Disk.Open(bed.PathOf("a/b/10"), DiskBed.ReadWriteCreate).Dispose();
        Assert.That(bed.Disk.ListFiles(bed.PathOf("a/b")), Is.EqualTo(new[] { "10", "2" }));
        Assert.That(bed.Disk.ListFiles(bed.PathOf("a")), Is.Empty);
        Assert.That(() => bed.Disk.Open(bed.PathOf("a/b/2"), DiskBed.ReadWriteCreate | DurableFileMode.Exclusive), Throws.TypeOf<DurableIOException>());
        bed.Disk.Delete(bed.PathOf("a/b/2"));
        Assert.That(bed.Disk.Exists(bed.PathOf("a/b/2")), Is.False);
        Assert.That(() => bed.Disk.Delete(bed.PathOf("a/b/2")), Throws.TypeOf<DurableIOException>());
    }

    [Test]
    public void Each_write_changes_the_modification_time_and_no_two_files_share_an_inode()
    {
        var bed = new DiskBed();
        var first = bed.CreateDurable([1]);
        var second = bed.CreateDurable([1], "second");
        var before = first.GetState();
        first.Write([1], 0);
        Assert.That(first.GetState().MtimeNs, Is.GreaterThan(before.MtimeNs));
        Assert.That(first.GetState() with { MtimeNs = 0 }, Is.EqualTo(before with { MtimeNs = 0 }));
        Assert.That(second.GetState().Inode, Is.Not.EqualTo(before.Inode));
        first.Sync();
        var synced = first.GetState();
        bed.CutPowerAndStart();
        Assert.That(bed.Disk.Open(bed.FilePath, DiskBed.ReadWrite).GetState(), Is.EqualTo(synced));
    }

    [Test]
    public void A_full_disk_takes_what_fits_and_gives_room_back()
    {
        var bed = new DiskBed();
        var file = bed.CreateDurable(new byte[1000]);
        bed.Disk.CapacityBytes = 1500;
        Assert.That(() => file.Write(new byte[600], 1000), Throws.TypeOf<DurableIOException>().With.Property("IsDiskFull").True);
        Assert.That((file.Length, bed.Disk.UsedBytes), Is.EqualTo((1500L, 1500L)));
        Assert.That(() => file.Write(new byte[1500], 0), Throws.Nothing);
        Assert.That(() => file.Allocate(1400, 200), Throws.TypeOf<DurableIOException>().With.Property("IsDiskFull").True);
        file.Truncate(100);
        file.Allocate(100, 1300);
        var other = bed.Disk.Open(bed.PathOf("other"), DiskBed.ReadWriteCreate);
        Assert.That(() => other.Write(new byte[200], 0), Throws.TypeOf<DurableIOException>());
        bed.Disk.Delete(bed.FilePath);
        Assert.That(bed.Disk.UsedBytes, Is.EqualTo(1500), "an open file needs its room without a name too");
        file.Dispose();
        Assert.That(bed.Disk.UsedBytes, Is.EqualTo(100));
        bed.CutPowerAndStart();
        Assert.That(bed.Disk.UsedBytes, Is.EqualTo(bed.Disk.ListFiles(bed.Disk.Root).Sum(name => bed.Content(name).Length)));
    }

    [TestCase(1)]
    [TestCase(3)]
    public void The_nth_operation_fails_on_demand(int nth)
    {
        var bed = new DiskBed();
        using var file = bed.CreateDurable([1]);
        using var other = bed.CreateDurable([1], "other");
        bed.Disk.FailNth(ShimOperation.Read, "file", 5, nth);
        for (var i = 1; i <= 4; i++)
        {
            Assert.That(() => other.Read(new byte[1], 0), Throws.Nothing);
            Assert.That(() => file.Read(new byte[1], 0), i == nth ? Throws.TypeOf<DurableIOException>() : Throws.Nothing);
        }

        bed.Disk.FailNth(ShimOperation.Rename, "file", 5, 1, isSticky: true);
        Assert.That(() => bed.Disk.Rename(bed.FilePath, bed.PathOf("new")), Throws.TypeOf<DurableIOException>());
        Assert.That(() => bed.Disk.Rename(bed.FilePath, bed.PathOf("new")), Throws.TypeOf<DurableIOException>());
        bed.Disk.ClearFaults();
        Assert.That(() => bed.Disk.Rename(bed.FilePath, bed.PathOf("new")), Throws.Nothing);
    }

    [Test]
    public void A_failed_write_has_written_nothing_a_part_or_all()
    {
        var counts = new SortedSet<int>();
        for (ulong seed = 1; seed <= 200; seed++)
        {
            var bed = new DiskBed(seed);
            var file = bed.CreateDurable(DiskBed.Filled(2, 1));
            bed.Disk.FailNext(ShimOperation.Write, "file", SimDisk.Eio);
            Assert.That(() => file.Write(DiskBed.Filled(2, 2), 0), Throws.TypeOf<DurableIOException>());
            counts.Add(bed.Content().Count(value => value == 2));
        }

        Assert.That(counts, Is.EqualTo(new[] { 0, DiskBed.SectorBytes, 2 * DiskBed.SectorBytes }));
    }

    [Test]
    public void Rotten_bits_are_on_the_platter()
    {
        var bed = new DiskBed();
        bed.CreateDurable(DiskBed.Filled(4, 0));
        Assert.That(bed.Disk.FlipBits(bed.FilePath, 600, 10), Is.True);
        Assert.That(bed.Disk.FlipBits(bed.FilePath, 3000, 10), Is.False);
        bed.CutPowerAndStart();
        var rotten = bed.Content().Select((value, i) => (value, i)).Where(pair => pair.value != 0).ToArray();
        Assert.That(rotten, Has.Length.EqualTo(1));
        Assert.That(rotten[0].i, Is.InRange(600, 609));
    }

    [Test]
    public void A_stale_read_returns_once_what_the_sector_held_before_its_last_write()
    {
        var bed = new DiskBed();
        bed.Disk.RemembersOverwritten = true;
        var file = bed.CreateDurable(DiskBed.Filled(1, 1));
        file.Write(DiskBed.Filled(1, 2), 0);
        file.Sync();
        bed.Disk.FailNextReadStale("file");
        var read = new byte[100];
        file.Read(read, 10);
        Assert.That(read, Has.All.EqualTo(1));
        file.Read(read, 10);
        Assert.That(read, Has.All.EqualTo(2));
    }

    [Test]
    public void A_wiped_disk_is_empty()
    {
        var bed = new DiskBed();
        bed.CreateDurable([1]);
        Assert.That(bed.Disk.Wipe, Throws.InvalidOperationException);
        bed.Machine.PowerOff();
        bed.Disk.Wipe();
        bed.Machine.Start();
        Assert.That(bed.Disk.ListFiles(bed.Disk.Root), Is.Empty);
        Assert.That(bed.Disk.UsedBytes, Is.Zero);
        bed.CreateDurable([2]);
        Assert.That(bed.Content(), Is.EqualTo(new byte[] { 2 }));
    }
}
