namespace Dqlite.Load.Soak;

/// <summary>
/// Whether a figure grew. The start is left out: caches fill, the log gets its tail, code is compiled. What is steady goes up and down all the
/// same: the collector runs seldom, and segments come and go as wholes. Of what remains, the last third is compared with the first half: a leak
/// lifts the highest value by half of all that it adds, and the middle one by more. One high sample lifts the highest alone; another phase of
/// the same ups and downs, the middle alone.
/// </summary>
/// <param name="Before">The highest value of the first half.</param>
/// <param name="After">The highest value of the last third.</param>
/// <param name="MiddleRise">From the median of the first half to that of the last third.</param>
/// <param name="Allowance">As much may come and go.</param>
internal sealed record Growth(double Before, double After, double MiddleRise, double Allowance)
{
    private const double WarmUpShare = 1.0 / 3;

    /// <summary>Of the highest value: the collector and the checkpoints.</summary>
    private const double AllowedShare = 0.1;
    private const int MinSamples = 6;

    public bool IsFound => Math.Min(After - Before, MiddleRise) > Allowance;

    /// <param name="samples">The figure, at equal intervals.</param>
    /// <param name="bound">What comes and goes by the options, if that is more than a share of the figure.</param>
    /// <returns>Null: too few to tell.</returns>
    public static Growth? Judge(IReadOnlyList<double> samples, double bound)
    {
        var steady = samples.Skip((int)Math.Ceiling(samples.Count * WarmUpShare)).ToArray();
        if (steady.Length < MinSamples)
        {
            return null;
        }

        var (early, late) = (steady[..(steady.Length / 2)], steady[^(steady.Length / 3)..]);
        return new Growth(early.Max(), late.Max(), Median(late) - Median(early), Math.Max(bound, AllowedShare * early.Max()));
    }

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
