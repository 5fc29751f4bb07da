namespace Dqlite.Sqlite.Tests;

public sealed class DurableFileTests
{
    private const int Eio = 5;
    private const int Enospc = 28;
    private const DurableFileMode ReadWriteCreate = DurableFileMode.Read | DurableFileMode.Write | DurableFileMode.Create;

    private TemporaryDirectory _directory = null!;

    [SetUp]
    public void SetUp() => _directory = new TemporaryDirectory();

    [TearDown]
    public void TearDown() => _directory.Dispose();

    private string PathOf(string name) => _directory.File(name);

    [Test]
    public void Written_bytes_are_read_back_and_a_read_ends_at_the_end_of_the_file()
    {
        using var file = DurableFile.Open(PathOf("a"), ReadWriteCreate);
        file.Write([1, 2, 3, 4], 10);
        file.DataSync();
        file.Sync();
        var buffer = new byte[20];
        Assert.That(file.Read(buffer, 8), Is.EqualTo(6));
        Assert.That(buffer[..6], Is.EqualTo(new byte[] { 0, 0, 1, 2, 3, 4 }));
        Assert.That((file.Read(buffer, 100), file.Length), Is.EqualTo((0, 14L)));
    }

    [TestCase(1)]
    [TestCase(256)]
    [TestCase(257)]
    [TestCase(5000)]
    public void A_vectored_write_takes_any_number_of_buffers(int count)
    {
        var random = new Random(count);
        var buffers = Enumerable.Range(0, count).Select(i =>
        {
            var bytes = new byte[i % 7 == 6 ? 0 : random.Next(3000)];
            random.NextBytes(bytes);
            return new ReadOnlyMemory<byte>(bytes);
        }).ToArray();
        using var file = DurableFile.Open(PathOf("v"), ReadWriteCreate);
        file.WriteVectored(buffers, 5);
        var expected = new byte[5].Concat(buffers.SelectMany(buffer => buffer.ToArray())).ToArray();
        Assert.That(File.ReadAllBytes(PathOf("v")), Is.EqualTo(expected));
    }

    [Test]
    public void Truncate_and_allocate_set_the_length()
    {
        using var file = DurableFile.Open(PathOf("t"), ReadWriteCreate);
        file.Allocate(0, 100_000);
        Assert.That(file.Length, Is.EqualTo(100_000));
        file.Truncate(10);
        Assert.That(file.GetState().SizeBytes, Is.EqualTo(10));
    }

    [Test]
    public void Names_change_by_rename_and_delete()
    {
        DurableFile.Open(PathOf("a"), ReadWriteCreate).Dispose();
        DurableFile.Rename(PathOf("a"), PathOf("b"));
        DurableFile.SyncDirectory(_directory.Path);
        Assert.That((File.Exists(PathOf("a")), File.Exists(PathOf("b"))), Is.EqualTo((false, true)));
        DurableFile.Delete(PathOf("b"));
        Assert.That(File.Exists(PathOf("b")), Is.False);
    }

    [Test]
    public void An_exclusive_create_fails_on_an_existing_file_and_truncate_empties_one()
    {
        using (var file = DurableFile.Open(PathOf("x"), ReadWriteCreate | DurableFileMode.Exclusive))
        {
            file.Write([1], 0);
        }

        var exception = Assert.Throws<DurableIOException>(() => DurableFile.Open(PathOf("x"), ReadWriteCreate | DurableFileMode.Exclusive))!;
        Assert.That(exception.Errno, Is.EqualTo(17));
        using var truncated = DurableFile.Open(PathOf("x"), ReadWriteCreate | DurableFileMode.Truncate);
        Assert.That(truncated.Length, Is.Zero);
    }

    [Test]
    public void A_failure_names_operation_file_and_errno()
    {
        var exception = Assert.Throws<DurableIOException>(() => DurableFile.Open(PathOf("missing"), DurableFileMode.Read))!;
        Assert.That((exception.Errno, exception.Operation, exception.Path), Is.EqualTo((2, "open", PathOf("missing"))));
        Assert.That(exception.Message, Does.Contain(PathOf("missing")).And.Contain("No such file"));
    }

    [Test]
    public void A_lock_keeps_out_a_second_opener_of_the_same_process_until_it_is_closed()
    {
        var first = DurableFile.Open(PathOf("lock"), ReadWriteCreate);
        using var second = DurableFile.Open(PathOf("lock"), ReadWriteCreate);
        Assert.That((first.TryLock(), second.TryLock()), Is.EqualTo((true, false)));
        first.Dispose();
        Assert.That(second.TryLock(), Is.True);
    }

    [Test]
    public void The_identity_changes_when_a_file_is_replaced()
    {
        using var file = DurableFile.Open(PathOf("i"), ReadWriteCreate);
        using var other = DurableFile.Open(PathOf("j"), ReadWriteCreate);
        Assert.That(file.GetState().Inode, Is.Not.EqualTo(other.GetState().Inode));
        Assert.That(file.GetState(), Is.EqualTo(file.GetState()));
        Assert.That(file.GetState().MtimeNs, Is.GreaterThan(1_700_000_000_000_000_000));
    }

