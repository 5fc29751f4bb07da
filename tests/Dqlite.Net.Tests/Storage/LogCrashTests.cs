using Dqlite.Net.Storage;
using Dqlite.Raft;
using static Dqlite.Net.Tests.Storage.LogTestBed;

namespace Dqlite.Net.Tests.Storage;

/// <summary>Random operations, crashes at random places, and a model: what was reported durable is there, and nothing else than what was
/// appended. A failing seed is replayed by TestCase.</summary>
public sealed class LogCrashTests
{
    private const string BasePath = "/data/log.base";
    private const string MetadataPath = "/data/metadata";

    [Test]
    public void What_was_reported_durable_survives_every_crash()
    {
        for (var seed = 1; seed <= 1000; seed++)
        {
            RunOrReport(seed);
        }
    }

    [Test]
    public void A_segment_that_was_being_prepared_when_the_process_stopped_is_durable_before_it_is_used()
    {
        for (var seed = 1; seed <= 40; seed++)
        {
            var fileSystem = NewFileSystem(seed);
            using (var log = Open(fileSystem))
            {
                log.AppendAndFlush(Entries(1, 3, 1, 700));
                fileSystem.CrashAfterOperations = seed % 10; // the preparation has seven operations
                Assert.That(log.PrepareNext, seed % 10 < 7 ? Throws.TypeOf<SimulatedCrashException>() : Throws.Nothing);
            }

            fileSystem.RestartProcess();
            using (var log = Open(fileSystem))
            {
                log.AppendAndFlush(Entries(4, 7, 1, 700)); // fills the next segment, no further one is prepared
            }

            fileSystem.Crash();
            using var reopened = Open(fileSystem);
            Assert.That(reopened.LastIndex.Value, Is.EqualTo(7), $"seed {seed}");
        }
    }

    private static void RunOrReport(int seed)
    {
        try
        {
            new Run(seed).Go();
        }
        catch (Exception exception) when (exception is not ResultStateException)
        {
            Assert.Fail($"seed {seed}: {exception}");
        }
    }

    private sealed class Run
    {
        private readonly Random _random;
        private readonly SimulatedFileSystem _fileSystem;
        private readonly SegmentedLogOptions _options;
        private readonly List<LogEntry> _entries = []; // everything from index 1 on; before a reset, stand-ins
        private SegmentedLog _log = null!;
        private MetadataFile _metadata = null!;
        private long _durable;
        private LogBase _base = new();
        private LogBase? _nextBase;
        private HardState _hardState;
        private HardState? _nextHardState;
        private long _term = 1;
        private long _nextPayload;

        internal Run(int seed)
        {
            _random = new Random(seed);
            _fileSystem = NewFileSystem(seed);
            _options = Options(seed, segmentBytes: 4096 + (512 * _random.Next(1, 20))) with { MaxSpareSegments = _random.Next(3) };
        }

        internal void Go()
        {
            OpenFiles(isFirst: true);
            for (var crash = 0; crash < 6; crash++)
            {
                _fileSystem.CrashAfterOperations = _random.Next(80);
                try
                {
                    for (var step = 0; step < 60; step++)
                    {
                        Step();
                    }
                }
                catch (SimulatedCrashException)
                {
                }
                catch (StorageFailedException exception) when (exception.InnerException is SimulatedCrashException or Dqlite.Sqlite.DurableIOException)
                {
                }

                if (_random.Next(3) == 0)
                {
                    _fileSystem.RestartProcess();
                    OpenFiles(isFirst: false);
                    Check(); // and what it reports to be durable must survive the machine's crash
                    if (_random.Next(2) == 0)
                    {
                        continue;
                    }
                }

                _fileSystem.Crash();
                Recover();
            }
        }

        private void Recover()
        {
            // A crash during recovery, and again.
            for (var attempt = 0; attempt < 2; attempt++)
            {
                _fileSystem.CrashAfterOperations = _random.Next(12);
                try
                {
                    OpenFiles(isFirst: false);
                    break;
                }
                catch (SimulatedCrashException)
                {
                    _fileSystem.Crash();
                }
                catch (StorageFailedException exception) when (exception.InnerException is SimulatedCrashException)
                {
                    _fileSystem.Crash();
                }
            }

            _fileSystem.CrashAfterOperations = null;
            OpenFiles(isFirst: false);
            Check();
        }

        private void OpenFiles(bool isFirst)
        {
            var stored = LogBaseFile.Read(_fileSystem, BasePath);
            if (_nextBase is not null && stored?.Index == _nextBase.Index)
            {
                _base = _nextBase;
            }

            Assert.That((stored ?? new LogBase()).Index, Is.EqualTo(_base.Index));
            _log = SegmentedLog.Open(_fileSystem, LogDirectory, _options with { MustExist = !isFirst }, _base.Index, _base.Term);
            _metadata = isFirst
                ? MetadataFile.Create(_fileSystem, MetadataPath, new NodeIdentity(new NodeId(1), new string('a', 32), new string('b', 32)))
                : MetadataFile.Open(_fileSystem, MetadataPath);
        }

