using Dqlite.Simulation.World;
using Dqlite.Sqlite;
using static Dqlite.Simulation.Tests.CoreTier.StoreBed;

namespace Dqlite.Simulation.Tests.CoreTier;

/// <summary>The model and the store that it stands for.</summary>
public sealed class RealDatabaseTests
{
    [Test]
    public void The_same_entries_make_the_same_database_of_both()
    {
        using var directory = new TemporaryDirectory();
        using var bed = new StoreBed();
        var created = PageDatabase.CreateFiles(directory.File("x.db"), directory.File("x.sums"), PageSize, 0);
        Assert.That(created, Is.EqualTo(bed.Options.Checksum));
        using var real = OpenReal(directory, 1, created, bed);
        var random = new SeededRandom(1);
        for (var i = 0; i < 100; i++)
        {
            var pageCount = (uint)random.Between(1, 30);
            uint[] numbers = [.. Enumerable.Range(1, (int)pageCount).Select(page => (uint)page).Where(page => page == 1 || page > bed.Store.State.PageCount || random.Chance(0.3))];
            var images = numbers.SelectMany(page => Image(page, random.NextBits(), (byte)i)).ToArray();
            Assert.That(real.Apply(numbers, images, pageCount, 0), Is.EqualTo(bed.Store.Apply(numbers, images, pageCount, 0)));
            var (model, shim) = (bed.Store.State, real.State);
            Assert.That((model.Checksum, model.PageCount, model.VersionBytes, model.DirtyPages), Is.EqualTo((shim.Checksum, shim.PageCount, shim.VersionBytes, shim.DirtyPages)), $"entry {i}");
            if (i % 10 == 9)
            {
                Assert.That(real.Checkpoint(shim.CommittedLsn), Is.EqualTo(bed.Store.Checkpoint(model.CommittedLsn)));
                real.CheckpointDone(shim.CommittedLsn);
                bed.Store.CheckpointDone(model.CommittedLsn);
                Assert.That(ReadAll(bed, bed.Path), Is.EqualTo(File.ReadAllBytes(directory.File("x.db"))));
                Assert.That(ReadAll(bed, bed.SumsPath), Is.EqualTo(File.ReadAllBytes(directory.File("x.sums"))));
            }
        }
    }

    [Test]
    public void The_real_store_opens_the_files_of_the_model()
    {
        using var directory = new TemporaryDirectory();
        using var bed = new StoreBed();
        bed.Store.Lead(1);
        bed.Write(3, (1, Image(1, 1)), (2, Image(2, 1)), (3, Image(3, 1)));
        bed.Checkpoint();
        File.WriteAllBytes(directory.File("x.db"), ReadAll(bed, bed.Path));
        File.WriteAllBytes(directory.File("x.sums"), ReadAll(bed, bed.SumsPath));
        using var real = OpenReal(directory, 3, bed.Store.State.Checksum, bed);
        using var snapshot = real.OpenSnapshot();
        Assert.That(ReadPage(snapshot, 3), Is.EqualTo(Image(3, 1)));
    }

    private static PageDatabase OpenReal(TemporaryDirectory directory, uint pageCount, ulong checksum, IPageDatabaseEvents events) => PageDatabase.Open(
        new PageDatabaseOptions { Path = directory.File("x.db"), SumsPath = directory.File("x.sums"), PageSize = PageSize, PageCount = pageCount, Checksum = checksum },
        events);

    private static byte[] ReadAll(StoreBed bed, string path)
    {
        using var file = bed.Machine.Disk.Open(path, DurableFileMode.Read);
        var bytes = new byte[file.Length];
        file.Read(bytes, 0);
        return bytes;
    }
}
