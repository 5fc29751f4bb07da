using Dqlite.Net.Storage;
using Dqlite.Sqlite;

namespace Dqlite.Net.Tests.Storage;

/// <summary>A file that is written past the page cache holds what one holds that is written through it.</summary>
public sealed class DirectFileTests
{
    private const DurableFileMode ReadWrite = DurableFileMode.Read | DurableFileMode.Write;
    private string _path = "";

    [SetUp]
    public void Create()
    {
        _path = Path.Combine(Directory.CreateTempSubdirectory("dqlite-direct-").FullName, "0001.segment");
        File.WriteAllBytes(_path, new byte[1 << 20]);
    }

    [TearDown]
    public void Delete() => Directory.Delete(Path.GetDirectoryName(_path)!, recursive: true);

    [Test]
    public void Random_appends_and_flushes_leave_the_same_bytes_and_are_read_at_once([Range(1, 12)] int seed)
    {
        var random = new Random(seed);
        var expected = new byte[1 << 20];
        long end = random.Next(3) * 100;
        var file = RealFileSystem.Instance.OpenForAppends(_path);
        for (var i = 0; i < 300; i++)
        {
            var piece = new byte[random.Next(random.Next(8) == 0 ? 20_000 : 700)];
            random.NextBytes(piece);
            if (end + piece.Length > expected.Length - 8192)
            {
                break;
            }

            piece.CopyTo(expected, end);
            if (random.Next(2) == 0)
            {
                file.Write(piece, end);
            }
            else
            {
                var middle = piece.Length / 2;
                file.WriteVectored([piece.AsMemory(0, middle), piece.AsMemory(middle)], end);
            }

            end += piece.Length;
            AssertRead(file, expected, end, random);
            switch (random.Next(6))
            {
                case 0 or 1 or 2:
                    file.DataSync();
                    Assert.That(File.ReadAllBytes(_path).AsSpan(0, (int)end).SequenceEqual(expected.AsSpan(0, (int)end)), Is.True, "what is flushed is in the file");
                    break;
                case 3:
                    file.Sync();
                    file.Dispose();
                    file = RealFileSystem.Instance.OpenForAppends(_path);
                    break;
                case 4:
                    end += random.Next(2) * random.Next(9000); // something lies between
                    break;
                default:
                    break;
            }
        }

        file.Sync();
        file.Dispose();
        Assert.That(File.ReadAllBytes(_path).AsSpan(0, (int)end).SequenceEqual(expected.AsSpan(0, (int)end)), Is.True);
        Assert.That(new FileInfo(_path).Length, Is.EqualTo(expected.Length), "the file is no longer than it was");
    }

    [Test]
    public void What_was_not_flushed_is_gone_with_the_process_and_nothing_else_is()
    {
        using (var file = RealFileSystem.Instance.OpenForAppends(_path))
        {
            file.Write("flushed"u8, 4090);
            file.DataSync();
            file.Write("lost"u8, 4097);
        }

        using var again = RealFileSystem.Instance.OpenForAppends(_path);
        var bytes = new byte[11];
        again.Read(bytes, 4090);
        Assert.That(bytes.AsSpan(0, 7).SequenceEqual("flushed"u8), Is.True);
        again.Write("here"u8, 4097);
        again.DataSync();
        again.Read(bytes, 4090);
        Assert.That(bytes.AsSpan().SequenceEqual("flushedhere"u8), Is.True);
    }

    [Test]
    public void A_disk_that_refuses_such_writes_gets_ordinary_ones()
    {
        var plain = RealFileSystem.Instance.Open(_path, ReadWrite);
        using (var file = DirectFile.Wrap(plain, () => new Refusing(RealFileSystem.Instance.Open(_path, ReadWrite))))
        {
            file.Write("one"u8, 10);
            file.DataSync();
            file.Write("two"u8, 13);
            file.DataSync();
        }

        Assert.That(File.ReadAllBytes(_path).AsSpan(10, 6).SequenceEqual("onetwo"u8), Is.True);
    }

    [Test]
    public void A_file_system_that_cannot_pass_by_its_cache_gives_the_file_itself()
    {
        using var plain = RealFileSystem.Instance.Open(_path, ReadWrite);
        Assert.That(DirectFile.Wrap(plain, () => throw new DurableIOException(22, "open", _path)), Is.SameAs(plain));
    }

    [Test]
    public void A_write_that_fails_is_reported_by_the_flush()
    {
        using var file = DirectFile.Wrap(RealFileSystem.Instance.Open(_path, ReadWrite), () => new Refusing(RealFileSystem.Instance.Open(_path, ReadWrite), errno: 5));
        file.Write("x"u8, 0);
        Assert.That(() => file.DataSync(), Throws.TypeOf<DurableIOException>().With.Property("Errno").EqualTo(5));
    }

    private static void AssertRead(IDurableFile file, byte[] expected, long end, Random random)
    {
        var from = random.Next((int)end + 1);
        var bytes = new byte[Math.Min(random.Next(9000), end - from)];
        Assert.That(file.Read(bytes, from), Is.EqualTo(bytes.Length));
        Assert.That(bytes.AsSpan().SequenceEqual(expected.AsSpan(from, bytes.Length)), Is.True, $"bytes {from} to {from + bytes.Length}, written up to {end}");
    }

    private sealed class Refusing(IDurableFile inner, int errno = 22) : IDurableFile
    {
        public string Path => inner.Path;

        public long Length => inner.Length;

        public int Read(Span<byte> destination, long offset) => inner.Read(destination, offset);

        public void Write(ReadOnlySpan<byte> source, long offset) => throw new DurableIOException(errno, "write", Path);

        public void WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers, long offset) => throw new DurableIOException(errno, "write", Path);

        public void Truncate(long sizeBytes) => inner.Truncate(sizeBytes);

        public void Allocate(long offset, long sizeBytes) => inner.Allocate(offset, sizeBytes);

        public void DataSync() => inner.DataSync();

        public void Sync() => inner.Sync();

        public FileState GetState() => inner.GetState();

        public bool TryLock() => inner.TryLock();

        public void Dispose() => inner.Dispose();
    }
}
