using System.Globalization;
using Dqlite.Load.Operations;
using Dqlite.Net;
using Quickstart;

namespace Dqlite.Load;

/// <summary>The command line of a load.</summary>
internal sealed record LoadOptions
{
    private const int DefaultValueBytes = 100;
    private const int DefaultBlobBytes = 100_000;
    private const int DefaultRows = 10_000;
    private static readonly string[] Known = ["nodes", "clients", "seconds", "workload", "value-bytes", "rows", "api", "level", "on", "rounds", "processes!", "json", "dir", "svg"];

    public required int Nodes { get; init; }

    public required int[] Clients { get; init; }

    public required int Seconds { get; init; }

    public required OperationKind Workload { get; init; }

    public required int ValueBytes { get; init; }

    public required int Rows { get; init; }

    public required Api[] Apis { get; init; }

    public required ReadConsistency Level { get; init; }

    public required Place On { get; init; }

    public required int Rounds { get; init; }

    public required bool Processes { get; init; }

    public required string? Json { get; init; }

    public required string? Svg { get; init; }

    public required string Directory { get; init; }

    /// <summary>What is measured, in words.</summary>
    public string Title => $"{Names.Of(Workload)}, {Nodes} nodes" + (SpecFor(1).IsLinearizableOnLeader ? "" : $", level {Names.Of(Level)}, clients on {Names.Of(On)}");

    /// <exception cref="ArgumentException">Something in it cannot be.</exception>
    public static LoadOptions Parse(string[] args)
    {
        var arguments = Arguments.Parse(args, Known);
        var workload = Names.Parse<OperationKind>("workload", arguments.Find("workload") ?? Names.Of(OperationKind.Insert));
        var level = Names.Parse<ReadConsistency>("level", arguments.Find("level") ?? Names.Of(ReadConsistency.Linearizable));
        var options = new LoadOptions
        {
            Nodes = arguments.Number("nodes", 3, 1, 9),
            Clients = [.. List(arguments.Find("clients") ?? "1,4,16,64").Select(ParseClients).Distinct().Order()],
            Seconds = arguments.Number("seconds", 5, 1, 3600),
            Workload = workload,
            ValueBytes = arguments.Number("value-bytes", workload == OperationKind.Blob ? DefaultBlobBytes : DefaultValueBytes, 1, 10_000_000),
            Rows = arguments.Number("rows", DefaultRows, 1, 100_000_000),
            Apis = arguments.Find("api") is { } apis ? [.. List(apis).Select(word => Names.Parse<Api>("api", word)).Distinct()] : [.. Enum.GetValues<Api>().Where(api => Knows(api, level))],
            Level = level,
            On = Names.Parse<Place>("on", arguments.Find("on") ?? Names.Of(Place.Leader)),
            Rounds = arguments.Number("rounds", 5, 1, 1000),
            Processes = arguments.Has("processes"),
            Json = FileOf(arguments, "json"),
            Svg = FileOf(arguments, "svg"),
            Directory = DirectoryOf(arguments),
        };
        options.ValidateReads();
        return options;
    }

    /// <summary>Where the data goes: --dir, or the current directory.</summary>
    public static string DirectoryOf(Arguments arguments) =>
        Checked("dir", arguments.Find("dir") ?? System.IO.Directory.GetCurrentDirectory(), path => System.IO.Directory.CreateDirectory(path));

    public LoadSpec SpecFor(int clients) => new(Workload, clients, ValueBytes, Rows, Seconds, Level, On);

    /// <summary>A file that is to be written, or null. It exists then: what cannot be written is refused before anything is measured for it.</summary>
    public static string? FileOf(Arguments arguments, string option) =>
        arguments.Find(option) is { } path ? Checked(option, path, wanted => File.OpenWrite(wanted).Dispose()) : null;

    /// <summary>A plain connection has no session, and no bound.</summary>
    private static bool Knows(Api api, ReadConsistency level) => api == Api.Dqlite || level is ReadConsistency.Linearizable or ReadConsistency.Local;

    private void ValidateReads()
    {
        var spec = SpecFor(1);
        if (!spec.OnlyReads && !spec.IsLinearizableOnLeader)
        {
            throw new ArgumentException($"--level and --on are for a workload that only reads (select): {Names.Of(Workload)} writes, which the leader alone does.");
        }

        if (On == Place.Followers && Nodes == 1)
        {
            throw new ArgumentException("--on followers needs at least 2 --nodes.");
        }

        if (!Apis.All(api => Knows(api, Level)))
        {
            throw new ArgumentException($"--api plain has no level {Names.Of(Level)}, only linearizable and local.");
        }
    }

    private static string Checked(string option, string path, Action<string> attempt)
    {
        try
        {
            attempt(path);
            return path;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new ArgumentException($"--{option}: '{path}' cannot be used: {exception.Message}", exception);
        }
    }

    private static string[] List(string text) => text.Split(',');

    private static int ParseClients(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is >= 1 and <= 1024
        ? number
        : throw new ArgumentException($"--clients must be numbers from 1 to 1024 with commas between them, not '{text}'.");
}
