using System.Numerics;
using System.Runtime.InteropServices;

namespace Dqlite.Net.Transport;

/// <summary>CRC-32C (Castagnoli) as RFC 3720 defines it: initial value and final inversion of all ones.</summary>
internal static class Crc32C
{
    /// <summary>The checksum of some bytes.</summary>
    public static uint Compute(ReadOnlySpan<byte> bytes) => ~Append(uint.MaxValue, bytes);

    /// <summary>Continues a running value, which starts with all ones and is inverted at the end.</summary>
    public static uint Append(uint running, ReadOnlySpan<byte> bytes)
    {
        var words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (var word in words)
        {
            running = BitOperations.Crc32C(running, BitConverter.IsLittleEndian ? word : System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(word));
        }

        foreach (var value in bytes[(words.Length * sizeof(ulong))..])
        {
            running = BitOperations.Crc32C(running, value);
        }

        return running;
    }
}
