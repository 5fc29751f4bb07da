using Dqlite.Net.Storage;
using Dqlite.Raft;
using static Dqlite.Net.Tests.Storage.LogTestBed;

namespace Dqlite.Net.Tests.Storage;

public sealed class SegmentedLogTests
{
    [Test]
    public void Appended_entries_are_read_back_and_survive_a_reopen()
    {
        var fileSystem = NewFileSystem();
        LogEntry[] entries = [Entry(1, 1, 0, EntryKind.NoOp), Entry(2, 1, 7), Entry(3, 1, 64, EntryKind.Configuration), Entry(4, 2, 1000)];
        using (var log = Open(fileSystem))
        {
            log.AppendAndFlush(entries);
            Assert.That(Describe(log.ReadAll()), Is.EqualTo(Describe(entries)));
        }

        using var reopened = Open(fileSystem);
        Assert.That(Describe(reopened.ReadAll()), Is.EqualTo(Describe(entries)));
        Assert.That(reopened.EntryInfos(), Is.EqualTo(entries.Select(entry => new EntryInfo(entry.Term, entry.Kind, entry.Payload.Length))));
        Assert.That(Describe(reopened.ConfigurationEntries()), Is.EqualTo(new[] { Describe(entries[2]) }));
        Assert.That((reopened.FirstIndex.Value, reopened.LastIndex.Value, reopened.DurableIndex.Value), Is.EqualTo((1L, 4L, 4L)));
        Assert.That(reopened.TermAt(new LogIndex(4)), Is.EqualTo(new Term(2)));
        Assert.That(reopened.TermAt(new LogIndex(5)), Is.Null);
    }

    [Test]
    public void An_entry_is_durable_only_after_the_flush()
    {
        using var log = Open(NewFileSystem());
        log.Append([Entry(1, 1, 10)]);
        Assert.That((log.LastIndex.Value, log.DurableIndex.Value), Is.EqualTo((1L, 0L)));
        log.Flush();
        Assert.That(log.DurableIndex.Value, Is.EqualTo(1));
    }

    [Test]
    public void The_log_goes_on_in_new_segments_and_takes_entries_larger_than_one()
    {
        var fileSystem = NewFileSystem();
        var entries = Entries(1, 30, 1, 700).Append(Entry(31, 1, 50_000)).Concat(Entries(32, 40, 2, 700)).ToArray();
        using (var log = Open(fileSystem))
        {
            log.AppendAndFlush(entries);
            Assert.That(Describe(log.ReadAll()), Is.EqualTo(Describe(entries)));
        }

        Assert.That(fileSystem.ListFiles(LogDirectory).Count, Is.GreaterThan(5));
        using var reopened = Open(fileSystem);
        Assert.That(Describe(reopened.ReadAll()), Is.EqualTo(Describe(entries)));
    }

    [Test]
    public void A_read_is_bounded_in_bytes_and_returns_at_least_one_entry()
    {
        using var log = Open(NewFileSystem());
        log.AppendAndFlush(Entries(1, 10, 1, 100));
        Assert.That(log.Read(new LogIndex(3), new LogIndex(10), 350)!.Select(entry => entry.Index.Value), Is.EqualTo(new[] { 3L, 4L, 5L }));
        Assert.That(log.Read(new LogIndex(3), new LogIndex(10), 1)!.Select(entry => entry.Index.Value), Is.EqualTo(new[] { 3L }));
        Assert.That(log.Read(new LogIndex(9), new LogIndex(99), 1000)!.Select(entry => entry.Index.Value), Is.EqualTo(new[] { 9L, 10L }));
        Assert.That(log.Read(new LogIndex(11), new LogIndex(99), 1000), Is.Empty);
    }

    [Test]
    public void Entries_out_of_sequence_are_refused_without_effect()
    {
        using var log = Open(NewFileSystem());
        log.AppendAndFlush(Entry(1, 2, 10));
        Assert.That(() => log.Append([Entry(3, 2, 10)]), Throws.InvalidOperationException);
        Assert.That(() => log.Append([Entry(2, 1, 10)]), Throws.InvalidOperationException);
        log.AppendAndFlush(Entry(2, 2, 10));
        Assert.That(log.LastIndex.Value, Is.EqualTo(2));
    }

