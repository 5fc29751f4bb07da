using System.Globalization;

namespace Dqlite.Load.Soak;

/// <summary>The table of a soak, and what grew in it.</summary>
internal static class SoakReport
{
    /// <summary>The start is left out: caches fill, the log gets its tail, code is compiled.</summary>
    private const double WarmUpShare = 1.0 / 3;

    /// <summary>More than this share of what there was is growth; less is the collector and the checkpoints.</summary>
    private const double GrowthShare = 0.1;

    private static readonly (string Name, string Unit, Func<SoakSample, double> Of)[] Watched =
    [
        ("managed heap", "MB", sample => sample.ManagedMb),
        ("resident memory", "MB", sample => sample.ResidentMb),
        ("logs", "MB", sample => sample.LogMb),
        ("databases", "MB", sample => sample.DatabaseMb),
        ("file descriptors", "", sample => sample.Descriptors),
        ("threads", "", sample => sample.Threads),
    ];

    public static void PrintHead() =>
        Console.WriteLine($"{"seconds",8}{"commits/s",11}{"p99 ms",9}{"heap MB",9}{"RSS MB",9}{"logs MB",9}{"db MB",8}{"fds",6}{"threads",9}{"elections",11}");

    public static void Print(SoakSample sample) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"{sample.Seconds,8:0}{sample.CommitsPerSecond,11:0}{sample.P99Us / 1e3,9:0.0}{sample.ManagedMb,9:0.0}{sample.ResidentMb,9:0.0}{sample.LogMb,9:0.0}{sample.DatabaseMb,8:0.0}{sample.Descriptors,6}{sample.Threads,9}{sample.Elections,11}"));

    /// <summary>A straight line through each figure, without the start.</summary>
    public static void PrintGrowth(IReadOnlyList<SoakSample> samples)
    {
        var steady = samples.Skip((int)(samples.Count * WarmUpShare)).ToArray();
        if (steady.Length < 3)
        {
            Console.WriteLine("too few intervals to say what grew");
            return;
        }

        var hours = (steady[^1].Seconds - steady[0].Seconds) / 3600;
        foreach (var (name, unit, of) in Watched)
        {
            var perHour = 3600 * Slope(steady, of);
            var mean = steady.Average(of);
            var grew = perHour * hours > GrowthShare * mean;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: mean {mean:0.#} {unit}, {perHour:+0.0;-0.0;0} {unit} an hour: {(grew ? "GREW" : "steady")}"));
        }
    }

    /// <summary>Least squares, per second.</summary>
    private static double Slope(SoakSample[] samples, Func<SoakSample, double> of)
    {
        var (meanX, meanY) = (samples.Average(sample => sample.Seconds), samples.Average(of));
        var above = samples.Sum(sample => (sample.Seconds - meanX) * (of(sample) - meanY));
        return above / samples.Sum(sample => (sample.Seconds - meanX) * (sample.Seconds - meanX));
    }
}
