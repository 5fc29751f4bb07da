using System.Numerics;
using System.Text;

namespace Dqlite.Simulation.World;

/// <summary>
/// The only source of chance: xoshiro256** seeded by splitmix64, the same on every platform. Each part of the simulation takes a stream of
/// its own by name, so that taking one fault out of a run leaves what the other parts draw as it was.
/// </summary>
internal sealed class SeededRandom
{
    private readonly ulong _seed;
    private ulong _s0;
    private ulong _s1;
    private ulong _s2;
    private ulong _s3;

    public SeededRandom(ulong seed)
    {
        _seed = seed;
        _s0 = Mix(ref seed);
        _s1 = Mix(ref seed);
        _s2 = Mix(ref seed);
        _s3 = Mix(ref seed);
    }

    /// <summary>An independent stream of the same seed.</summary>
    public SeededRandom Stream(string name, long number = 0)
    {
        var state = _seed ^ ((ulong)number * 0xD1342543DE82EF95UL);
        foreach (var value in Encoding.UTF8.GetBytes(name))
        {
            state = (state ^ value) * 0x100000001B3UL;
        }

        return new SeededRandom(Mix(ref state));
    }

    /// <summary>64 random bits.</summary>
    public ulong NextBits()
    {
        var result = BitOperations.RotateLeft(_s1 * 5, 7) * 9;
        var t = _s1 << 17;
        _s2 ^= _s0;
        _s3 ^= _s1;
        _s1 ^= _s2;
        _s0 ^= _s3;
        _s2 ^= t;
        _s3 = BitOperations.RotateLeft(_s3, 45);
        return result;
    }

    /// <summary>From 0 to below the bound.</summary>
    public long Next(long bound)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bound);
        return (long)Math.BigMul(NextBits(), (ulong)bound, out _);
    }

    /// <summary>From 0 to below the bound.</summary>
    public int Next(int bound) => (int)Next((long)bound);

    /// <summary>From the first to the last, both included.</summary>
    public long Between(long first, long last) => first + Next(last - first + 1);

    /// <summary>From the first to the last, both included.</summary>
    public int Between(int first, int last) => (int)Between((long)first, last);

    /// <summary>True with this probability.</summary>
    public bool Chance(double probability) => (NextBits() >> 11) * (1.0 / (1UL << 53)) < probability;

    /// <summary>One of them.</summary>
    public T Pick<T>(IReadOnlyList<T> from) => from[Next(from.Count)];

    /// <summary>Fills with random bytes.</summary>
    public void Fill(Span<byte> bytes)
    {
        for (var i = 0; i < bytes.Length; i += 8)
        {
            var bits = NextBits();
            for (var j = i; j < Math.Min(bytes.Length, i + 8); j++, bits >>= 8)
            {
                bytes[j] = (byte)bits;
            }
        }
    }

    private static ulong Mix(ref ulong state)
    {
        state += 0x9E3779B97F4A7C15UL;
        var z = state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        return z ^ (z >> 31);
    }
}
