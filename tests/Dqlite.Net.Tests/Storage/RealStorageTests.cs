using System.Diagnostics;
using Dqlite.Net.Storage;
using Dqlite.Raft;
using Dqlite.Sqlite;
using static Dqlite.Net.Tests.Storage.LogTestBed;

namespace Dqlite.Net.Tests.Storage;

/// <summary>The storage code over the file system of the machine.</summary>
public sealed class RealStorageTests
{
    private string _directory = null!;

    private string LogPath => Path.Combine(_directory, "log");

    [SetUp]
    public void SetUp() => _directory = Directory.CreateTempSubdirectory("dqlite-storage-").FullName;

    [TearDown]
    public void TearDown() => Directory.Delete(_directory, recursive: true);

    private SegmentedLog OpenLog(long segmentBytes = 64 * 1024, long baseIndex = 0, long baseTerm = 0) =>
        SegmentedLog.Open(RealFileSystem.Instance, LogPath, new SegmentedLogOptions { SegmentSizeBytes = segmentBytes }, new LogIndex(baseIndex), new Term(baseTerm));

    [Test]
    public void The_log_and_the_small_files_work_on_a_real_disk()
    {
        var entries = Entries(1, 300, 1, 900);
        using (var log = OpenLog())
        {
            log.AppendAndFlush(entries);
            log.TruncateFrom(new LogIndex(251));
            log.Compact(new LogIndex(120));
            log.AppendAndFlush(Entries(251, 260, 2, 90_000)[..1]);
        }

        using (var log = OpenLog(baseIndex: 120, baseTerm: 1))
        {
            Assert.That(Describe(log.ReadAll()), Is.EqualTo(Describe([.. entries[120..250], Entry(251, 2, 90_000)])));
        }

        using (var metadata = MetadataFile.Create(RealFileSystem.Instance, Path.Combine(_directory, "metadata"), new NodeIdentity(new NodeId(1), new string('a', 32), new string('b', 32))))
        {
            metadata.Write(new HardState(new Term(3), new NodeId(2)));
        }

        using var reopened = MetadataFile.Open(RealFileSystem.Instance, Path.Combine(_directory, "metadata"));
        Assert.That(reopened.HardState, Is.EqualTo(new HardState(new Term(3), new NodeId(2))));
    }

    [Test]
    public void A_second_node_is_kept_out_of_the_directory_with_a_text_that_names_it()
    {
        using (NodeLock.Acquire(RealFileSystem.Instance, _directory))
        {
            Assert.That(() => NodeLock.Acquire(RealFileSystem.Instance, _directory),
                Throws.TypeOf<DirectoryInUseException>().With.Message.Contains(_directory).And.Message.Contains("in use by another node"));
        }

        NodeLock.Acquire(RealFileSystem.Instance, _directory).Dispose();
    }

    [Test]
    public void A_lock_of_another_process_keeps_a_node_out()
    {
        var path = Path.Combine(_directory, NodeLock.FileName);
        using var process = Process.Start(new ProcessStartInfo("flock", ["--exclusive", path, "sh", "-c", "echo locked; read line"])
        {
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        })!;
        Assert.That(process.StandardOutput.ReadLine(), Is.EqualTo("locked"));
        Assert.That(() => NodeLock.Acquire(RealFileSystem.Instance, _directory), Throws.TypeOf<DirectoryInUseException>());
        process.StandardInput.WriteLine();
        process.WaitForExit();
        NodeLock.Acquire(RealFileSystem.Instance, _directory).Dispose();
    }

    [Test]
    public void An_EIO_of_the_disk_fails_the_log_for_good_and_acknowledges_nothing()
    {
        const int Eio = 5;
        using var faults = ShimFaults.Install();
        using var log = OpenLog();
        log.AppendAndFlush(Entry(1, 1, 100));
        log.Append([Entry(2, 1, 100)]);

        // Past the page cache a flush is one write; through it, an fdatasync.
        faults.Fail(ShimOperation.Write, nth: 1, Eio);
        faults.Fail(ShimOperation.DataSync, nth: 1, Eio);
        var exception = Assert.Throws<StorageFailedException>(log.Flush)!;
        Assert.That(exception.InnerException, Is.TypeOf<DurableIOException>().With.Property("Errno").EqualTo(Eio));
        Assert.That(log.DurableIndex.Value, Is.EqualTo(1));
        Assert.That(log.Flush, Throws.TypeOf<StorageFailedException>(), "the disk works again, the log does not");
    }

