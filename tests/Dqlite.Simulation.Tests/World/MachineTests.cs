using Dqlite.Net.Storage;
using Dqlite.Raft;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Tests.World;

/// <summary>Crashes by count, and what is left of an earlier life.</summary>
public sealed class MachineTests
{
    [Test]
    public void The_machine_goes_down_in_the_middle_of_the_operation_that_was_named()
    {
        var happened = new HashSet<bool>();
        for (ulong seed = 1; seed <= 100; seed++)
        {
            var bed = new DiskBed(seed);
            bed.CreateDurable([1]);
            var crashes = 0;
            bed.Machine.Crashed += () => crashes++;
            bed.Machine.CrashCutsPower = false;
            bed.Machine.CrashAtOperation = bed.Machine.Operations + 2;
            bed.Disk.Rename(bed.FilePath, bed.PathOf("b"));
            Assert.That(() => bed.Disk.Rename(bed.PathOf("b"), bed.PathOf("c")), Throws.TypeOf<MachineDownException>());
            Assert.That((bed.Machine.IsUp, crashes), Is.EqualTo((false, 1)));
            Assert.That(() => bed.Disk.Rename(bed.PathOf("b"), bed.PathOf("d")), Throws.TypeOf<MachineDownException>());
            bed.Machine.Start();
            happened.Add(bed.Disk.Exists(bed.PathOf("c")));
            Assert.That(bed.Disk.ListFiles(bed.Disk.Root), Has.Count.EqualTo(1));
            Assert.That(bed.Machine.CrashAtOperation, Is.Null);
        }

        Assert.That(happened, Has.Count.EqualTo(2), "it may have had its effect, or not");
    }

    [Test]
    public void A_write_during_which_the_process_dies_leaves_whole_sectors_of_it()
    {
        var counts = new SortedSet<int>();
        for (ulong seed = 1; seed <= 200; seed++)
        {
            var bed = new DiskBed(seed);
            var file = bed.CreateDurable(DiskBed.Filled(2, 1));
            bed.Machine.CrashCutsPower = false;
            bed.Machine.CrashAtOperation = bed.Machine.Operations + 1;
            Assert.That(() => file.WriteVectored([DiskBed.Filled(1, 2), DiskBed.Filled(1, 2)], 0), Throws.TypeOf<MachineDownException>());
            counts.Add(bed.Content().Count(value => value == 2));
        }

        Assert.That(counts, Is.EqualTo(new[] { 0, DiskBed.SectorBytes, 2 * DiskBed.SectorBytes }));
    }

    [Test]
    public void Files_of_an_earlier_life_do_nothing()
    {
        var bed = new DiskBed();
        var old = bed.CreateDurable([1]);
        Assert.That(old.TryLock(), Is.True);
        bed.Machine.Kill();
        Assert.That(() => old.Write([2], 0), Throws.TypeOf<MachineDownException>());
        bed.Machine.Start();
        Assert.That(() => old.Write([2], 0), Throws.TypeOf<MachineDownException>());
        Assert.That(() => old.Read(new byte[1], 0), Throws.TypeOf<MachineDownException>());
        using var file = bed.Disk.Open(bed.FilePath, DiskBed.ReadWrite);
        Assert.That(file.TryLock(), Is.True);
        old.Dispose();
        using var second = bed.Disk.Open(bed.FilePath, DiskBed.ReadWrite);
        Assert.That(second.TryLock(), Is.False);
        Assert.That(bed.Content(), Is.EqualTo(new byte[] { 1 }));
    }

    [Test]
    public void The_same_seed_crashes_the_same_way() =>
        Assert.That(LogAfterCrashes(11), Is.EqualTo(LogAfterCrashes(11)).And.Not.EqualTo(LogAfterCrashes(12)));

    [Test]
    public void The_production_log_keeps_what_it_reported_durable_through_crashes_at_every_operation()
    {
        for (ulong seed = 1; seed <= 200; seed++)
        {
            Assert.That(() => LogAfterCrashes(seed), Throws.Nothing, $"seed {seed}");
        }
    }

    /// <summary>Appends to a log on a machine that crashes again and again; returns how far it came each time.</summary>
    private static string LogAfterCrashes(ulong seed)
    {
        var bed = new DiskBed(seed);
        var random = new SeededRandom(seed).Stream("test");
        var durable = 0L;
        var history = "";
        for (var life = 0; life < 5; life++)
        {
            bed.Machine.CrashAtOperation = bed.Machine.Operations + random.Next(60);
            bed.Machine.CrashCutsPower = random.Chance(0.7);
            try
            {
                using var log = OpenLog(bed, random);
                Assert.That(log.LastIndex.Value, Is.GreaterThanOrEqualTo(durable), $"life {life}");
                while (true)
                {
                    log.Append([new LogEntry(log.LastIndex.Next, new Term(1), EntryKind.Application, new byte[random.Next(700)])]);
                    log.Flush();
                    durable = log.DurableIndex.Value;
                }
            }
            catch (Exception exception) when (exception is MachineDownException || exception.InnerException is MachineDownException)
            {
                history += $"{durable} ";
                bed.Machine.Start();
            }
        }

        return history;
    }

    private static SegmentedLog OpenLog(DiskBed bed, SeededRandom random) => SegmentedLog.Open(bed.Disk, bed.PathOf("log"),
        new SegmentedLogOptions { SegmentSizeBytes = 8192, NextSalt = random.NextBits }, LogIndex.Zero, Term.Zero);
}
