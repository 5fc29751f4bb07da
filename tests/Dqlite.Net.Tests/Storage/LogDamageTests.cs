using Dqlite.Net.Storage;
using Dqlite.Raft;
using static Dqlite.Net.Tests.Storage.LogTestBed;

namespace Dqlite.Net.Tests.Storage;

/// <summary>A flipped byte, a missing or an exchanged file: the log either shows every entry that was durable, or refuses to open.</summary>
public sealed class LogDamageTests
{
    private const int BaseIndex = 6;

    /// <summary>Several segments, a compacted front, a truncation, the end covered by an idle mark.</summary>
    private static (SimulatedFileSystem FileSystem, string[] Expected) Build(int seed = 1)
    {
        var fileSystem = NewFileSystem();
        using var log = Open(fileSystem, options: Options(seed));
        log.AppendAndFlush(Entries(1, 14, 1, 700));
        log.Compact(new LogIndex(BaseIndex));
        log.AppendAndFlush(Entries(15, 24, 2, 300));
        log.TruncateFrom(new LogIndex(21));
        log.AppendAndFlush(Entries(21, 23, 3, 40));
        log.AppendAndFlush(Entries(24, 30, 3, 1000));
        log.AppendAndFlush(Entries(31, 32, 3, 33));
        log.WriteIdleMark();
        log.PrepareNext();
        return (fileSystem, Describe(log.ReadAll()));
    }

    private static string[]? TryOpen(SimulatedFileSystem fileSystem)
    {
        try
        {
            using var log = Open(fileSystem, BaseIndex, 1, Options(seed: 99));
            return Describe(log.ReadAll());
        }
        catch (LogDamagedException)
        {
            return null;
        }
    }

    private static string[] Segments(SimulatedFileSystem fileSystem) =>
        fileSystem.ListFiles(LogDirectory).Where(name => name.EndsWith(LogSegment.Extension, StringComparison.Ordinal))
            .Select(name => Path.Combine(LogDirectory, name)).ToArray();

    private static string[]? OpenWithFlippedByte(SimulatedFileSystem original, string path, int offset, byte flip = 0x41)
    {
        var fileSystem = original.Clone();
        fileSystem.Content(path)[offset] ^= flip;
        return TryOpen(fileSystem);
    }

    [Test]
    public void The_undamaged_log_opens()
    {
        var (fileSystem, expected) = Build();
        Assert.That(Segments(fileSystem), Has.Length.GreaterThan(4));
        Assert.That(TryOpen(fileSystem), Is.EqualTo(expected));
    }

    [Test]
    public void No_single_flipped_byte_loses_or_changes_an_entry_silently()
    {
        var (fileSystem, expected) = Build();
        var refused = 0;
        foreach (var path in Segments(fileSystem))
        {
            for (var offset = 0; offset < fileSystem.Content(path).Length; offset++)
            {
                if (offset is > 64 and < LogFormat.SegmentHeaderBytes && offset % 64 != 0)
                {
                    continue; // the unused rest of the header's page
                }

                var result = OpenWithFlippedByte(fileSystem, path, offset);
                refused += result is null ? 1 : 0;
                Assert.That(result, Is.Null.Or.EqualTo(expected), $"byte {offset} of {path}");
            }
        }

        Assert.That(refused, Is.GreaterThan(15_000), "the flips must have hit records");
    }

    [TestCase("magic of the header", 0, 3)]
    [TestCase("version of the header", 0, 8)]
    [TestCase("sequence of the header", 0, 16)]
    [TestCase("salt of the header", 0, 24)]
    [TestCase("previous salt of the header", 0, 32)]
    [TestCase("checksum of the header", 0, 61)]
    [TestCase("crc", LogFormat.SegmentHeaderBytes, 0)]
    [TestCase("length", LogFormat.SegmentHeaderBytes, 4)]
    [TestCase("high byte of the length", LogFormat.SegmentHeaderBytes, 7)]
    [TestCase("kind", LogFormat.SegmentHeaderBytes, 8)]
    [TestCase("magic of a record", LogFormat.SegmentHeaderBytes, 10)]
    [TestCase("index", LogFormat.SegmentHeaderBytes, 16)]
    [TestCase("term", LogFormat.SegmentHeaderBytes, 24)]
    [TestCase("durable index", LogFormat.SegmentHeaderBytes, 32)]
    [TestCase("durable offset", LogFormat.SegmentHeaderBytes, 40)]
    [TestCase("payload", LogFormat.SegmentHeaderBytes, 60)]
    public void A_flipped_byte_in_the_durable_range_is_damage_in_every_segment(string what, int start, int offset)
    {
        var (fileSystem, _) = Build();
        foreach (var path in Segments(fileSystem)[..^1])
        {
            Assert.That(OpenWithFlippedByte(fileSystem, path, start + offset, 1), Is.Null, $"{what}, {path}");
        }
    }

    [Test]
    public void Damage_names_file_offset_index_and_what_to_do()
    {
        var (fileSystem, _) = Build();
        var path = Segments(fileSystem)[1];
        fileSystem.Content(path)[LogFormat.SegmentHeaderBytes + 100] ^= 1;
        var exception = Assert.Throws<LogDamagedException>(() => Open(fileSystem, BaseIndex, 1))!;
        Assert.That((exception.Path, exception.Offset), Is.EqualTo((path, (long)LogFormat.SegmentHeaderBytes)));
        Assert.That(exception.Index.Value, Is.InRange(7, 24));
        Assert.That(exception.Message, Does.Contain(path).And.Contain("delete its data directory and join it again"));
    }