    [Test]
    public void A_truncation_is_durable_and_its_place_is_taken_by_other_entries()
    {
        var fileSystem = NewFileSystem();
        var kept = Entries(1, 12, 1, 700);
        var replacement = Entries(13, 16, 3, 300);
        using (var log = Open(fileSystem))
        {
            log.AppendAndFlush(kept);
            log.AppendAndFlush(Entries(13, 30, 2, 700));
            log.TruncateFrom(new LogIndex(13));
            Assert.That((log.LastIndex.Value, log.DurableIndex.Value), Is.EqualTo((12L, 12L)));
            fileSystem.Crash();
        }

        using (var log = Open(fileSystem))
        {
            Assert.That(Describe(log.ReadAll()), Is.EqualTo(Describe(kept)));
            log.AppendAndFlush(replacement);
        }

        using var reopened = Open(fileSystem);
        Assert.That(Describe(reopened.ReadAll()), Is.EqualTo(Describe(kept.Concat(replacement))));
    }

    [Test]
    public void The_whole_log_can_be_truncated()
    {
        var fileSystem = NewFileSystem();
        using (var log = Open(fileSystem))
        {
            log.AppendAndFlush(Entries(1, 5, 1, 100));
            log.TruncateFrom(new LogIndex(1));
            log.AppendAndFlush(Entries(1, 2, 2, 100));
        }

        using var reopened = Open(fileSystem);
        Assert.That(Describe(reopened.ReadAll()), Is.EqualTo(Describe(Entries(1, 2, 2, 100))));
    }

    [Test]
    public void Compaction_drops_whole_segments_and_uses_their_files_again()
    {
        var fileSystem = NewFileSystem();
        var options = Options();
        using (var log = Open(fileSystem, options: options))
        {
            for (var index = 1; index <= 200; index += 5)
            {
                log.AppendAndFlush(Entries(index, index + 4, 1, 700));
                if (index > 20)
                {
                    log.Compact(new LogIndex(index - 10));
                }
            }

            Assert.That((log.FirstIndex.Value, log.LastIndex.Value), Is.EqualTo((187L, 200L)));
            Assert.That(log.Read(new LogIndex(186), new LogIndex(190), 1000), Is.Null);
            Assert.That(log.TermAt(new LogIndex(186)), Is.EqualTo(new Term(1)));
            Assert.That(log.SizeBytes, Is.LessThan(25 * 800));
        }

        var files = fileSystem.ListFiles(LogDirectory);
        Assert.That(files.Count, Is.LessThanOrEqualTo(8), string.Join(' ', files));
        Assert.That(files.Count(name => name.EndsWith(".spare", StringComparison.Ordinal)), Is.LessThanOrEqualTo(options.MaxSpareSegments));
        using var reopened = Open(fileSystem, 186, 1, options);
        Assert.That(Describe(reopened.ReadAll()), Is.EqualTo(Describe(Entries(187, 200, 1, 700))));
    }

    [Test]
    public void A_recycled_file_shows_none_of_its_old_records()
    {
        var fileSystem = NewFileSystem();
        var options = Options();
        using (var log = Open(fileSystem, options: options))
        {
            log.AppendAndFlush(Entries(1, 30, 1, 700));
            log.Compact(new LogIndex(30));
            log.AppendAndFlush(Entries(31, 33, 1, 700));
            log.TruncateFrom(new LogIndex(33)); // moves to a recycled file, full of records of the same sizes
            log.AppendAndFlush(Entry(33, 2, 700));
        }

        using var reopened = Open(fileSystem, 30, 1, options);
        Assert.That(Describe(reopened.ReadAll()), Is.EqualTo(Describe([.. Entries(31, 32, 1, 700), Entry(33, 2, 700)])));
    }

    [Test]
    public void A_reset_empties_the_log_behind_an_installed_state()
    {
        var fileSystem = NewFileSystem();
        using (var log = Open(fileSystem))
        {
            log.AppendAndFlush(Entries(1, 30, 1, 700));
            log.Reset(new LogIndex(100), new Term(4));
            Assert.That((log.FirstIndex.Value, log.LastIndex.Value, log.DurableIndex.Value), Is.EqualTo((101L, 100L, 100L)));
            log.AppendAndFlush(Entries(101, 103, 4, 50));
        }

        using var reopened = Open(fileSystem, 100, 4);
        Assert.That(Describe(reopened.ReadAll()), Is.EqualTo(Describe(Entries(101, 103, 4, 50))));
    }

