using System.Buffers.Binary;
using Dqlite.Net.Engine;
using Dqlite.Net.Storage;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>
/// NAME.db, NAME.sums and an entry of pages, through the real shim and SQLite. An input holds what is opened, the entry that is then applied, and
/// the database as written unless checksums were forged: then a page is read as it was written, or not at all.
/// </summary>
internal sealed class DatabaseTarget : FuzzTarget
{
    private const int SumsHeaderBytes = 32;
    private const int SampleParts = 3;

    private readonly Lazy<DatabaseSample[]> _samples = new(() =>
        [DatabaseSample.Write(512, 0), DatabaseSample.Write(512, 2), DatabaseSample.Write(1024, 1), DatabaseSample.Write(4096, 0)]);

    public override string Name => "database";

    public override byte[] Generate(SeededRandom random)
    {
        var written = random.Pick(_samples.Value);
        var damaged = Damage(written, random, new Mutator(random));
        var isForged = random.Chance(0.5);
        if (isForged)
        {
            damaged = Forge(damaged, random);
        }

        return Blobs.Join([.. damaged.Encode(), Entry(written, random), isForged ? [] : written.Database]);
    }

    public override FuzzCase Prepare(byte[] input)
    {
        var parts = Blobs.Split(input);
        return new Case(DatabaseSample.Decode(parts.AsSpan(0, SampleParts)), parts[SampleParts], parts[SampleParts + 1]);
    }

    private static DatabaseSample Damage(DatabaseSample written, SeededRandom random, Mutator mutator)
    {
        for (var i = random.Next(3); i > 0; i--)
        {
            written = random.Next(9) switch
            {
                0 => written with { Sums = mutator.Mutate(written.Sums, () => written.Sums) },
                1 => written with { Sums = mutator.SetNumber(written.Sums, 4 * random.Next(SumsHeaderBytes / 4), 4) },
                2 => written with { Database = mutator.Mutate(written.Database, () => written.Database) },
                3 => written with { PageCount = (uint)(written.PageCount + random.Between(-2, 2)) },
                4 => written with { Database = mutator.SetNumber(written.Database, random.Next(100 / 4) * 4, 4) },
                5 => written with { Checksum = random.NextBits() },
                6 => written with { Database = SwapPages(written, random) },
                _ => written with { Database = CorruptPage(written, random, mutator) },
            };
        }

        return written;
    }

    /// <summary>Also the headers of b-tree pages, which a random place seldom meets.</summary>
    private static byte[] CorruptPage(DatabaseSample sample, SeededRandom random, Mutator mutator)
    {
        var pages = sample.Database.Length / sample.PageSize;
        if (pages == 0)
        {
            return sample.Database;
        }

        var start = random.Next(pages) * sample.PageSize;
        var size = random.Chance(0.5) ? 16 : sample.PageSize;
        var copy = (byte[])sample.Database.Clone();
        mutator.Corrupt(copy[start..(start + size)]).CopyTo(copy.AsSpan(start));
        return copy;
    }

    private static byte[] SwapPages(DatabaseSample sample, SeededRandom random)
    {
        var pages = sample.Database.Length / sample.PageSize;
        var copy = (byte[])sample.Database.Clone();
        if (pages > 0)
        {
            var (from, to) = (random.Next(pages) * sample.PageSize, random.Next(pages) * sample.PageSize);
            sample.Database.AsSpan(from, sample.PageSize).CopyTo(copy.AsSpan(to));
        }

        return copy;
    }

    /// <summary>Makes all checksums right, so that SQLite gets to see the damage.</summary>
    private static DatabaseSample Forge(DatabaseSample damaged, SeededRandom random)
    {
        var header = damaged.Sums.Length >= SumsHeaderBytes && random.Chance(0.9) ? damaged.Sums[..SumsHeaderBytes] : [];
        var sums = DatabaseSample.SumsOf(damaged.Database, header, damaged.PageSize);
        var checksum = 0UL;
        for (var page = 0; page < damaged.PageCount && SumsHeaderBytes + (8 * (page + 1)) <= sums.Length; page++)
        {
            checksum ^= BinaryPrimitives.ReadUInt64LittleEndian(sums.AsSpan(SumsHeaderBytes + (8 * page)));
        }

        return damaged with { Sums = sums, Checksum = checksum };
    }

    /// <summary>An entry for pages within and a little beyond the database: a quorum has agreed on what is applied, so its size is believed.</summary>
    private static byte[] Entry(DatabaseSample sample, SeededRandom random)
    {
        var count = random.Next(3);
        var pageCount = random.Chance(0.05) ? random.Pick<uint>([0, uint.MaxValue]) : (uint)random.Between(1, sample.PageCount + 3);
        var pageSize = random.Chance(0.95) ? sample.PageSize : 512 << random.Next(4);
        var numbers = new uint[count];
        for (var i = 0; i < count; i++)
        {
            numbers[i] = (uint)random.Next((int)sample.PageCount + 4);
        }

        return EntryTarget.Pages(random, new PagesHeader(1, 0, pageSize, pageCount, count, random.Chance(0.5) ? 0 : random.NextBits(), random.Chance(0.5)), numbers);
    }

    private sealed class Case : ShimCase
    {
        private readonly string _path = Path.Combine(Directory, "app.db");
        private readonly DatabaseSample _sample;
        private readonly byte[] _entry;
        private readonly byte[] _written;
        private PageDatabase? _pages;

        public Case(DatabaseSample sample, byte[] entry, byte[] written)
        {
            (_sample, _entry, _written) = (sample, entry, written);
            FuzzDisk.Write(Disk, Directory, [new FuzzFile("app.db", sample.Database), new FuzzFile("app.sums", sample.Sums)]);
        }

        public override void Parse() => _pages = Open(new PageDatabaseOptions
        {
            Path = _path,
            SumsPath = Path.Combine(Directory, "app.sums"),
            PageSize = _sample.PageSize,
            PageCount = _sample.PageCount,
            Checksum = _sample.Checksum,
        });

        public override bool IsRefusal(Exception exception) => exception is ShimException;

        public override void Check()
        {
            CheckPages();
            DatabaseSample.Execute(_path, DatabaseSample.ReadEverything);
            Refusable(Apply);
            Refusable(() =>
            {
                var target = _pages!.State.CommittedLsn;
                _pages.Checkpoint(target);
                _pages.CheckpointDone(target);
            });
            DatabaseSample.Execute(_path, DatabaseSample.ReadEverything);
        }

        public override void Dispose()
        {
            _pages?.Dispose();
            base.Dispose();
        }

        private void CheckPages()
        {
            using var snapshot = _pages!.OpenSnapshot();
            var page = new byte[_sample.PageSize];
            for (uint number = 1; number <= snapshot.PageCount; number++)
            {
                var read = Refusable(() => snapshot.ReadPage(number, page));
                var start = (int)(number - 1) * page.Length;
                Require(!read || _written.Length == 0 || (start + page.Length <= _written.Length && _written.AsSpan(start, page.Length).SequenceEqual(page)),
                    $"page {number} was read as something that was never written");
            }
        }

        /// <summary>As the node applies it.</summary>
        private void Apply()
        {
            var header = EntryCodec.ReadPages(_entry);
            if (header.PageSize == _pages!.PageSize)
            {
                EntryCodec.ApplyPages(_entry, header, _pages);
            }
        }

        private static bool Refusable(Action action)
        {
            try
            {
                action();
                return true;
            }
            catch (Exception exception) when (exception is ShimException or InvalidDataException)
            {
                return false;
            }
        }
    }
}
