using Dqlite.Net.Storage;
using Dqlite.Raft;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>A log as the library wrote it, with everything that a life brings: batches, marks, truncations, compaction, installs.</summary>
/// <param name="BaseIndex">What the log base file would say.</param>
/// <param name="BaseTerm">The term there.</param>
/// <param name="Files">The directory.</param>
internal sealed record LogSample(LogIndex BaseIndex, Term BaseTerm, List<FuzzFile> Files)
{
    public const string Directory = "/sim/1/log";

    private const int SegmentBytes = 8 << 10;
    private const int LargePayloadBytes = 5000;

    /// <summary>How a node opens its log.</summary>
    public static SegmentedLogOptions Options(SeededRandom random, bool mustExist) =>
        new() { SegmentSizeBytes = SegmentBytes, MustExist = mustExist, MaxEntryBytes = 1 << 20, NextSalt = random.NextBits };

    /// <summary>Writes one.</summary>
    public static LogSample Write(SeededRandom random)
    {
        var disk = FuzzDisk.Create();
        using var log = SegmentedLog.Open(disk, Directory, Options(random, mustExist: false), LogIndex.Zero, Term.Zero);
        var term = new Term(random.Between(1, 3));
        var (baseIndex, baseTerm) = (LogIndex.Zero, Term.Zero);
        for (var steps = random.Between(1, 20); steps > 0; steps--)
        {
            switch (random.Next(16))
            {
                case 0:
                    log.WriteIdleMark();
                    break;
                case 1:
                    term = term.Next;
                    log.TruncateFrom(new LogIndex(random.Between(log.FirstIndex.Value, log.LastIndex.Value + 1)));
                    break;
                case 2 when log.DurableIndex > baseIndex:
                    baseIndex = new LogIndex(random.Between(baseIndex.Value + 1, log.DurableIndex.Value));
                    baseTerm = log.TermAt(baseIndex)!.Value;
                    log.Compact(baseIndex);
                    break;
                case 3 when random.Chance(0.3):
                    (baseIndex, baseTerm) = (new LogIndex(log.LastIndex.Value + random.Between(0, 5)), term);
                    log.Reset(baseIndex, baseTerm);
                    break;
                case 4:
                    log.PrepareNext();
                    break;
                default:
                    Append(log, random, term);
                    break;
            }
        }

        if (random.Chance(0.5))
        {
            log.Flush();
        }

        return new LogSample(baseIndex, baseTerm, FuzzDisk.Read(disk, Directory));
    }

    private static void Append(SegmentedLog log, SeededRandom random, Term term)
    {
        var samples = new Samples(random);
        var first = log.LastIndex.Value + 1;
        var size = random.Chance(0.03) ? LargePayloadBytes : 300;
        log.Append([.. Enumerable.Range(0, random.Between(1, 4)).Select(i =>
            new LogEntry(new LogIndex(first + i), term, (EntryKind)random.Between(1, 3), samples.Bytes(size)))]);
        if (random.Chance(0.7))
        {
            log.Flush();
        }
    }
}
