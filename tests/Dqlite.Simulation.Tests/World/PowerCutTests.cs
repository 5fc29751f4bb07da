using Dqlite.Simulation.World;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Tests.World;

/// <summary>What a disk keeps when the power goes.</summary>
public sealed class PowerCutTests
{
    private const int Seeds = 300;

    [Test]
    public void What_was_synced_stays()
    {
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            var bed = new DiskBed(seed);
            bed.CreateDurable(DiskBed.Filled(3, 7));
            bed.CutPowerAndStart();
            Assert.That(bed.Content(), Is.EqualTo(DiskBed.Filled(3, 7)), $"seed {seed}");
        }
    }

    [Test]
    public void Any_subset_of_the_sectors_that_were_not_synced_may_stay()
    {
        var outcomes = new HashSet<string>();
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            var bed = new DiskBed(seed);
            var file = bed.CreateDurable(DiskBed.Filled(3, 0));
            file.Write(DiskBed.Filled(3, 1), 0);
            bed.CutPowerAndStart();
            var content = bed.Content();
            Assert.That(content, Has.Length.EqualTo(3 * DiskBed.SectorBytes));
            for (var i = 0; i < content.Length; i++)
            {
                Assert.That(content[i], Is.EqualTo(content[i / DiskBed.SectorBytes * DiskBed.SectorBytes]), "a sector is written whole or not");
            }

            outcomes.Add(string.Concat(DiskBed.SectorValues(content)));
        }

        Assert.That(outcomes, Has.Count.EqualTo(8));
    }

    [Test]
    public void A_sector_may_stay_in_any_state_that_it_had_since_the_last_sync()
    {
        var outcomes = new SortedSet<byte>();
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            var bed = new DiskBed(seed);
            var file = bed.CreateDurable(DiskBed.Filled(1, 10));
            for (byte value = 11; value <= 14; value++)
            {
                file.Write(DiskBed.Filled(1, value), 0);
            }

            bed.CutPowerAndStart();
            outcomes.Add(bed.Content()[0]);
        }

        Assert.That(outcomes, Is.EqualTo(new byte[] { 10, 11, 12, 13, 14 }));
    }

    [Test]
    public void Whatever_was_done_each_sector_is_in_a_state_that_it_had_since_it_was_durable()
    {
        const int Sectors = 8;
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            var bed = new DiskBed(seed);
            var random = new SeededRandom(seed).Stream("test");
            var file = bed.CreateDurable(DiskBed.Filled(Sectors, 0));
            var allowed = Enumerable.Range(0, Sectors).Select(_ => new List<byte> { 0 }).ToArray();
            for (byte value = 1; value <= 60; value++)
            {
                switch (random.Next(8))
                {
                    case 0:
                        file.DataSync();
                        Array.ForEach(allowed, states => states.RemoveRange(0, states.Count - 1));
                        break;
                    case 1:
                        bed.Disk.FailNext(ShimOperation.DataSync, "file", SimDisk.Eio);
                        Assert.That(file.DataSync, Throws.TypeOf<DurableIOException>());
                        Array.ForEach(allowed, states => states.RemoveRange(1, states.Count - 1));
                        break;
                    default:
                        var first = random.Next(Sectors);
                        var count = random.Between(1, Sectors - first);
                        file.Write(DiskBed.Filled(count, value), first * DiskBed.SectorBytes);
                        Array.ForEach(allowed[first..(first + count)], states => states.Add(value));
                        break;
                }
            }

            bed.CutPowerAndStart();
            var found = DiskBed.SectorValues(bed.Content());
            for (var i = 0; i < Sectors; i++)
            {
                Assert.That(allowed[i], Does.Contain(found[i]), $"seed {seed}, sector {i}");
            }
        }
    }

    [Test]
    public void A_file_that_grew_without_a_sync_may_have_any_length_between()
    {
        var lengths = new SortedSet<int>();
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            var bed = new DiskBed(seed);
            var file = bed.CreateDurable(DiskBed.Filled(1, 1));
            file.Write(DiskBed.Filled(2, 2), DiskBed.SectorBytes);
            bed.CutPowerAndStart();
            var content = bed.Content();
            lengths.Add(content.Length);
            Assert.That(content.AsSpan(0, DiskBed.SectorBytes).IndexOfAnyExcept((byte)1), Is.EqualTo(-1), $"seed {seed}");
        }

        Assert.That(lengths.Min, Is.EqualTo(DiskBed.SectorBytes));
        Assert.That(lengths.Max, Is.EqualTo(3 * DiskBed.SectorBytes));
        Assert.That(lengths, Has.Count.GreaterThan(10));
    }

    [Test]
    public void What_a_truncation_cut_does_not_come_back_behind_zeros()
    {
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            var bed = new DiskBed(seed);
            var file = bed.CreateDurable(DiskBed.Filled(4, 1));
            file.Truncate(0);
            file.Allocate(0, 5 * DiskBed.SectorBytes);
            file.Sync();
            bed.CutPowerAndStart();
            Assert.That(bed.Content(), Is.EqualTo(new byte[5 * DiskBed.SectorBytes]), $"seed {seed}");
        }
    }

    [Test]
    public void A_truncation_without_a_sync_happened_or_did_not()
    {
        var lengths = new SortedSet<int>();
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            var bed = new DiskBed(seed);
            bed.CreateDurable(DiskBed.Filled(4, 1)).Truncate(700);
            bed.CutPowerAndStart();
            lengths.Add(bed.Content().Length);
            Assert.That(bed.Content(), Has.All.EqualTo(1), $"seed {seed}");
        }

        Assert.That(lengths, Is.EqualTo(new[] { 700, 4 * DiskBed.SectorBytes }));
    }

    [Test]
    public void A_file_whose_directory_was_not_synced_may_vanish_although_its_content_was_synced()
    {
        Assert.That(Outcomes(bed =>
        {
            var file = bed.Disk.Open(bed.FilePath, DiskBed.ReadWriteCreate);
            file.Write(DiskBed.Filled(1, 9), 0);
            file.Sync();
        }), Is.EqualTo(new[] { "", "file=9" }));
    }

    [Test]
    public void A_rename_without_a_sync_of_the_directory_happened_or_did_not()
    {
        Assert.That(Outcomes(bed =>
        {
            bed.CreateDurable(DiskBed.Filled(1, 1));
            bed.CreateDurable(DiskBed.Filled(1, 2), "new");
            bed.Disk.Rename(bed.PathOf("new"), bed.FilePath);
        }), Is.EqualTo(new[] { "file=1 new=2", "file=2" }));
    }

    [Test]
    public void A_rename_is_durable_with_its_directory()
    {
        Assert.That(Outcomes(bed =>
        {
            bed.CreateDurable(DiskBed.Filled(1, 1));
            bed.CreateDurable(DiskBed.Filled(1, 2), "new");
            bed.Disk.Rename(bed.PathOf("new"), bed.FilePath);
            bed.Disk.SyncDirectory(bed.Disk.Root);
        }), Is.EqualTo(new[] { "file=2" }));
    }

    [Test]
    public void A_deleted_file_may_come_back()
    {
        Assert.That(Outcomes(bed =>
        {
            bed.CreateDurable(DiskBed.Filled(1, 1)).Dispose();
            bed.Disk.Delete(bed.FilePath);
        }), Is.EqualTo(new[] { "", "file=1" }));
    }

    [Test]
    public void A_directory_that_was_not_synced_takes_its_files_along()
    {
        var found = new HashSet<bool>();
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            var bed = new DiskBed(seed);
            bed.Disk.CreateDirectory(bed.PathOf("inner"));
            var path = bed.PathOf("inner/file");
            bed.Disk.Open(path, DiskBed.ReadWriteCreate).Sync();
            bed.Disk.SyncDirectory(bed.PathOf("inner"));
            bed.CutPowerAndStart();
            Assert.That(bed.Disk.Exists(path), Is.EqualTo(bed.Disk.Exists(bed.PathOf("inner"))));
            found.Add(bed.Disk.Exists(path));
        }

        Assert.That(found, Has.Count.EqualTo(2));
    }

    [Test]
    public void After_a_sync_that_failed_once_a_later_one_succeeds_and_the_bytes_are_lost()
    {
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            var bed = new DiskBed(seed);
            var file = bed.CreateDurable(DiskBed.Filled(2, 1));
            file.Write(DiskBed.Filled(1, 2), 0);
            bed.Disk.FailNext(ShimOperation.DataSync, "file", SimDisk.Eio);
            Assert.That(file.DataSync, Throws.TypeOf<DurableIOException>().With.Property("Errno").EqualTo(SimDisk.Eio));
            file.Write(DiskBed.Filled(1, 3), DiskBed.SectorBytes);
            Assert.That(file.DataSync, Throws.Nothing);
            Assert.That(DiskBed.SectorValues(bed.Content()), Is.EqualTo(new byte[] { 2, 3 }), "the page cache has it");
            Assert.That(bed.Disk.HasPending(bed.FilePath, 0, 1), Is.True);
            bed.CutPowerAndStart();
            Assert.That(DiskBed.SectorValues(bed.Content()), Is.EqualTo(new byte[] { 1, 3 }), $"seed {seed}");
        }
    }

    [Test]
    public void When_only_the_process_dies_everything_stays()
    {
        var bed = new DiskBed();
        var file = bed.CreateDurable(DiskBed.Filled(2, 1));
        file.Write(DiskBed.Filled(1, 2), 0);
        bed.Disk.Open(bed.PathOf("other"), DiskBed.ReadWriteCreate);
        Assert.That(file.TryLock(), Is.True);
        bed.Machine.Kill();
        bed.Machine.Start();
        Assert.That(DiskBed.SectorValues(bed.Content()), Is.EqualTo(new byte[] { 2, 1 }));
        Assert.That(bed.Disk.Exists(bed.PathOf("other")), Is.True);
        Assert.That(bed.Disk.Open(bed.FilePath, DiskBed.ReadWrite).TryLock(), Is.True, "the dead process holds no lock");
        bed.CutPowerAndStart();
        Assert.That(bed.Disk.HasPending(bed.FilePath, 0, 2 * DiskBed.SectorBytes), Is.False, "a power cut decides, also after a kill");
    }

    [Test]
    public void Pending_ranges_and_the_durable_image_are_told()
    {
        var bed = new DiskBed();
        var file = bed.CreateDurable(DiskBed.Filled(4, 1));
        file.Write([2], (2 * DiskBed.SectorBytes) + 5);
        Assert.That(bed.Disk.HasPending(bed.FilePath, 0, 2 * DiskBed.SectorBytes), Is.False);
        Assert.That(bed.Disk.HasPending(bed.FilePath, 0, (2 * DiskBed.SectorBytes) + 5), Is.False, "another byte of its sector waits");
        Assert.That(bed.Disk.HasPending(bed.FilePath, 0, (2 * DiskBed.SectorBytes) + 6), Is.True);
        file.Write([1], (2 * DiskBed.SectorBytes) + 5);
        Assert.That(bed.Disk.HasPending(bed.FilePath, 0, (2 * DiskBed.SectorBytes) + 6), Is.True, "what was written in between may stay");
        file.Write([2], (2 * DiskBed.SectorBytes) + 5);
        Assert.That(bed.Disk.HasPending(bed.FilePath, 3 * DiskBed.SectorBytes, DiskBed.SectorBytes), Is.False);
        Assert.That(bed.Disk.DurableImage(bed.FilePath), Is.EqualTo(DiskBed.Filled(4, 1)));
        file.Allocate(0, 5 * DiskBed.SectorBytes);
        Assert.That(bed.Disk.HasPending(bed.FilePath, 4 * DiskBed.SectorBytes, 1), Is.True, "the length is not durable");
        file.Sync();
        Assert.That(bed.Disk.HasPending(bed.FilePath, 0, 5 * DiskBed.SectorBytes), Is.False);
        Assert.That(bed.Disk.DurableImage(bed.FilePath)![(2 * DiskBed.SectorBytes) + 5], Is.EqualTo(2));
        bed.Disk.Rename(bed.FilePath, bed.PathOf("renamed"));
        Assert.That(bed.Disk.HasPending(bed.PathOf("renamed"), 0, 1), Is.True, "the name is not durable");
        Assert.That(bed.Disk.DurableImage(bed.PathOf("renamed")), Is.Null);
    }

    /// <summary>All that a power cut after some operations may leave, as a sorted list of "name=first byte".</summary>
    private static string[] Outcomes(Action<DiskBed> operations)
    {
        var outcomes = new SortedSet<string>(StringComparer.Ordinal);
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            var bed = new DiskBed(seed);
            operations(bed);
            bed.CutPowerAndStart();
            outcomes.Add(string.Join(' ', bed.Disk.ListFiles(bed.Disk.Root).Select(name => $"{name}={bed.Content(name)[0]}")));
        }

        return [.. outcomes];
    }
}
