using System.Buffers.Binary;

namespace Dqlite.Simulation.FullTier;

/// <summary>The bytes of a blob follow from its value, and differ from those of any other value.</summary>
internal static class BlobContent
{
    private const ulong Step = 0x9E3779B97F4A7C15UL;

    /// <summary>Fills a buffer.</summary>
    public static void Fill(long value, Span<byte> bytes)
    {
        var state = Start(value);
        for (; bytes.Length >= 8; bytes = bytes[8..])
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, Next(ref state));
        }

        Span<byte> last = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(last, Next(ref state));
        last[..bytes.Length].CopyTo(bytes);
    }

    /// <summary>Whether these are the bytes of a value.</summary>
    public static bool IsOf(long value, ReadOnlySpan<byte> bytes)
    {
        var state = Start(value);
        for (; bytes.Length >= 8; bytes = bytes[8..])
        {
            if (BinaryPrimitives.ReadUInt64LittleEndian(bytes) != Next(ref state))
            {
                return false;
            }
        }

        Span<byte> last = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(last, Next(ref state));
        return bytes.SequenceEqual(last[..bytes.Length]);
    }

    private static ulong Start(long value) => unchecked((ulong)value * 0xD1342543DE82EF95UL);

    private static ulong Next(ref ulong state)
    {
        state += Step;
        var z = (state ^ (state >> 31)) * 0xBF58476D1CE4E5B9UL;
        return z ^ (z >> 29);
    }
}
