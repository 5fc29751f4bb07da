using Dqlite.Net.Storage;
using Dqlite.Raft;
using Dqlite.Sqlite;
using static Dqlite.Net.Tests.Storage.LogTestBed;

namespace Dqlite.Net.Tests.Storage;

public sealed class MetadataTests
{
    private const string MetadataPath = "/data/metadata";
    private static readonly NodeIdentity Identity = new(new NodeId(3), new string('c', 32), new string('d', 32));

    private static HardState State(long term, long vote) => new(new Term(term), new NodeId(vote));

    private static SimulatedFileSystem WithHistory(int writes)
    {
        var fileSystem = NewFileSystem();
        using var file = MetadataFile.Create(fileSystem, MetadataPath, Identity);
        for (var term = 1; term <= writes; term++)
        {
            file.Write(State(term, 1));
        }

        return fileSystem;
    }

    private static HardState? TryOpen(SimulatedFileSystem fileSystem)
    {
        try
        {
            using var file = MetadataFile.Open(fileSystem, MetadataPath);
            Assert.That(file.Identity, Is.EqualTo(Identity));
            return file.HardState;
        }
        catch (StorageDamagedException exception)
        {
            Assert.That(exception.Message, Does.Contain(MetadataPath));
            return null;
        }
    }

    [Test]
    public void Term_vote_and_identity_survive_a_reopen()
    {
        var fileSystem = WithHistory(3);
        using (var file = MetadataFile.Open(fileSystem, MetadataPath))
        {
            Assert.That((file.HardState, file.Identity), Is.EqualTo((State(3, 1), Identity)));
            file.Write(State(4, 2));
            file.Write(Identity with { ClusterId = new string('e', 32) });
        }

        using var reopened = MetadataFile.Open(fileSystem, MetadataPath);
        Assert.That((reopened.HardState, reopened.Identity.ClusterId), Is.EqualTo((State(4, 2), new string('e', 32))));
        Assert.That(() => reopened.Write(State(3, 1)), Throws.InvalidOperationException);
    }

    [Test]
    public void A_flipped_byte_never_brings_an_older_vote_back([Values(0, 1, 4, 5)] int writes)
    {
        var original = WithHistory(writes);
        var refused = 0;
        for (var offset = 0; offset < original.Content(MetadataPath).Length; offset++)
        {
            foreach (var flip in new byte[] { 1, 2, 3, 0x80, 0xff })
            {
                var fileSystem = original.Clone();
                fileSystem.Content(MetadataPath)[offset] ^= flip;
                var result = TryOpen(fileSystem);
                refused += result is null ? 1 : 0;
                Assert.That(result, Is.Null.Or.EqualTo(writes == 0 ? State(0, 0) : State(writes, 1)), $"byte {offset} ^ {flip}");
            }
        }

        Assert.That(refused, Is.GreaterThan(5 * 1000));
    }

    [Test]
    public void A_write_that_stopped_inside_the_sector_is_passed_over()
    {
        var fileSystem = WithHistory(4);
        var before = (byte[])fileSystem.Content(MetadataPath).Clone();
        using (var file = MetadataFile.Open(fileSystem, MetadataPath))
        {
            file.Write(State(9, 2));
        }

        var after = (byte[])fileSystem.Content(MetadataPath).Clone();
        var slot = Enumerable.Range(0, after.Length).First(i => after[i] != before[i]) / 4096 * 4096;
        foreach (var written in new[] { 24, 28, 40, 48, 100, 503 })
        {
            var torn = (byte[])before.Clone();
            after.AsSpan(slot, written).CopyTo(torn.AsSpan(slot));
            fileSystem.SetContent(MetadataPath, torn);
            Assert.That(TryOpen(fileSystem), Is.EqualTo(written >= 48 ? State(9, 2) : State(4, 1)), $"{written} bytes");
        }
    }

    [Test]
    public void Two_bad_slots_or_a_short_file_are_damage()
    {
        var fileSystem = WithHistory(2);
        fileSystem.Content(MetadataPath)[40] ^= 1;
        fileSystem.Content(MetadataPath)[4096 + 40] ^= 1;
        Assert.That(TryOpen(fileSystem), Is.Null);
        fileSystem = WithHistory(2);
        fileSystem.SetContent(MetadataPath, fileSystem.Content(MetadataPath)[..4500]);
        Assert.That(TryOpen(fileSystem), Is.Null);
        fileSystem = WithHistory(2);
        fileSystem.Content(MetadataPath).AsSpan(0, 512).Clear();
        Assert.That(TryOpen(fileSystem), Is.Null);
    }

    [Test]
    public void Slots_that_do_not_follow_each_other_are_damage()
    {
        var old = WithHistory(2);
        var current = WithHistory(7);
        old.Content(MetadataPath).AsSpan(0, 512).CopyTo(current.Content(MetadataPath));
        Assert.That(TryOpen(current), Is.Null);
    }

