using System.Globalization;

namespace Dqlite.Crash.Runs;

/// <summary>Measured times, for the line of figures at the end of a command.</summary>
internal sealed class Durations
{
    private readonly List<double> _milliseconds = [];

    public int Count => _milliseconds.Count;

    /// <summary>The upper one of the two in the middle, so that it is a time that was measured.</summary>
    public double MedianMs => _milliseconds.Order().ElementAt(_milliseconds.Count / 2);

    public double MaxMs => _milliseconds.Max();

    public void Add(TimeSpan time) => _milliseconds.Add(time.TotalMilliseconds);

    public override string ToString() => Count == 0
        ? "none"
        : string.Create(CultureInfo.InvariantCulture, $"median {MedianMs:0} ms, max {MaxMs:0} ms");
}
