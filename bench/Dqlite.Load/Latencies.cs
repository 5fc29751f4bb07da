using System.Diagnostics;
using System.Numerics;
using System.Text.Json.Serialization;

namespace Dqlite.Load;

/// <summary>
/// A log-linear histogram of times: each power of two of nanoseconds has 128 buckets, so that a quantile is at most 0.8 % off, and adding
/// allocates nothing. One per client; merged at the end.
/// </summary>
internal sealed class Latencies
{
    private const int SubBucketBits = 7;
    private const int SubBuckets = 1 << SubBucketBits;

    /// <summary>How many there are of each length.</summary>
    [JsonInclude]
    private long[] Buckets { get; init; } = new long[(64 - SubBucketBits) * SubBuckets];

    [JsonInclude]
    private long MaxNs { get; set; }

    /// <summary>How many there are.</summary>
    [JsonInclude]
    public long Count { get; private set; }

    /// <summary>Adds a difference of two <see cref="Stopwatch.GetTimestamp"/>.</summary>
    public void Add(long ticks)
    {
        var ns = (long)(ticks * (1e9 / Stopwatch.Frequency));
        Buckets[BucketOf(ns)]++;
        MaxNs = Math.Max(MaxNs, ns);
        Count++;
    }

    public void Add(Latencies other)
    {
        for (var i = 0; i < Buckets.Length; i++)
        {
            Buckets[i] += other.Buckets[i];
        }

        MaxNs = Math.Max(MaxNs, other.MaxNs);
        Count += other.Count;
    }

    public LatencySummary Summarize(TimeSpan elapsed) => new(Count, elapsed.TotalSeconds, QuantileUs(0.5), QuantileUs(0.95), QuantileUs(0.99), MaxNs / 1e3);

    private static int BucketOf(long ns)
    {
        if (ns < SubBuckets)
        {
            return (int)Math.Max(0, ns);
        }

        var shift = BitOperations.Log2((ulong)ns) - SubBucketBits;
        return (shift * SubBuckets) + (int)(ns >> shift);
    }

    /// <summary>The middle of a bucket.</summary>
    private static double NsOf(int bucket)
    {
        var shift = Math.Max(0, (bucket / SubBuckets) - 1);
        var first = (long)(bucket - (shift * SubBuckets)) << shift;
        return first + ((1L << shift) / 2.0);
    }

    private double QuantileUs(double quantile)
    {
        var left = (long)Math.Ceiling(quantile * Count);
        for (var i = 0; i < Buckets.Length; i++)
        {
            left -= Buckets[i];
            if (left <= 0)
            {
                return Math.Min(NsOf(i), MaxNs) / 1e3;
            }
        }

        return MaxNs / 1e3;
    }
}

/// <summary>What the clients of one session saw; JSON between processes.</summary>
internal sealed record LoadResult(Latencies Latencies, TimeSpan Elapsed)
{
    /// <summary>Of sessions that ran at the same time.</summary>
    public static LoadResult Merge(IReadOnlyList<LoadResult> results)
    {
        var all = new Latencies();
        foreach (var result in results)
        {
            all.Add(result.Latencies);
        }

        return new LoadResult(all, results.Max(result => result.Elapsed));
    }

    public LatencySummary Summarize() => Latencies.Summarize(Elapsed);
}

/// <summary>What the clients of one point saw.</summary>
internal sealed record LatencySummary(long Commits, double Seconds, double P50Us, double P95Us, double P99Us, double MaxUs);
