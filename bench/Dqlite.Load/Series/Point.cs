using System.Text.Json.Serialization;

namespace Dqlite.Load.Series;

/// <summary>One measurement: a line of the JSON file.</summary>
internal sealed record Point
{
    [JsonPropertyName("series")]
    public required string Series { get; init; }

    [JsonPropertyName("workload")]
    public required string Workload { get; init; }

    [JsonPropertyName("nodes")]
    public required int Nodes { get; init; }

    [JsonPropertyName("clients")]
    public required int Clients { get; init; }

    [JsonPropertyName("round")]
    public required int Round { get; init; }

    [JsonPropertyName("commits_per_s")]
    public required double CommitsPerSecond { get; init; }

    [JsonPropertyName("p50_us")]
    public required double P50Us { get; init; }

    [JsonPropertyName("p95_us")]
    public required double P95Us { get; init; }

    [JsonPropertyName("p99_us")]
    public required double P99Us { get; init; }

    [JsonPropertyName("max_us")]
    public required double MaxUs { get; init; }

    [JsonPropertyName("cpu_us_per_commit")]
    public required double CpuUsPerCommit { get; init; }

    /// <summary>Of one node: the mean of all.</summary>
    [JsonPropertyName("log_bytes_per_commit")]
    public required double LogBytesPerCommit { get; init; }

    /// <summary>Of all nodes together.</summary>
    [JsonPropertyName("net_bytes_per_commit")]
    public required double NetBytesPerCommit { get; init; }

    [JsonPropertyName("allocated_bytes_per_commit")]
    public required double AllocatedBytesPerCommit { get; init; }

    /// <summary>On the floor alone: the median of the bare flushes beside it.</summary>
    [JsonPropertyName("bare_fdatasync_p50_us")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? BareP50Us { get; init; }

    /// <summary>On a floor that was disturbed in every try: its round counts for no ratio.</summary>
    [JsonPropertyName("disturbed")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool IsDisturbed { get; init; }

    /// <summary>Of reads, if not linearizable on the leader.</summary>
    [JsonPropertyName("level")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Level { get; init; }

    /// <summary>Where the clients were, if not linearizable on the leader.</summary>
    [JsonPropertyName("on")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? On { get; init; }

    /// <param name="key">What was measured.</param>
    /// <param name="workload">The load.</param>
    /// <param name="round">The round.</param>
    /// <param name="latency">What the clients saw.</param>
    /// <param name="spent">What it cost on all nodes.</param>
    public static Point Of(SeriesKey key, string workload, int round, LatencySummary latency, Usage spent)
    {
        var commits = Math.Max(1, latency.Commits);
        return new Point
        {
            Series = key.Name,
            Workload = workload,
            Nodes = key.Nodes,
            Clients = key.Clients,
            Round = round,
            CommitsPerSecond = Rounded(latency.Commits / latency.Seconds),
            P50Us = Rounded(latency.P50Us),
            P95Us = Rounded(latency.P95Us),
            P99Us = Rounded(latency.P99Us),
            MaxUs = Rounded(latency.MaxUs),
            CpuUsPerCommit = Rounded(spent.CpuUs / commits),
            LogBytesPerCommit = Rounded(spent.LogBytes / key.Nodes / commits),
            NetBytesPerCommit = Rounded(spent.NetBytes / commits),
            AllocatedBytesPerCommit = Rounded(spent.AllocatedBytes / commits),
        };
    }

    private static double Rounded(double value) => Math.Round(value, 3);
}
