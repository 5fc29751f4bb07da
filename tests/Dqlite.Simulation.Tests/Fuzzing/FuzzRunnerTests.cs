using System.Buffers.Binary;
using Dqlite.Net.Storage;
using Dqlite.Raft;
using Dqlite.Simulation.Fuzzing;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Tests.Fuzzing;

/// <summary>What is broken is found.</summary>
[NonParallelizable]
public sealed class FuzzRunnerTests
{
    [Test]
    public void A_decoder_that_trusts_a_length_is_found_within_a_few_seeds()
    {
        var verdicts = VerdictsOf(new BrokenTarget(bytes => bytes.AsSpan(1, bytes[0]).ToArray()), 50);
        Assert.That(verdicts, Does.Contain(FuzzVerdict.Find).And.Contain(FuzzVerdict.Accepted));
    }

    [Test]
    public void A_decoder_that_allocates_what_is_only_claimed_is_found()
    {
        var target = new BrokenTarget(bytes => bytes.Length < 5 || BinaryPrimitives.ReadInt32LittleEndian(bytes) is < 0 or > 100_000_000
            ? throw new FormatException() : new byte[BinaryPrimitives.ReadInt32LittleEndian(bytes)]);
        var result = FuzzRunner.Try(target, [0, 0, 0, 5, 0]);
        Assert.That(result.Verdict, Is.EqualTo(FuzzVerdict.Find));
        Assert.That(result.Text, Does.Contain("allocated"));
    }

    [Test]
    public void A_refusal_is_no_find_and_a_value_that_does_not_come_back_is_one()
    {
        Assert.That(FuzzRunner.Try(new BrokenTarget(_ => throw new FormatException("no")), [1]).Verdict, Is.EqualTo(FuzzVerdict.Refused));
        Assert.That(FuzzRunner.Try(new BrokenTarget(bytes => bytes), [1]).Verdict, Is.EqualTo(FuzzVerdict.Accepted));
        var lossy = FuzzRunner.Try(new BrokenTarget(bytes => bytes[..^1]), [1]);
        Assert.That((lossy.Verdict, lossy.Text), Is.EqualTo((FuzzVerdict.Find, "it came back as:  where 01 belongs")));
    }

    [Test]
    public void An_older_state_of_a_log_is_a_find_only_when_an_intact_record_calls_more_durable()
    {
        var (written, torn, lost) = Logs();
        Assert.That(Judge(written, written.Files), Is.Null);
        Assert.That(Judge(written, torn.Files), Is.Null, "the last batch was not called durable by anything");
        Assert.That(Judge(written, lost.Files), Does.Contain("no state of this log"));
    }

    [TestCase("R18", "log")]
    [TestCase("R34", "snapshot")]
    public void A_known_bug_in_what_parses_is_found(string mutant, string target)
    {
        Mutant.Active = mutant;
        try
        {
            Assert.That(VerdictsOf(FuzzTargets.Find(target)[0], 500), Does.Contain(FuzzVerdict.Find));
        }
        finally
        {
            Mutant.Active = "";
        }
    }

    [Test]
    public void An_entry_that_was_never_written_is_a_find()
    {
        var (written, _, _) = Logs();
        var history = new LogHistory(written);
        var other = new LogEntry(new LogIndex(1), new Term(1), EntryKind.Application, new byte[] { 9 });
        Assert.That(history.Judge(written.Files, [other]), Is.Not.Null);
    }

    [Test]
    public void A_parser_that_does_not_end_is_reported()
    {
        using var reported = new ManualResetEventSlim();
        var input = new RunningInput(new BrokenTarget(bytes => bytes), 7, []);
        RunningInput? hang = null;
        using var watchdog = new Watchdog(running =>
        {
            hang = running;
            reported.Set();
        }, TimeSpan.FromMilliseconds(5));
        watchdog.Begin(input);
        Assert.That(reported.Wait(TimeSpan.FromSeconds(30)), Is.True);
        Assert.That(hang, Is.SameAs(input));
    }

    private static FuzzVerdict[] VerdictsOf(FuzzTarget target, int seeds) =>
        [.. Enumerable.Range(1, seeds).Select(seed => FuzzRunner.Try(target, FuzzCommand.InputOf(target, (ulong)seed)).Verdict)];

    /// <summary>A log of two flushed batches: whole, without the second one, and without the first one although the second says that it was durable.</summary>
    private static (LogSample Written, LogSample Torn, LogSample Lost) Logs()
    {
        var disk = FuzzDisk.Create();
        using var log = SegmentedLog.Open(disk, LogSample.Directory, LogSample.Options(new SeededRandom(1), mustExist: false), LogIndex.Zero, Term.Zero);
        for (var index = 1; index <= 2; index++)
        {
            log.Append([new LogEntry(new LogIndex(index), new Term(1), EntryKind.Application, new byte[] { 1 })]);
            log.Flush();
        }

        var files = FuzzDisk.Read(disk, LogSample.Directory);
        const int First = LogFormat.SegmentHeaderBytes + LogFormat.RecordHeaderBytes;
        const int Second = First + LogFormat.RecordHeaderBytes + LogFormat.RecordAlignment;
        return (Sample(files[0].Content), Sample([.. files[0].Content[..Second], .. new byte[100]]),
            Sample([.. files[0].Content[..First], 0, .. files[0].Content[(First + 1)..]]));

        LogSample Sample(byte[] content) => new(LogIndex.Zero, Term.Zero, [files[0] with { Content = content }]);
    }

    /// <summary>Judges what a careless reader would take from damaged files: every record that is valid, up to the first that is not.</summary>
    private static string? Judge(LogSample written, List<FuzzFile> damaged)
    {
        LogFormat.ReadSegmentHeader(damaged[0].Content, out var header);
        var read = new List<LogEntry>();
        for (long offset = LogFormat.SegmentHeaderBytes; LogFormat.TryReadRecord(damaged[0].Content.AsSpan((int)offset), header.Salt, out var record); offset += record.SizeBytes)
        {
            if (record.IsEntry)
            {
                read.Add(new LogEntry(record.Index, record.Term, (EntryKind)record.Kind, damaged[0].Content.AsMemory((int)offset + LogFormat.RecordHeaderBytes, record.PayloadBytes)));
            }
        }

        return new LogHistory(written).Judge(damaged, read);
    }

    /// <summary>Inputs are a length and so many bytes.</summary>
    private sealed class BrokenTarget(Func<byte[], byte[]> decode) : FuzzTarget
    {
        public override string Name => "broken";

        public override byte[] Generate(SeededRandom random)
        {
            var bytes = new Samples(random).Bytes(50);
            byte[] valid = [(byte)bytes.Length, .. bytes];
            return new Mutator(random).Mutate(valid, () => valid);
        }

        public override FuzzCase Prepare(byte[] input) => new Case(input, decode);

        private sealed class Case(byte[] input, Func<byte[], byte[]> decode) : FuzzCase
        {
            private byte[] _decoded = [];

            public override void Parse() => _decoded = decode(input);

            public override bool IsRefusal(Exception exception) => exception is FormatException;

            public override void Check()
            {
                if (input.Length == 1)
                {
                    RequireSame(input, _decoded, "it came back as");
                }
            }
        }
    }
}
