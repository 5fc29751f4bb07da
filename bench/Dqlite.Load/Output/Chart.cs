using System.Globalization;
using System.Text;

namespace Dqlite.Load.Output;

/// <summary>
/// An SVG of latency against throughput: log axes, a line per series through its p50, each point labelled with its clients, and a bar from each
/// point up to the p99.
/// </summary>
internal sealed class Chart
{
    private const int Width = 960;
    private const int Height = 600;
    private const int Left = 84;
    private const int Right = 40;
    private const int Top = 76;
    private const int Bottom = 64;
    private const int FontSize = 14;
    private const int SmallFontSize = 12;

    private static readonly Dictionary<string, (string Colour, string Text)> Known = new()
    {
        ["dqlite"] = ("#0072b2", "Dqlite.Net, awaited"),
        ["plain"] = ("#007a55", "Dqlite.Net, plain SqliteConnection"),
        ["sqlite-full"] = ("#b3477d", "SQLite alone, FULL"),
        ["sqlite-off"] = ("#666666", "SQLite alone, no flush"),
        ["floor"] = ("#c45000", "floor: 2 of 3 disks over TCP"),
    };

    private readonly StringBuilder _svg = new();
    private readonly LabelPlacer _labels = new(new Box(Left + 2, Top + 2, Width - Right - 2, Height - Bottom - 2));
    private readonly LogAxis _rate;
    private readonly LogAxis _latency;

    private Chart(IReadOnlyList<SummaryLine> lines)
    {
        _rate = new LogAxis(lines.Select(line => line.CommitsPerSecond), Left, Width - Right);
        _latency = new LogAxis(lines.SelectMany(line => new[] { line.P50Us, line.P99Us }), Height - Bottom, Top);
    }

    public static string Draw(Summary summary, string title)
    {
        var chart = new Chart(summary.Lines);
        chart.DrawFrame(title);
        var series = summary.Lines.GroupBy(line => line.Key.Name).Select(lines => (lines.Key, Points: chart.PointsOf(lines))).ToArray();
        foreach (var (name, points) in series)
        {
            chart.DrawLines(points, Known[name].Colour);
        }

        foreach (var (name, points) in series)
        {
            chart.DrawClients(points, Known[name].Colour);
        }

        foreach (var (name, points) in series)
        {
            chart.DrawName(points, name);
        }

        chart.Add($"</svg>");
        return chart._svg.ToString();
    }

    private static string RateLabel(double value) => value >= 1e6 ? $"{value / 1e6:0}M" : value >= 1e3 ? $"{value / 1e3:0}k" : value.ToString("0.###", CultureInfo.InvariantCulture);

    private static string TimeLabel(double us) => us >= 1e6 ? $"{us / 1e6:0} s" : us >= 1e3 ? $"{us / 1e3:0} ms" : $"{us:0.###} µs";

    private void Add(FormattableString line) => _svg.AppendLine(line.ToString(CultureInfo.InvariantCulture));

    private void DrawFrame(string title)
    {
        Add($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{Width}\" height=\"{Height}\" viewBox=\"0 0 {Width} {Height}\" font-family=\"DejaVu Sans, Verdana, sans-serif\" font-size=\"{FontSize}\" fill=\"#222\">");
        Add($"<rect width=\"{Width}\" height=\"{Height}\" fill=\"#fff\"/>");
        Add($"<text x=\"{Left}\" y=\"30\" font-size=\"19\" font-weight=\"bold\">{title}</text>");
        Add($"<text x=\"{Left}\" y=\"54\" fill=\"#555\">a point: p50, with the number of clients; the thin bar above it ends at p99. Right and low is good.</text>");
        foreach (var (value, isLabelled) in _rate.Ticks())
        {
            var x = _rate.At(value);
            Add($"<line x1=\"{x:0.0}\" y1=\"{Top}\" x2=\"{x:0.0}\" y2=\"{Height - Bottom}\" stroke=\"{(isLabelled ? "#ccc" : "#f0f0f0")}\"/>");
            Label(isLabelled, $"<text x=\"{x:0.0}\" y=\"{Height - Bottom + 20}\" text-anchor=\"middle\">{RateLabel(value)}</text>");
        }

        foreach (var (value, isLabelled) in _latency.Ticks())
        {
            var y = _latency.At(value);
            Add($"<line x1=\"{Left}\" y1=\"{y:0.0}\" x2=\"{Width - Right}\" y2=\"{y:0.0}\" stroke=\"{(isLabelled ? "#ccc" : "#f0f0f0")}\"/>");
            Label(isLabelled, $"<text x=\"{Left - 8}\" y=\"{y + 5:0.0}\" text-anchor=\"end\">{TimeLabel(value)}</text>");
        }

        Add($"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 16}\" text-anchor=\"middle\">commits per second</text>");
        Add($"<text transform=\"translate(18 {(Top + Height - Bottom) / 2}) rotate(-90)\" text-anchor=\"middle\">latency of a commit</text>");
    }

    private void Label(bool isLabelled, FormattableString label)
    {
        if (isLabelled)
        {
            Add(label);
        }
    }

    private Mark[] PointsOf(IEnumerable<SummaryLine> lines) =>
        [.. lines.Select(line => new Mark(_rate.At(line.CommitsPerSecond), _latency.At(line.P50Us), _latency.At(line.P99Us), line.Key.Clients))];

    private void DrawLines(Mark[] points, string colour)
    {
        var path = string.Join(' ', points.Select(point => string.Create(CultureInfo.InvariantCulture, $"{point.X:0.0},{point.Y:0.0}")));
        Add($"<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-opacity=\"0.75\"/>");
        for (var i = 0; i < points.Length; i++)
        {
            var (x, y, high, _) = points[i];
            Add($"<line x1=\"{x:0.0}\" y1=\"{y:0.0}\" x2=\"{x:0.0}\" y2=\"{high:0.0}\" stroke=\"{colour}\" stroke-opacity=\"0.4\"/>");
            Add($"<line x1=\"{x - 3:0.0}\" y1=\"{high:0.0}\" x2=\"{x + 3:0.0}\" y2=\"{high:0.0}\" stroke=\"{colour}\" stroke-opacity=\"0.6\"/>");
            Add($"<circle cx=\"{x:0.0}\" cy=\"{y:0.0}\" r=\"4\" fill=\"{colour}\"/>");
            _labels.AddPoint(x, y);
            _labels.AddLine(x, y, x, high);
            if (i > 0)
            {
                _labels.AddLine(points[i - 1].X, points[i - 1].Y, x, y);
            }
        }
    }

    private void DrawClients(Mark[] points, string colour)
    {
        foreach (var point in points)
        {
            var text = point.Clients.ToString(CultureInfo.InvariantCulture);
            var (x, y) = _labels.Place([(point.X, point.Y)], text, SmallFontSize);
            Add($"<text x=\"{x:0.0}\" y=\"{y:0.0}\" font-size=\"{SmallFontSize}\" fill=\"{colour}\">{text}</text>");
        }
    }

    /// <summary>The name stands beside the point where there is most room for it.</summary>
    private void DrawName(Mark[] points, string name)
    {
        var (colour, text) = Known[name];
        var (x, y) = _labels.Place(points.Select(point => (point.X, point.Y)), text, FontSize);
        Add($"<text x=\"{x:0.0}\" y=\"{y:0.0}\" fill=\"{colour}\" font-weight=\"bold\">{text}</text>");
    }

    /// <summary>One measurement on the page.</summary>
    private sealed record Mark(double X, double Y, double HighY, int Clients);
}
