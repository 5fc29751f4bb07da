using Dqlite.Load.Series;

namespace Dqlite.Load.Output;

/// <summary>The medians over the rounds of one series with one number of clients.</summary>
/// <param name="Key">Which.</param>
/// <param name="Of">Median of a figure.</param>
/// <param name="ToFloor">Median of the rounds' own ratios of the p50 to that of the floor; rounds whose floor was disturbed are left out.</param>
/// <param name="ToSqlite">Median of the rounds' own ratios of the rate to that of sqlite-full with one client.</param>
/// <param name="ToSqliteP50">The same of the p50.</param>
internal sealed record SummaryLine(SeriesKey Key, Func<Func<Point, double>, double> Of, double? ToFloor, double? ToSqlite, double? ToSqliteP50)
{
    public double CommitsPerSecond => Of(point => point.CommitsPerSecond);

    public double P50Us => Of(point => point.P50Us);

    public double P99Us => Of(point => point.P99Us);
}

/// <summary>What all rounds came to.</summary>
internal sealed class Summary
{
    private readonly IReadOnlyList<Point> _points;

    public Summary(IReadOnlyList<Point> points)
    {
        _points = points;
        Lines = [.. points.GroupBy(KeyOf).OrderBy(group => group.Key.Name, StringComparer.Ordinal).ThenBy(group => group.Key.Clients).Select(Line)];
    }

    public IReadOnlyList<SummaryLine> Lines { get; }

    public double? BareP50Us => Median(_points.Select(point => point.BareP50Us).OfType<double>());

    public int DisturbedFloors => _points.Count(point => point.IsDisturbed);

    private static SeriesKey KeyOf(Point point) => new(point.Series, point.Nodes, point.Clients);

    private static bool IsLoneSqlite(Point point) => point is { Series: SeriesKey.SqliteFull, Clients: 1 };

    private static double? Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length == 0 ? null : (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    private SummaryLine Line(IGrouping<SeriesKey, Point> group) => new(
        group.Key,
        figure => Median(group.Select(figure))!.Value,
        Ratio(group, point => point.Series == SeriesKey.Floor && !point.IsDisturbed, point => point.P50Us),
        Ratio(group, IsLoneSqlite, point => point.CommitsPerSecond),
        Ratio(group, IsLoneSqlite, point => point.P50Us));

    private double? Ratio(IEnumerable<Point> points, Func<Point, bool> isBase, Func<Point, double> figure) => Median(
        from point in points
        join other in _points.Where(isBase) on point.Round equals other.Round
        select figure(point) / figure(other));
}