    [Test]
    public void After_a_failed_sync_nothing_more_is_written()
    {
        var fileSystem = WithHistory(2);
        using var file = MetadataFile.Open(fileSystem, MetadataPath);
        fileSystem.FailNextSyncOf = "metadata";
        Assert.That(() => file.Write(State(3, 1)), Throws.TypeOf<StorageFailedException>());
        Assert.That(() => file.Write(State(3, 1)), Throws.TypeOf<StorageFailedException>());
        Assert.That(file.HardState, Is.EqualTo(State(2, 1)));
    }

    [Test]
    public void Database_metadata_survives_a_reopen_and_every_flipped_byte_is_noticed()
    {
        var original = NewFileSystem();
        var meta = StorageFormatTests.SampleMeta with { Name = new string('ä', 127) };
        using (var file = DatabaseMetaFile.Create(original, "/data/a.meta", meta))
        {
            meta = meta with { CheckpointTarget = new LogIndex(99), IsPublished = false };
            file.Write(meta);
        }

        for (var offset = -1; offset < original.Content("/data/a.meta").Length; offset++)
        {
            var fileSystem = original.Clone();
            if (offset >= 0)
            {
                fileSystem.Content("/data/a.meta")[offset] ^= 1;
            }

            try
            {
                using var reopened = DatabaseMetaFile.Open(fileSystem, "/data/a.meta");
                Assert.That(reopened.Meta, Is.EqualTo(meta), $"byte {offset}");
            }
            catch (StorageDamagedException)
            {
                Assert.That(offset, Is.GreaterThanOrEqualTo(0));
            }
        }

        Assert.That(() => DatabaseMetaFile.Create(original, "/data/b.meta", meta with { Name = new string('x', 256) }), Throws.ArgumentException);
    }

    [Test]
    public void The_log_base_survives_a_reopen_and_every_flipped_byte_is_damage()
    {
        var original = NewFileSystem();
        var logBase = new LogBase
        {
            Index = new LogIndex(1000),
            Term = new Term(9),
            Configuration = new ClusterConfiguration(
                [new(new NodeId(1), "host-a:4000", new string('1', 32), MemberRole.Voter), new(new NodeId(2), "", new string('2', 32), MemberRole.NonVoter)]),
            ConfigurationIndex = new LogIndex(17),
            TermStarts = [new(new Term(1), new LogIndex(1)), new(new Term(9), new LogIndex(500))],
            OwnAddress = "host-a:4000",
        };
        Assert.That(LogBaseFile.Read(original, "/data/log.base"), Is.Null);
        LogBaseFile.Write(original, "/data/log.base", logBase);
        var read = LogBaseFile.Read(original, "/data/log.base")!;
        Assert.That((read.Index, read.Term, read.ConfigurationIndex, read.OwnAddress), Is.EqualTo((logBase.Index, logBase.Term, logBase.ConfigurationIndex, logBase.OwnAddress)));
        Assert.That(read.Configuration.Members, Is.EqualTo(logBase.Configuration.Members));
        Assert.That(read.TermStarts, Is.EqualTo(logBase.TermStarts));
        for (var offset = 0; offset < original.Content("/data/log.base").Length; offset++)
        {
            var fileSystem = original.Clone();
            fileSystem.Content("/data/log.base")[offset] ^= 0x10;
            Assert.That(() => LogBaseFile.Read(fileSystem, "/data/log.base"), Throws.TypeOf<StorageDamagedException>(), $"byte {offset}");
            fileSystem.SetContent("/data/log.base", original.Content("/data/log.base")[..offset]);
            Assert.That(() => LogBaseFile.Read(fileSystem, "/data/log.base"), Throws.TypeOf<StorageDamagedException>(), $"{offset} bytes");
        }
    }

    [Test]
    public void Replacing_a_database_metadata_record_is_atomic_under_crashes()
    {
        for (var seed = 1; seed <= 500; seed++)
        {
            var random = new Random(seed);
            var fileSystem = NewFileSystem(seed);
            var meta = StorageFormatTests.SampleMeta;
            using var file = DatabaseMetaFile.Create(fileSystem, "/data/a.meta", meta);
            var attempted = meta;
            fileSystem.CrashAfterOperations = random.Next(20);
            try
            {
                while (true)
                {
                    attempted = meta with { CheckpointTarget = meta.CheckpointTarget.Next };
                    file.Write(attempted);
                    meta = attempted;
                }
            }
            catch (StorageFailedException)
            {
                fileSystem.Crash();
            }

            using var reopened = DatabaseMetaFile.Open(fileSystem, "/data/a.meta");
            Assert.That(reopened.Meta, Is.EqualTo(meta).Or.EqualTo(attempted), $"seed {seed}");
        }
    }
}