    [Test]
    public void A_closed_file_refuses_every_call()
    {
        var file = DurableFile.Open(PathOf("c"), ReadWriteCreate);
        file.Dispose();
        Assert.That(() => file.Write([1], 0), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(file.Sync, Throws.TypeOf<ObjectDisposedException>());
    }

    /// <summary>Why this class exists. A character device cannot be fsynced (EINVAL): .NET returns normally.</summary>
    [Test]
    public void The_flush_of_dotnet_hides_a_failed_fsync_and_ours_reports_it()
    {
        using var stream = new FileStream("/dev/null", FileMode.Open, FileAccess.Write);
        Assert.That(() => stream.Flush(flushToDisk: true), Throws.Nothing);
        Assert.That(() => RandomAccess.FlushToDisk(stream.SafeFileHandle), Throws.Nothing);
        using var file = DurableFile.Open("/dev/null", DurableFileMode.Write);
        Assert.That(Assert.Throws<DurableIOException>(file.Sync)!.Errno, Is.EqualTo(22));
        Assert.That(Assert.Throws<DurableIOException>(file.DataSync)!.Errno, Is.EqualTo(22));
    }

    [Test]
    public void Every_failed_system_call_comes_back_as_an_exception_with_its_errno()
    {
        using var faults = ShimFaults.Install();
        using var file = DurableFile.Open(PathOf("f"), ReadWriteCreate);
        file.Write([1], 0);
        (ShimOperation Operation, Action Call)[] cases =
        [
            (ShimOperation.Open, () => DurableFile.Open(PathOf("g"), ReadWriteCreate)),
            (ShimOperation.Read, () => file.Read(new byte[1], 0)),
            (ShimOperation.Write, () => file.Write([1], 0)),
            (ShimOperation.Write, () => file.WriteVectored([new byte[] { 1 }, new byte[] { 2 }], 0)),
            (ShimOperation.Truncate, () => file.Truncate(1)),
            (ShimOperation.Allocate, () => file.Allocate(0, 1)),
            (ShimOperation.DataSync, file.DataSync),
            (ShimOperation.Sync, file.Sync),
            (ShimOperation.Sync, () => DurableFile.SyncDirectory(_directory.Path)),
            (ShimOperation.Stat, () => file.GetState()),
            (ShimOperation.Rename, () => DurableFile.Rename(PathOf("f"), PathOf("h"))),
            (ShimOperation.Unlink, () => DurableFile.Delete(PathOf("f"))),
            (ShimOperation.Lock, () => file.TryLock()),
        ];
        foreach (var (operation, call) in cases)
        {
            faults.Fail(operation, nth: 1, Eio);
            Assert.That(Assert.Throws<DurableIOException>(() => call(), operation.ToString())!.Errno, Is.EqualTo(Eio), operation.ToString());
            Assert.That(() => call(), Throws.Nothing, $"{operation} fails once");
            faults.Clear();
            if (operation == ShimOperation.Rename)
            {
                DurableFile.Rename(PathOf("h"), PathOf("f"));
            }
        }
    }

    [Test]
    public void A_fault_can_hit_the_nth_call_of_one_file_and_stay()
    {
        using var faults = ShimFaults.Install();
        using var victim = DurableFile.Open(PathOf("victim"), ReadWriteCreate);
        using var other = DurableFile.Open(PathOf("other"), ReadWriteCreate);
        faults.Fail(ShimOperation.Write, nth: 3, Enospc, sticky: true, pathPart: "victim");
        for (var i = 0; i < 5; i++)
        {
            other.Write([1], i);
        }

        victim.Write([1], 0);
        victim.Write([1], 1);
        Assert.That(Assert.Throws<DurableIOException>(() => victim.Write([1], 2))!.IsDiskFull, Is.True);
        Assert.That(() => victim.Write([1], 2), Throws.TypeOf<DurableIOException>());
        Assert.That(faults.Count(ShimOperation.Write), Is.EqualTo(9));
    }

    [Test]
    public void An_interceptor_sees_every_call_and_decides_about_it()
    {
        var seen = new List<string>();
        var fates = new Queue<ShimFate>([default, new ShimFate(MaxBytes: 3, After: () => seen.Add("made")), default, new ShimFate(Eio), default]);
        using var faults = ShimFaults.Install(call =>
        {
            seen.Add($"{call.Operation} {Path.GetFileName(call.Path)} {call.Bytes}");
            return fates.Dequeue();
        });
        using (var file = DurableFile.Open(PathOf("f"), ReadWriteCreate))
        {
            file.Write([1, 2, 3, 4, 5], 0);
            Assert.That(Assert.Throws<DurableIOException>(file.DataSync)!.Errno, Is.EqualTo(Eio));
        }

        Assert.That(seen, Is.EqualTo(new[] { "Open f 0", "Write f 5", "made", "Write f 2", "DataSync f 0", "Close f 0" }), "a short write is continued");
        Assert.That(File.ReadAllBytes(PathOf("f")), Is.EqualTo(new byte[] { 1, 2, 3, 4, 5 }));
    }

    [Test]
    public void The_clock_does_not_go_back()
    {
        var last = MonotonicClock.NowNs;
        for (var i = 0; i < 1000; i++)
        {
            var now = MonotonicClock.NowNs;
            Assert.That(now, Is.GreaterThanOrEqualTo(last));
            last = now;
        }
    }
}