    [TestCase(100, 4, TestName = "A_reset_that_a_crash_prevented_is_done_at_the_next_open_when_the_log_is_shorter")]
    [TestCase(20, 4, TestName = "A_reset_that_a_crash_prevented_is_done_at_the_next_open_when_the_log_has_another_term_there")]
    public void A_reset_that_a_crash_prevented_is_done_at_the_next_open(long baseIndex, long baseTerm)
    {
        var fileSystem = NewFileSystem();
        using (var log = Open(fileSystem))
        {
            log.AppendAndFlush(Entries(1, 30, 1, 700));
        }

        for (var i = 0; i < 2; i++)
        {
            using var reopened = Open(fileSystem, baseIndex, baseTerm);
            Assert.That((reopened.FirstIndex.Value, reopened.LastIndex.Value), Is.EqualTo((baseIndex + 1, baseIndex)));
        }
    }

    [Test]
    public void After_a_failed_flush_every_call_fails_for_good()
    {
        var fileSystem = NewFileSystem();
        using (var log = Open(fileSystem))
        {
            log.AppendAndFlush(Entry(1, 1, 10));
            log.Append([Entry(2, 1, 10)]);
            fileSystem.FailNextSyncOf = ".segment";
            Assert.That(log.Flush, Throws.TypeOf<StorageFailedException>());
            Assert.That(log.DurableIndex.Value, Is.EqualTo(1));
            Assert.That(log.Flush, Throws.TypeOf<StorageFailedException>());
            Assert.That(() => log.Append([Entry(3, 1, 10)]), Throws.TypeOf<StorageFailedException>());
            Assert.That(log.WriteIdleMark, Throws.TypeOf<StorageFailedException>());
            Assert.That(() => log.TruncateFrom(new LogIndex(1)), Throws.TypeOf<StorageFailedException>());
            Assert.That(() => log.Compact(new LogIndex(1)), Throws.TypeOf<StorageFailedException>());
            Assert.That(log.PrepareNext, Throws.TypeOf<StorageFailedException>());
        }

        fileSystem.Crash();
        using var reopened = Open(fileSystem);
        Assert.That(reopened.LastIndex.Value, Is.EqualTo(1));
    }

    [Test]
    public void With_a_full_disk_the_log_takes_what_still_fits_and_grows_again_later()
    {
        var fileSystem = NewFileSystem();
        using var log = Open(fileSystem);
        log.AppendAndFlush(Entry(1, 1, 700));
        fileSystem.CapacityBytes = 10_000;
        log.PrepareNext();
        Assert.That(log.CanGrow, Is.False);
        Assert.That(log.AvailableBytes, Is.GreaterThan(2000));
        log.AppendAndFlush(Entry(2, 1, 700));
        Assert.That(() => log.Append(Entries(3, 20, 1, 700)), Throws.TypeOf<LogFullException>());
        var last = log.LastIndex.Value;
        log.AppendAndFlush(Entry(last + 1, 1, 10)); // a heartbeat's worth still goes in
        fileSystem.CapacityBytes = long.MaxValue;
        log.PrepareNext();
        Assert.That(log.CanGrow, Is.True);
        log.AppendAndFlush(Entries(last + 2, 40, 1, 700));
        Assert.That(log.DurableIndex.Value, Is.EqualTo(40));
    }

    [Test]
    public void An_idle_log_writes_its_mark_once()
    {
        var fileSystem = NewFileSystem();
        using var log = Open(fileSystem);
        log.WriteIdleMark();
        var size = log.SizeBytes;
        log.AppendAndFlush(Entry(1, 1, 16));
        log.WriteIdleMark();
        log.WriteIdleMark();
        Assert.That((size, log.SizeBytes), Is.EqualTo((48L, 48L + 64 + 48)));
        log.AppendAndFlush(Entry(2, 1, 16));
        Assert.That(Describe(log.ReadAll()), Is.EqualTo(Describe(Entries(1, 2, 1, 16))));
    }

    [Test]
    public void A_reader_keeps_the_file_of_a_segment_that_is_dropped_meanwhile()
    {
        var fileSystem = new PausingFileSystem(NewFileSystem());
        using var log = SegmentedLog.Open(fileSystem, LogDirectory, Options(), LogIndex.Zero, Term.Zero);
        log.AppendAndFlush(Entries(1, 30, 1, 700));
        fileSystem.BeforeNextRead = () =>
        {
            log.Compact(new LogIndex(30));
            log.AppendAndFlush(Entries(31, 60, 1, 700)); // would take the dropped files
            log.PrepareNext();
        };
        Assert.That(Describe(log.Read(new LogIndex(1), new LogIndex(5), 10_000)!), Is.EqualTo(Describe(Entries(1, 5, 1, 700))));
    }

    [Test]
    public void A_log_that_must_exist_is_not_created()
    {
        Assert.That(() => Open(NewFileSystem(), options: Options() with { MustExist = true }), Throws.TypeOf<LogDamagedException>());
    }
}
