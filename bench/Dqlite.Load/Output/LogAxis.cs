namespace Dqlite.Load.Output;

/// <summary>A logarithmic axis, from one place on the page to another, with some room at both ends.</summary>
internal sealed class LogAxis
{
    private const double Margin = 1.4;
    private static readonly double[] Labelled = [1, 2, 5];
    private readonly int _from;
    private readonly int _to;
    private readonly double _low;
    private readonly double _high;

    public LogAxis(IEnumerable<double> values, int from, int to)
    {
        (_from, _to) = (from, to);
        var positive = values.Where(value => value > 0).DefaultIfEmpty(1).ToArray();
        _low = Floor(positive.Min() / Margin);
        _high = Floor(positive.Max() * Margin) + Decade(positive.Max() * Margin);
    }

    public double At(double value)
    {
        var share = Math.Log(Math.Max(value, _low) / _low) / Math.Log(_high / _low);
        return _from + (share * (_to - _from));
    }

    /// <summary>1, 2, 3 ... 9 of each decade that lie on the axis.</summary>
    public IEnumerable<(double Value, bool IsLabelled)> Ticks()
    {
        for (var value = _low; value <= _high * 1.0001; value += Decade(value))
        {
            yield return (value, Labelled.Contains(Math.Round(value / Decade(value))));
        }
    }

    /// <summary>The power of ten at or below a value.</summary>
    private static double Decade(double value) => Math.Pow(10, Math.Floor(Math.Log10(value * 1.0001)));

    private static double Floor(double value) => Math.Floor(value / Decade(value)) * Decade(value);
}
