using System.Text.Json.Serialization;

namespace Dqlite.Load.Soak;

/// <summary>One interval: a line of the table, and of the JSON file. Sizes are those of all nodes together, in MB of 1,000,000 bytes.</summary>
internal sealed record SoakSample
{
    [JsonPropertyName("seconds")]
    public required double Seconds { get; init; }

    [JsonPropertyName("commits_per_s")]
    public required double CommitsPerSecond { get; init; }

    [JsonPropertyName("p99_us")]
    public required double P99Us { get; init; }

    /// <summary>What the collector has committed.</summary>
    [JsonPropertyName("managed_mb")]
    public required double ManagedMb { get; init; }

    [JsonPropertyName("resident_mb")]
    public required double ResidentMb { get; init; }

    [JsonPropertyName("log_mb")]
    public required double LogMb { get; init; }

    [JsonPropertyName("database_mb")]
    public required double DatabaseMb { get; init; }

    [JsonPropertyName("descriptors")]
    public required int Descriptors { get; init; }

    [JsonPropertyName("threads")]
    public required int Threads { get; init; }

    /// <summary>Since the start; the first one, which a cluster begins with, does not count.</summary>
    [JsonPropertyName("elections")]
    public required int Elections { get; init; }
}