        private void Check()
        {
            Assert.That(_metadata.HardState, Is.EqualTo(_hardState).Or.EqualTo(_nextHardState ?? _hardState));
            (_hardState, _nextHardState, _nextBase) = (_metadata.HardState, null, null);
            var recovered = _log.ReadAll();
            Assert.That(_log.FirstIndex, Is.EqualTo(_base.Index.Next));
            Assert.That(_log.DurableIndex, Is.EqualTo(_log.LastIndex));
            Assert.That(_log.LastIndex.Value, Is.GreaterThanOrEqualTo(Math.Max(_durable, _base.Index.Value)));
            Assert.That(_log.LastIndex.Value, Is.LessThanOrEqualTo(Math.Max(_entries.Count, _base.Index.Value)));
            Assert.That(Describe(recovered), Is.EqualTo(Describe(_entries.Skip((int)_base.Index.Value).Take(recovered.Count))));
            Shorten(_log.LastIndex.Value);
            _durable = _entries.Count;
        }

        /// <summary>The model gets the log's length; a stand-in takes the place of what a reset skipped.</summary>
        private void Shorten(long last)
        {
            while (_entries.Count < last)
            {
                _entries.Add(Entry(_entries.Count + 1, _base.Term.Value, 0));
            }

            _entries.RemoveRange((int)last, _entries.Count - (int)last);
        }

        private void Step()
        {
            switch (_random.Next(20))
            {
                case < 8:
                    Append();
                    break;
                case < 13:
                    Flush();
                    break;
                case 13:
                    Truncate();
                    break;
                case 14 or 15:
                    Compact();
                    break;
                case 16:
                    WriteMetadata();
                    break;
                case 17:
                    _log.WriteIdleMark();
                    _durable = _entries.Count;
                    break;
                case 18:
                    _log.PrepareNext();
                    break;
                default:
                    ResetRarely();
                    break;
            }

            Assert.That(_log.DurableIndex.Value, Is.LessThanOrEqualTo(_entries.Count));
        }

        private void Append()
        {
            _term += _random.Next(5) == 0 ? 1 : 0;
            var count = _random.Next(1, 6);
            var batch = new LogEntry[count];
            for (var i = 0; i < count; i++)
            {
                var size = _random.Next(10) == 0 ? _random.Next(15_000) : _random.Next(1, 4) * 200; // equal sizes: stale records lie where new ones end
                var payload = new byte[size];
                new Random((int)++_nextPayload).NextBytes(payload);
                batch[i] = new LogEntry(new LogIndex(_entries.Count + 1 + i), new Term(_term), EntryKind.Application, payload);
            }

            _entries.AddRange(batch);
            _log.Append(batch);
        }

        private void Flush()
        {
            if (_random.Next(60) == 0)
            {
                _fileSystem.FailNextSyncOf = ".segment";
            }

            _log.Flush();
            _durable = _entries.Count;
        }

        private void Truncate()
        {
            if (_entries.Count <= _base.Index.Value)
            {
                return;
            }

            var index = _random.NextInt64(Math.Max(_base.Index.Value, _entries.Count - 8) + 1, _entries.Count + 1);
            _durable = Math.Min(_durable, index - 1);
            _log.TruncateFrom(new LogIndex(index));
            Shorten(index - 1);
            _durable = _entries.Count;
            _term++;
        }

        private void Compact()
        {
            var durable = _log.DurableIndex.Value;
            if (durable > _base.Index.Value)
            {
                var index = new LogIndex(_random.NextInt64(_base.Index.Value + 1, durable + 1));
                WriteBase(new LogBase { Index = index, Term = _entries[(int)index.Value - 1].Term });
                _log.Compact(index);
            }
        }

        private void ResetRarely()
        {
            if (_random.Next(4) == 0)
            {
                var index = new LogIndex(_random.NextInt64(_base.Index.Value + 1, _entries.Count + 20));
                _term++;
                _durable = Math.Min(_durable, _base.Index.Value);
                WriteBase(new LogBase { Index = index, Term = new Term(_term) });
                _log.Reset(index, new Term(_term));
                Shorten(Math.Min(index.Value, _entries.Count));
                Shorten(index.Value);
                _durable = index.Value;
            }
        }

        private void WriteBase(LogBase logBase)
        {
            _nextBase = logBase;
            LogBaseFile.Write(_fileSystem, BasePath, logBase);
            (_base, _nextBase) = (logBase, null);
        }

        private void WriteMetadata()
        {
            if (_random.Next(15) == 0)
            {
                _fileSystem.FailNextSyncOf = MetadataPath;
            }

            _nextHardState = new HardState(_hardState.CurrentTerm.Next, new NodeId(_random.Next(1, 4)));
            _metadata.Write(_nextHardState.Value);
            (_hardState, _nextHardState) = (_nextHardState.Value, null);
        }
    }
}
