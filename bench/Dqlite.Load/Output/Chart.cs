using System.Globalization;
using System.Text;

namespace Dqlite.Load.Output;

/// <summary>An SVG of median latency against throughput: log axes, one line per series, its points labelled with their clients.</summary>
internal sealed class Chart
{
    private const int Width = 900;
    private const int Height = 560;
    private const int Left = 80;
    private const int Right = 180;
    private const int Top = 50;
    private const int Bottom = 60;
    private const int LegendLine = 24;
    private static readonly string[] Colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555", "#e69f00"];

    private readonly StringBuilder _svg = new();
    private readonly LogAxis _rate;
    private readonly LogAxis _latency;

    private Chart(IReadOnlyList<SummaryLine> lines)
    {
        _rate = new LogAxis(lines.Select(line => line.CommitsPerSecond), Left, Width - Right);
        _latency = new LogAxis(lines.Select(line => line.P50Us), Height - Bottom, Top);
    }

    public static string Draw(Summary summary, string title)
    {
        var chart = new Chart(summary.Lines);
        chart.DrawFrame(title);
        var number = 0;
        foreach (var series in summary.Lines.GroupBy(line => line.Key.Name))
        {
            chart.DrawSeries(series.Key, [.. series], Colours[number % Colours.Length], number);
            number++;
        }

        chart.Add($"</svg>");
        return chart._svg.ToString();
    }

    private static string TickLabel(double value) => value >= 1e6 ? $"{value / 1e6:0}M" : value >= 1e3 ? $"{value / 1e3:0}k" : value.ToString("0.###", CultureInfo.InvariantCulture);

    private void Add(FormattableString line) => _svg.AppendLine(line.ToString(CultureInfo.InvariantCulture));

    private void DrawFrame(string title)
    {
        Add($"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {Height}\" font-family=\"sans-serif\" font-size=\"13\">");
        Add($"<rect width=\"{Width}\" height=\"{Height}\" fill=\"white\"/>");
        Add($"<text x=\"{Left}\" y=\"28\" font-size=\"17\">{title}</text>");
        foreach (var (value, isLabelled) in _rate.Ticks())
        {
            var x = _rate.At(value);
            Add($"<line x1=\"{x:0.0}\" y1=\"{Top}\" x2=\"{x:0.0}\" y2=\"{Height - Bottom}\" stroke=\"{(isLabelled ? "#bbb" : "#eee")}\"/>");
            Label(isLabelled, $"<text x=\"{x:0.0}\" y=\"{Height - Bottom + 18}\" text-anchor=\"middle\">{TickLabel(value)}</text>");
        }

        foreach (var (value, isLabelled) in _latency.Ticks())
        {
            var y = _latency.At(value);
            Add($"<line x1=\"{Left}\" y1=\"{y:0.0}\" x2=\"{Width - Right}\" y2=\"{y:0.0}\" stroke=\"{(isLabelled ? "#bbb" : "#eee")}\"/>");
            Label(isLabelled, $"<text x=\"{Left - 8}\" y=\"{y + 4:0.0}\" text-anchor=\"end\">{TickLabel(value)}</text>");
        }

        Add($"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 16}\" text-anchor=\"middle\">commits per second</text>");
        Add($"<text transform=\"translate(22 {(Top + Height - Bottom) / 2}) rotate(-90)\" text-anchor=\"middle\">p50 latency, microseconds</text>");
    }

    private void Label(bool isLabelled, FormattableString label)
    {
        if (isLabelled)
        {
            Add(label);
        }
    }

    private void DrawSeries(string name, IReadOnlyList<SummaryLine> lines, string colour, int number)
    {
        var points = lines.Select(line => (X: _rate.At(line.CommitsPerSecond), Y: _latency.At(line.P50Us), line.Key.Clients)).ToArray();
        var path = string.Join(' ', points.Select(point => string.Create(CultureInfo.InvariantCulture, $"{point.X:0.0},{point.Y:0.0}")));
        Add($"<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
        foreach (var (x, y, clients) in points)
        {
            Add($"<circle cx=\"{x:0.0}\" cy=\"{y:0.0}\" r=\"4\" fill=\"{colour}\"/>");
            Add($"<text x=\"{x + 7:0.0}\" y=\"{y - 6:0.0}\" font-size=\"11\" fill=\"{colour}\">{clients}</text>");
        }

        var legendY = Top + 10 + (number * LegendLine);
        Add($"<line x1=\"{Width - Right + 20}\" y1=\"{legendY}\" x2=\"{Width - Right + 48}\" y2=\"{legendY}\" stroke=\"{colour}\" stroke-width=\"2\"/>");
        Add($"<circle cx=\"{Width - Right + 34}\" cy=\"{legendY}\" r=\"4\" fill=\"{colour}\"/>");
        Add($"<text x=\"{Width - Right + 56}\" y=\"{legendY + 4}\">{name}</text>");
    }
}
