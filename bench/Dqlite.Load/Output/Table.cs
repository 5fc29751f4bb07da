using System.Globalization;

namespace Dqlite.Load.Output;

/// <summary>The medians, on standard output.</summary>
internal static class Table
{
    private static readonly string[] Heads = ["series", "clients", "commits/s", "p50 us", "p95 us", "p99 us", "max us", "cpu us", "log B", "net B", "alloc B", "p50/floor", "rate/sqlite-full 1", "p50/sqlite-full 1"];

    public static void Print(Summary summary)
    {
        var rows = summary.Lines.Select(Cells).Prepend(Heads).ToArray();
        var widths = Heads.Select((_, column) => rows.Max(row => row[column].Length)).ToArray();
        Console.WriteLine("medians of the rounds; cpu, log (of one node), net and alloc are per commit; ratios are medians of the rounds' own");
        foreach (var row in rows)
        {
            Console.WriteLine(string.Join("  ", row.Select((cell, column) => column == 0 ? cell.PadRight(widths[0]) : cell.PadLeft(widths[column]))));
        }

        if (summary.BareP50Us is { } bare)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"bare fdatasync beside the floor: p50 {bare:0.0} us"));
        }

        if (summary.DisturbedFloors > 0)
        {
            Console.WriteLine($"disturbed in every try: the floor of {summary.DisturbedFloors} rounds, which count for no ratio to it; a machine like that holds up plain SQLite's lone writer too, and flatters the ratio to it");
        }
    }

    private static string[] Cells(SummaryLine line) =>
    [
        line.Key.Name,
        Text(line.Key.Clients),
        Text(line.CommitsPerSecond),
        Text(line.P50Us, "0.0"),
        Text(line.Of(point => point.P95Us), "0.0"),
        Text(line.Of(point => point.P99Us), "0.0"),
        Text(line.Of(point => point.MaxUs)),
        Text(line.Of(point => point.CpuUsPerCommit), "0.0"),
        Text(line.Of(point => point.LogBytesPerCommit)),
        Text(line.Of(point => point.NetBytesPerCommit)),
        Text(line.Of(point => point.AllocatedBytesPerCommit)),
        line.ToFloor is { } toFloor ? Text(toFloor, "0.00") : "-",
        line.ToSqlite is { } toSqlite ? Text(toSqlite, "0.00") : "-",
        line.ToSqliteP50 is { } toSqliteP50 ? Text(toSqliteP50, "0.00") : "-",
    ];

    private static string Text(double value, string format = "0") => value.ToString(format, CultureInfo.InvariantCulture);
}
