using System.Globalization;
using Dqlite.Load.Commands;
using Dqlite.Net;

namespace Dqlite.Load.Soak;

/// <summary>The table of a soak, and what grew in it.</summary>
internal static class SoakReport
{
    private const int Nodes = SoakCommand.Nodes;
    private static readonly DqliteNodeOptions Options = new() { DataDirectory = "" };

    private static readonly (string Name, string Unit, Func<SoakSample, double> Of, double Bound)[] Watched =
    [
        ("managed heap", " MB", sample => sample.ManagedMb, 0),
        ("resident memory", " MB", sample => sample.ResidentMb, 0),
        ("logs", " MB", sample => sample.LogMb, Nodes * SegmentsThatComeAndGo * Options.SegmentBytes / 1e6),
        ("databases", " MB", sample => sample.DatabaseMb, 0),
        ("file descriptors", "", sample => sample.Descriptors, Nodes * SegmentsThatComeAndGo),
        ("threads", "", sample => sample.Threads, Environment.ProcessorCount),
    ];

    /// <summary>On a node: what is written between two checkpoints, and the segment that is made ahead.</summary>
    private static long SegmentsThatComeAndGo => ((Options.CheckpointLogBytes + Options.SegmentBytes - 1) / Options.SegmentBytes) + 1;

    public static void PrintHead() =>
        Console.WriteLine($"{"seconds",8}{"commits/s",11}{"p99 ms",9}{"heap MB",9}{"RSS MB",9}{"logs MB",9}{"db MB",8}{"fds",6}{"threads",9}{"elections",11}");

    public static void Print(SoakSample sample) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"{sample.Seconds,8:0}{sample.CommitsPerSecond,11:0}{sample.P99Us / 1e3,9:0.0}{sample.ManagedMb,9:0.0}{sample.ResidentMb,9:0.0}{sample.LogMb,9:0.0}{sample.DatabaseMb,8:0.0}{sample.Descriptors,6}{sample.Threads,9}{sample.Elections,11}"));

    public static void PrintGrowth(IReadOnlyList<SoakSample> samples)
    {
        foreach (var (name, unit, of, bound) in Watched)
        {
            Console.WriteLine(Growth.Judge([.. samples.Select(of)], bound) is { } growth
                ? string.Create(CultureInfo.InvariantCulture, $"{name}: at most {growth.Before:0.#}{unit}, later {growth.After:0.#}{unit} ({growth.Allowance:0.#} may come and go): {(growth.IsFound ? "GREW" : "steady")}")
                : $"{name}: too few intervals to say whether it grew");
        }
    }
}