    [Test]
    public void An_ENOSPC_of_the_disk_stops_growth_only()
    {
        const int Enospc = 28;
        using var faults = ShimFaults.Install();
        using var log = OpenLog();
        faults.Fail(ShimOperation.Allocate, nth: 1, Enospc);
        log.PrepareNext();
        Assert.That(log.CanGrow, Is.False);
        Assert.That(Directory.GetFiles(LogPath), Has.Length.EqualTo(1), "no half file is left");
        log.AppendAndFlush(Entry(1, 1, 100));
        log.PrepareNext();
        Assert.That(log.CanGrow, Is.True);
    }

    [Test]
    public void Readers_preparation_and_compaction_run_beside_the_log_thread()
    {
        using var log = OpenLog();
        using var stop = new CancellationTokenSource();
        var reads = 0;
        var readers = Enumerable.Range(0, 2).Select(_ => Task.Factory.StartNew(
            () =>
            {
                while (!stop.IsCancellationRequested)
                {
                    var first = log.FirstIndex;
                    foreach (var entry in log.Read(first, log.LastIndex, 20_000) ?? [])
                    {
                        Assert.That(Describe(entry), Is.EqualTo(Describe(Entry(entry.Index.Value, 1, 500))));
                        Interlocked.Increment(ref reads);
                    }
                }
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToList();
        readers.Add(Task.Factory.StartNew(
            () =>
            {
                while (!stop.IsCancellationRequested)
                {
                    log.PrepareNext();
                    log.Compact(new LogIndex(Math.Max(log.FirstIndex.Previous.Value, log.DurableIndex.Value - 150)));
                }
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default));
        for (var index = 1; index <= 3000; index += 10)
        {
            log.AppendAndFlush(Entries(index, index + 9, 1, 500));
        }

        stop.Cancel();
        Assert.That(() => Task.WaitAll([.. readers]), Throws.Nothing);
        Assert.That(log.DurableIndex.Value, Is.EqualTo(3000));
        Assert.That(log.FirstIndex.Value, Is.InRange(2, 2851), "compacted beside the appends");
        Assert.That(reads, Is.GreaterThan(0));
    }

    /// <summary>Explicit: prints the figures of this machine. `dotnet test --filter FullyQualifiedName~Append_and_flush_costs`.</summary>
    [Test]
    [Explicit("a measurement")]
    public void Append_and_flush_costs_little_more_than_a_bare_fdatasync()
    {
        const int Rounds = 3000;
        using var log = OpenLog(16 << 20);
        var entry = new byte[8192];
        var times = new double[Rounds];
        var bare = new double[Rounds];
        using var file = DurableFile.Open(Path.Combine(_directory, "bare"), DurableFileMode.Read | DurableFileMode.Write | DurableFileMode.Create);
        for (var offset = 0; offset < 32 << 20; offset += entry.Length)
        {
            file.Write(entry, offset);
        }

        file.Sync();
        log.PrepareNext();
        for (var i = 0; i < Rounds; i++)
        {
            var start = Stopwatch.GetTimestamp();
            log.Append([new LogEntry(new LogIndex(i + 1), new Term(1), EntryKind.Application, entry)]);
            log.Flush();
            times[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
            start = Stopwatch.GetTimestamp();
            file.Write(entry, (long)i * entry.Length);
            file.DataSync();
            bare[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
            if (i % 1000 == 0)
            {
                log.PrepareNext();
            }
        }

        Array.Sort(times);
        Array.Sort(bare);
        TestContext.Progress.WriteLine(
            $"append+flush of 8 KiB: p50 {times[Rounds / 2]:F0} us, p99 {times[Rounds * 99 / 100]:F0} us; bare pwrite+fdatasync: p50 {bare[Rounds / 2]:F0} us, p99 {bare[Rounds * 99 / 100]:F0} us");
    }
}
