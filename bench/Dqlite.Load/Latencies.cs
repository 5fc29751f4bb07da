using System.Diagnostics;
using System.Numerics;

namespace Dqlite.Load;

/// <summary>
/// A log-linear histogram of times: each power of two of nanoseconds has 128 buckets, so that a quantile is at most 0.8 % off, and adding
/// allocates nothing. One per client; merged at the end.
/// </summary>
internal sealed class Latencies
{
    private const int SubBucketBits = 7;
    private const int SubBuckets = 1 << SubBucketBits;
    private readonly long[] _buckets = new long[(64 - SubBucketBits) * SubBuckets];
    private long _maxNs;

    /// <summary>How many there are.</summary>
    public long Count { get; private set; }

    /// <summary>Adds a difference of two <see cref="Stopwatch.GetTimestamp"/>.</summary>
    public void Add(long ticks)
    {
        var ns = (long)(ticks * (1e9 / Stopwatch.Frequency));
        _buckets[BucketOf(ns)]++;
        _maxNs = Math.Max(_maxNs, ns);
        Count++;
    }

    public void Add(Latencies other)
    {
        for (var i = 0; i < _buckets.Length; i++)
        {
            _buckets[i] += other._buckets[i];
        }

        _maxNs = Math.Max(_maxNs, other._maxNs);
        Count += other.Count;
    }

    public LatencySummary Summarize(TimeSpan elapsed) => new(Count, elapsed.TotalSeconds, QuantileUs(0.5), QuantileUs(0.95), QuantileUs(0.99), _maxNs / 1e3);

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
        for (var i = 0; i < _buckets.Length; i++)
        {
            left -= _buckets[i];
            if (left <= 0)
            {
                return Math.Min(NsOf(i), _maxNs) / 1e3;
            }
        }

        return _maxNs / 1e3;
    }
}

/// <summary>What the clients of one point saw.</summary>
internal sealed record LatencySummary(long Commits, double Seconds, double P50Us, double P95Us, double P99Us, double MaxUs);
