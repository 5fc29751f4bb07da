using System.Globalization;
using Dqlite.Load.Operations;
using Quickstart;

namespace Dqlite.Load;

/// <summary>The command line of a load.</summary>
internal sealed record LoadOptions
{
    private const int DefaultValueBytes = 100;
    private const int DefaultBlobBytes = 100_000;
    private const int DefaultRows = 10_000;
    private static readonly string[] Known = ["nodes", "clients", "seconds", "workload", "value-bytes", "rows", "api", "rounds", "processes!", "json", "dir", "svg"];

    public required int Nodes { get; init; }

    public required int[] Clients { get; init; }

    public required int Seconds { get; init; }

    public required OperationKind Workload { get; init; }

    public required int ValueBytes { get; init; }

    public required int Rows { get; init; }

    public required Api[] Apis { get; init; }

    public required int Rounds { get; init; }

    public required bool Processes { get; init; }

    public required string? Json { get; init; }

    public required string? Svg { get; init; }

    public required string Directory { get; init; }

    /// <exception cref="ArgumentException">Something in it cannot be.</exception>
    public static LoadOptions Parse(string[] args)
    {
        var arguments = Arguments.Parse(args, Known);
        var workload = Names.Parse<OperationKind>("workload", arguments.Find("workload") ?? Names.Of(OperationKind.Insert));
        return new LoadOptions
        {
            Nodes = arguments.Number("nodes", 3, 1, 9),
            Clients = [.. List(arguments.Find("clients") ?? "1,4,16,64").Select(ParseClients).Distinct().Order()],
            Seconds = arguments.Number("seconds", 5, 1, 3600),
            Workload = workload,
            ValueBytes = arguments.Number("value-bytes", workload == OperationKind.Blob ? DefaultBlobBytes : DefaultValueBytes, 1, 10_000_000),
            Rows = arguments.Number("rows", DefaultRows, 1, 100_000_000),
            Apis = [.. List(arguments.Find("api") ?? $"{Names.Of(Api.Dqlite)},{Names.Of(Api.Plain)}").Select(word => Names.Parse<Api>("api", word)).Distinct()],
            Rounds = arguments.Number("rounds", 5, 1, 1000),
            Processes = arguments.Has("processes"),
            Json = FileOf(arguments, "json"),
            Svg = FileOf(arguments, "svg"),
            Directory = DirectoryOf(arguments),
        };
    }

    /// <summary>Where the data goes: --dir, or the current directory.</summary>
    public static string DirectoryOf(Arguments arguments)
    {
        var path = arguments.Find("dir") ?? System.IO.Directory.GetCurrentDirectory();
        return File.Exists(path) ? throw new ArgumentException($"--dir: '{path}' is a file.") : path;
    }

    public LoadSpec SpecFor(int clients) => new(Workload, clients, ValueBytes, Rows, Seconds);

    /// <summary>A file that is to be written, or null.</summary>
    public static string? FileOf(Arguments arguments, string option)
    {
        var path = arguments.Find(option);
        return path is null || (System.IO.Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path))) && !System.IO.Directory.Exists(path))
            ? path
            : throw new ArgumentException($"--{option}: '{path}' cannot be a file.");
    }

    private static string[] List(string text) => text.Split(',');

    private static int ParseClients(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is >= 1 and <= 1024
        ? number
        : throw new ArgumentException($"--clients must be numbers from 1 to 1024 with commas between them, not '{text}'.");
}
