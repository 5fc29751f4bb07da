using System.Buffers.Binary;
using System.Numerics;

namespace Dqlite.Net;

/// <summary>CRC32C (Castagnoli, RFC 3720), by the processor's instruction, eight bytes at a time.</summary>
internal static class Crc32C
{
    /// <summary>The state before the first byte.</summary>
    internal const uint Initial = 0xFFFFFFFF;

    /// <summary>The CRC of a whole buffer.</summary>
    internal static uint Compute(ReadOnlySpan<byte> data) => Finish(Append(Initial, data));

    /// <summary>Continues a state with eight bytes, little-endian.</summary>
    internal static uint Append(uint state, ulong data) => BitOperations.Crc32C(state, data);

    /// <summary>Continues a state with more bytes.</summary>
    internal static uint Append(uint state, ReadOnlySpan<byte> data)
    {
        while (data.Length >= sizeof(ulong))
        {
            state = BitOperations.Crc32C(state, BinaryPrimitives.ReadUInt64LittleEndian(data));
            data = data[sizeof(ulong)..];
        }

        foreach (var value in data)
        {
            state = BitOperations.Crc32C(state, value);
        }

        return state;
    }

    /// <summary>The CRC of a state.</summary>
    internal static uint Finish(uint state) => ~state;
}
