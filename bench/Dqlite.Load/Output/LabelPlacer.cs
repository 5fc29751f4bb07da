namespace Dqlite.Load.Output;

/// <summary>Finds a place for each text of a picture, where it covers neither another one nor, as far as that can be, points and lines.</summary>
/// <param name="page">Texts stay inside it.</param>
internal sealed class LabelPlacer(Box page)
{
    /// <summary>Width of a letter, on the wide side.</summary>
    private const double ShareOfFontSize = 0.7;
    private const double PointCost = 20;
    private const double TextCost = 40;
    private const double LineStep = 6;
    private const double OutsideCost = 1000;
    private readonly List<(Box Box, double Cost)> _taken = [];

    /// <summary>A mark is drawn there.</summary>
    public void AddPoint(double x, double y) => _taken.Add((new Box(x - 5, y - 5, x + 5, y + 5), PointCost));

    /// <summary>A line is drawn there.</summary>
    public void AddLine(double fromX, double fromY, double toX, double toY)
    {
        var steps = 1 + (int)(Math.Sqrt(Math.Pow(toX - fromX, 2) + Math.Pow(toY - fromY, 2)) / LineStep);
        for (var i = 0; i <= steps; i++)
        {
            var (x, y) = (fromX + ((toX - fromX) * i / steps), fromY + ((toY - fromY) * i / steps));
            _taken.Add((new Box(x - 3, y - 3, x + 3, y + 3), 1));
        }
    }

    /// <summary>Places a text beside one of some points, and takes the place.</summary>
    /// <returns>Where its baseline begins.</returns>
    public (double X, double Y) Place(IEnumerable<(double X, double Y)> points, string text, double fontSize)
    {
        var width = text.Length * fontSize * ShareOfFontSize;
        var best = points.SelectMany(point => Around(point.X, point.Y, width, fontSize)).MinBy(Cost)!;
        _taken.Add((best, TextCost));
        return (best.Left, best.Bottom - (0.2 * fontSize));
    }

    /// <summary>The best places first: near ones, and above.</summary>
    private static IEnumerable<Box> Around(double x, double y, double width, double height)
    {
        foreach (var gap in new[] { 6, 12, 20, 32 })
        {
            var (left, right, middle) = (x - gap - width, x + gap, x - (width / 2));
            var (above, below, beside) = (y - gap - height, y + gap, y - (height / 2));
            foreach (var (at, top) in new[] { (right, above), (left, above), (right, below), (left, below), (middle, above), (middle, below), (right, beside), (left, beside) })
            {
                yield return new Box(at, top, at + width, top + height);
            }
        }
    }

    private double Cost(Box box) => _taken.Sum(taken => taken.Cost * box.Overlap(taken.Box)) + (box.Overlap(page) < box.Area ? OutsideCost : 0);
}

/// <summary>A part of the page.</summary>
internal sealed record Box(double Left, double Top, double Right, double Bottom)
{
    public double Area => (Right - Left) * (Bottom - Top);

    public double Overlap(Box other) =>
        Math.Max(0, Math.Min(Right, other.Right) - Math.Max(Left, other.Left)) * Math.Max(0, Math.Min(Bottom, other.Bottom) - Math.Max(Top, other.Top));
}
