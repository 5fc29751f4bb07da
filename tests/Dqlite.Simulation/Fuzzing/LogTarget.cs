using Dqlite.Net.Storage;
using Dqlite.Raft;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>
/// The segments of a log. An input holds the damaged files, and mostly the files as they were written: then what is read must be a state that the
/// log may have gone back to (never another entry, never one missing that was durable: R18). Where checksums were forged there is no such promise.
/// </summary>
internal sealed class LogTarget : FuzzTarget
{
    private const int FirstFilePart = 1;

    public override string Name => "log";

    public override byte[] Generate(SeededRandom random)
    {
        var written = LogSample.Write(random.Stream("log"));
        var damaged = written.Files.ToList();
        if (random.Chance(0.97))
        {
            new LogDamage(random).Apply(damaged);
        }

        var isForged = random.Chance(0.5);
        if (isForged)
        {
            damaged = damaged.ConvertAll(file => file with { Content = LogDamage.FixChecksums(file.Content) });
        }

        return Encode(written, damaged, isForged);
    }

    public override FuzzCase Prepare(byte[] input)
    {
        var parts = Blobs.Split(input);
        var head = new ByteReader(parts[0]);
        var writtenParts = 2 * (int)head.UInt32();
        var (baseIndex, baseTerm) = (new LogIndex(head.Int64()), new Term(head.Int64()));
        var written = FuzzDisk.Decode(parts.AsSpan(FirstFilePart, writtenParts));
        var damaged = FuzzDisk.Decode(parts.AsSpan(FirstFilePart + writtenParts));
        return new Case(baseIndex, baseTerm, damaged, written.Count == 0 ? null : new LogHistory(new LogSample(baseIndex, baseTerm, written)));
    }

    /// <summary>An input of these files.</summary>
    /// <param name="written">As they were written.</param>
    /// <param name="damaged">As they are found.</param>
    /// <param name="isForged">The damage has valid checksums: nothing is promised of what is read.</param>
    public static byte[] Encode(LogSample written, IEnumerable<FuzzFile> damaged, bool isForged)
    {
        List<FuzzFile> believed = isForged ? [] : written.Files;
        var head = new ByteWriter().UInt32((uint)believed.Count).Int64(written.BaseIndex.Value).Int64(written.BaseTerm.Value).ToArray();
        return Blobs.Join([head, .. FuzzDisk.Encode(believed), .. FuzzDisk.Encode(damaged)]);
    }

    private sealed class Case : FuzzCase
    {
        private const int ReadBytes = 16 << 20;

        private readonly SimDisk _disk = FuzzDisk.Create();
        private readonly LogIndex _baseIndex;
        private readonly Term _baseTerm;
        private readonly List<FuzzFile> _damaged;
        private readonly LogHistory? _history;
        private SegmentedLog? _log;

        public Case(LogIndex baseIndex, Term baseTerm, List<FuzzFile> damaged, LogHistory? history)
        {
            (_baseIndex, _baseTerm, _damaged, _history) = (baseIndex, baseTerm, damaged, history);
            FuzzDisk.Write(_disk, LogSample.Directory, damaged);
        }

        public override void Parse() => _log = Open();

        public override bool IsRefusal(Exception exception) => exception is StorageDamagedException;

        public override void Check()
        {
            var log = _log!;
            var read = ReadAll(log);
            Require(log.FirstIndex == _baseIndex.Next && read.Count == log.LastIndex.Value - _baseIndex.Value, $"the log holds {log.FirstIndex} to {log.LastIndex}, of which {read.Count} can be read");
            var wrong = _history?.Judge(_damaged, read);
            Require(wrong is null, wrong ?? "");
            CheckAppend(log, read);
        }

        public override void Dispose() => _log?.Dispose();

        /// <summary>The log goes on behind what was read, and is the same after another start.</summary>
        private void CheckAppend(SegmentedLog log, List<LogEntry> read)
        {
            var entry = new LogEntry(log.LastIndex.Next, log.TermAt(log.LastIndex) ?? _baseTerm, EntryKind.Application, new byte[] { 1, 2, 3 });
            log.Append([entry]);
            log.Flush();
            log.Dispose();
            _log = Open();
            var again = ReadAll(_log);
            Require(again.Count == read.Count + 1 && again.Zip([.. read, entry]).All(pair => MessageBytes.AreEqual(pair.First, pair.Second)),
                $"after an append and another start the log holds {again.Count} entries where {read.Count + 1} belong, or other ones");
        }

        private SegmentedLog Open() => SegmentedLog.Open(_disk, LogSample.Directory, LogSample.Options(new SeededRandom(7), mustExist: true), _baseIndex, _baseTerm);

        private static List<LogEntry> ReadAll(SegmentedLog log)
        {
            var entries = new List<LogEntry>();
            while (log.FirstIndex.Value + entries.Count <= log.LastIndex.Value)
            {
                entries.AddRange(log.Read(new LogIndex(log.FirstIndex.Value + entries.Count), log.LastIndex, ReadBytes)!);
            }

            return entries;
        }
    }
}
