namespace Dqlite.Load.Output;

/// <summary>A logarithmic axis over whole decades, from one place on the page to another.</summary>
internal sealed class LogAxis
{
    private readonly int _from;
    private readonly int _to;
    private readonly int _firstDecade;
    private readonly int _lastDecade;

    public LogAxis(IEnumerable<double> values, int from, int to)
    {
        (_from, _to) = (from, to);
        var positive = values.Where(value => value > 0).DefaultIfEmpty(1).ToArray();
        _firstDecade = (int)Math.Floor(Math.Log10(positive.Min()));
        _lastDecade = Math.Max(_firstDecade + 1, (int)Math.Ceiling(Math.Log10(positive.Max())));
    }

    public double At(double value)
    {
        var share = (Math.Log10(Math.Max(value, Math.Pow(10, _firstDecade))) - _firstDecade) / (_lastDecade - _firstDecade);
        return _from + (share * (_to - _from));
    }

    /// <summary>1, 2, 3 ... 9 of each decade, and the end.</summary>
    public IEnumerable<(double Value, bool IsDecade)> Ticks()
    {
        for (var decade = _firstDecade; decade < _lastDecade; decade++)
        {
            for (var i = 1; i < 10; i++)
            {
                yield return (i * Math.Pow(10, decade), i == 1);
            }
        }

        yield return (Math.Pow(10, _lastDecade), true);
    }
}
