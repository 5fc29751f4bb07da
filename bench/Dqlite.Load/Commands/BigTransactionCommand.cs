using System.Diagnostics;
using System.Globalization;
using Dqlite.Load.Clusters;
using Dqlite.Load.Operations;
using Dqlite.Load.Output;
using Dqlite.Load.Series;
using Dqlite.Net.Benchmarks;
using Quickstart;

namespace Dqlite.Load.Commands;

/// <summary>Many rows, and many bytes, in one transaction: three nodes in processes of their own beside plain SQLite, in turn.</summary>
internal sealed class BigTransactionCommand(string parent, int megabytes, int rows, int rounds)
{
    private const int Nodes = 3;
    private const int RowBytes = 100;
    private const int BlobBytes = 100_000;
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(10);

    /// <summary>After a transaction its checkpoints are still written; the next measurement should not wait for the same disk.</summary>
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(5);

    public static BigTransactionCommand Parse(Arguments arguments) => new(
        LoadOptions.DirectoryOf(arguments), arguments.Number("megabytes", 500, 1, 100_000), arguments.Number("rows", 100_000, 1, 100_000_000), arguments.Number("rounds", 3, 1, 1000));

    public async Task RunAsync()
    {
        using var directory = new ScratchDirectory(parent);
        (string Name, LargeTransaction Transaction)[] cases =
        [
            ($"{rows} rows of {RowBytes} bytes", new LargeTransaction(rows, RowBytes, IsBlob: false)),
            ($"{megabytes} MB in BLOBs of {BlobBytes} bytes", new LargeTransaction((int)Math.Max(1, BigDatabase.BytesOf(megabytes) / BlobBytes), BlobBytes, IsBlob: true)),
        ];
        var results = cases.Select(_ => new List<BigTransactionRound>()).ToArray();
        var progress = new Progress(rounds * cases.Length);
        for (var round = 0; round < rounds; round++)
        {
            for (var i = 0; i < cases.Length; i++)
            {
                progress.Begin(cases[i].Name);
                results[i].Add(await MeasureAsync(directory, cases[i].Transaction));
                progress.End($"{cases[i].Name}: {results[i][^1]}");
            }
        }

        for (var i = 0; i < cases.Length; i++)
        {
            Print(cases[i].Name, results[i]);
        }
    }

    private static async Task<BigTransactionRound> MeasureAsync(ScratchDirectory directory, LargeTransaction transaction)
    {
        await PlainAsync(directory.Sub("warm"), transaction.ToWarmUp());
        var plain = await PlainAsync(directory.Sub("plain"), transaction);
        var path = directory.Sub("nodes");
        try
        {
            await using var cluster = ProcessCluster.Start(path, Nodes);
            var (leader, _) = await cluster.LeaderAsync();
            var before = await leader.AskAsync<MemberState>(new StateRequest());
            foreach (var member in cluster.Running)
            {
                ResidentMemory.ForgetPeak(member.Id);
            }

            var result = await leader.AskAsync<LargeTransactionResult>(new LargeTransactionRequest("large", transaction));
            await UntilAllHaveItAsync(cluster, leader);
            await Task.Delay(Rest);
            var peaks = cluster.Running.Select(member => ResidentMemory.PeakMegabytes(member.Id)).Order().ToArray();
            return new BigTransactionRound(plain, result.Seconds, peaks, result.LongestCommitMs, result.Term - before.Term);
        }
        finally
        {
            Directory.Delete(path, recursive: true);
        }
    }

    /// <summary>With the checkpoint, which SQLite does when a connection commits a large transaction, and when the last one closes.</summary>
    private static async Task<double> PlainAsync(string directory, LargeTransaction transaction)
    {
        await using var database = new SqliteDatabase(directory, flushes: true);
        var began = Stopwatch.GetTimestamp();
        await using (var connection = await database.OpenAsync())
        {
            await transaction.RunAsync(connection);
        }

        return Stopwatch.GetElapsedTime(began).TotalSeconds;
    }

    private static async Task UntilAllHaveItAsync(ProcessCluster cluster, MemberProcess leader)
    {
        var target = (await leader.AskAsync<MemberState>(new StateRequest())).AppliedIndex;
        foreach (var member in cluster.Running)
        {
            while ((await member.AskAsync<MemberState>(new StateRequest())).AppliedIndex < target)
            {
                await Task.Delay(LookInterval);
            }
        }
    }

    private static void Print(string name, List<BigTransactionRound> all)
    {
        static double Median(IEnumerable<double> values)
        {
            var sorted = values.Order().ToArray();
            return sorted[sorted.Length / 2];
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{name}: {Median(all.Select(round => round.Seconds)):0.00} s, plain SQLite {Median(all.Select(round => round.PlainSeconds)):0.00} s, {Median(all.Select(round => round.Ratio)):0.00} x; "
            + $"peak resident memory {Median(all.Select(round => round.PeaksMegabytes[0])):0} to {Median(all.Select(round => round.PeaksMegabytes[^1])):0} MB a node; "
            + $"longest small commit beside it {all.Max(round => round.LongestCommitMs):0} ms; {all.Sum(round => round.Elections)} elections"));
    }

    /// <summary>One measurement.</summary>
    private sealed record BigTransactionRound(double PlainSeconds, double Seconds, double[] PeaksMegabytes, double LongestCommitMs, long Elections)
    {
        public double Ratio => Seconds / PlainSeconds;

        public override string ToString() => string.Create(CultureInfo.InvariantCulture,
            $"{Seconds:0.00} s, plain {PlainSeconds:0.00} s, {Ratio:0.00} x, up to {PeaksMegabytes[^1]:0} MB, longest small commit {LongestCommitMs:0} ms, {Elections} elections");
    }
}