    [Test]
    public void The_last_record_without_a_mark_behind_it_is_a_torn_tail_and_the_log_goes_on()
    {
        var fileSystem = NewFileSystem();
        using (var log = Open(fileSystem))
        {
            log.AppendAndFlush(Entries(1, 3, 1, 100));
            log.Append([Entry(4, 1, 100)]);
        }

        fileSystem.Content(Segments(fileSystem)[0])[LogFormat.SegmentHeaderBytes + 48 + (3 * 152) + 60] ^= 1;
        using (var log = Open(fileSystem))
        {
            Assert.That(log.LastIndex.Value, Is.EqualTo(3));
            log.AppendAndFlush(Entry(4, 2, 30));
        }

        using var reopened = Open(fileSystem);
        Assert.That(Describe(reopened.ReadAll()), Is.EqualTo(Describe([.. Entries(1, 3, 1, 100), Entry(4, 2, 30)])));
    }

    [Test]
    public void Valid_records_behind_a_torn_one_of_the_same_batch_are_cut_and_never_come_back()
    {
        var fileSystem = NewFileSystem();
        using (var log = Open(fileSystem))
        {
            log.AppendAndFlush(Entries(1, 2, 1, 100));
            log.Append(Entries(3, 6, 1, 100));
        }

        var path = Segments(fileSystem)[0];
        var torn = LogFormat.SegmentHeaderBytes + 48 + (2 * 152);
        fileSystem.Content(path)[torn + 60] ^= 1;
        using (var log = Open(fileSystem))
        {
            Assert.That(log.LastIndex.Value, Is.EqualTo(2));
            log.AppendAndFlush(Entry(3, 2, 100)); // of the size of the torn one: the stale ones would follow it
        }

        using var reopened = Open(fileSystem);
        Assert.That(Describe(reopened.ReadAll()), Is.EqualTo(Describe([.. Entries(1, 2, 1, 100), Entry(3, 2, 100)])));
    }

    [Test]
    public void A_damaged_truncation_record_never_brings_the_old_entries_back()
    {
        var fileSystem = NewFileSystem();
        using (var log = Open(fileSystem))
        {
            log.AppendAndFlush(Entries(1, 10, 1, 100));
            log.TruncateFrom(new LogIndex(4));
            log.AppendAndFlush(Entries(4, 5, 2, 100));
        }

        fileSystem.Content(Segments(fileSystem)[1])[LogFormat.SegmentHeaderBytes + 16] ^= 1;
        Assert.That(() => Open(fileSystem), Throws.TypeOf<LogDamagedException>());
    }

    [Test]
    public void A_missing_segment_is_damage_unless_it_holds_nothing()
    {
        var (original, expected) = Build();
        var paths = Segments(original);
        for (var i = 0; i < paths.Length; i++)
        {
            var fileSystem = original.Clone();
            fileSystem.Tamper(paths[i], null);
            Assert.That(TryOpen(fileSystem), i == paths.Length - 1 ? Is.EqualTo(expected) : Is.Null, paths[i]);
        }
    }

    [Test]
    public void Exchanged_segments_are_damage()
    {
        var (original, _) = Build();
        var paths = Segments(original);
        for (var i = 0; i < paths.Length; i++)
        {
            for (var j = 0; j < i; j++)
            {
                var fileSystem = original.Clone();
                fileSystem.Tamper(paths[i], "/data/log/x");
                fileSystem.Tamper(paths[j], paths[i]);
                fileSystem.Tamper("/data/log/x", paths[j]);
                Assert.That(TryOpen(fileSystem), Is.Null, $"{paths[i]} and {paths[j]}");
            }
        }
    }

    [Test]
    public void A_segment_of_another_log_with_the_same_history_is_damage()
    {
        var (original, _) = Build();
        var (other, _) = Build(seed: 5);
        foreach (var path in Segments(original))
        {
            var fileSystem = original.Clone();
            fileSystem.SetContent(path, other.Content(path));
            Assert.That(TryOpen(fileSystem), Is.Null, path);
        }
    }

    [Test]
    public void A_segment_that_lost_its_end_is_damage()
    {
        var (original, expected) = Build();
        foreach (var path in Segments(original)[..^1])
        {
            foreach (var size in new[] { 0, 100, 4096, 4200, 5000 })
            {
                var fileSystem = original.Clone();
                fileSystem.SetContent(path, fileSystem.Content(path)[..size]);
                Assert.That(TryOpen(fileSystem), Is.Null.Or.EqualTo(expected), $"{path} with {size} bytes");
                Assert.That(size >= 4200 || TryOpen(fileSystem) is null, Is.True);
            }
        }
    }

    [Test]
    public void A_lost_write_in_the_middle_is_damage()
    {
        var (original, _) = Build();
        var path = Segments(original)[1];
        original.Content(path).AsSpan(LogFormat.SegmentHeaderBytes + 512, 512).Clear();
        Assert.That(TryOpen(original), Is.Null);
    }

    [Test]
    public void A_read_verifies_what_it_returns()
    {
        var fileSystem = NewFileSystem();
        using var log = Open(fileSystem);
        log.AppendAndFlush(Entries(1, 3, 1, 100));
        fileSystem.Content(Segments(fileSystem)[0])[LogFormat.SegmentHeaderBytes + 48 + 152 + 70] ^= 1;
        Assert.That(log.Read(new LogIndex(1), new LogIndex(1), 1000), Has.Count.EqualTo(1));
        var exception = Assert.Throws<LogDamagedException>(() => log.Read(new LogIndex(1), new LogIndex(3), 1000))!;
        Assert.That((exception.Index.Value, exception.Offset), Is.EqualTo((2L, 4096L + 48 + 152)));
    }
}
