using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Dqlite.Simulation.CoreTier;

/// <summary>
/// XXH64, written from its public specification ("xxHash fast digest algorithm", version 0.1.1). It is here beside the shim's own since a call
/// into native code for each page would cost more than the hash of a small page.
/// </summary>
internal static class XxHash64
{
    private const ulong P1 = 0x9E3779B185EBCA87;
    private const ulong P2 = 0xC2B2AE3D27D4EB4F;
    private const ulong P3 = 0x165667B19E3779F9;
    private const ulong P4 = 0x85EBCA77C2B2AE63;
    private const ulong P5 = 0x27D4EB2F165667C5;

    /// <summary>The checksum of a page (docs/formats/database.md).</summary>
    public static ulong OfPage(uint pageNumber, ReadOnlySpan<byte> image) => Compute(image, pageNumber);

    /// <summary>Computes it.</summary>
    public static ulong Compute(ReadOnlySpan<byte> data, ulong seed)
    {
        var hash = Stripes(data, seed) + (ulong)data.Length;
        var tail = data[(data.Length & ~31)..];
        for (; tail.Length >= 8; tail = tail[8..])
        {
            hash = (BitOperations.RotateLeft(hash ^ Round(0, BinaryPrimitives.ReadUInt64LittleEndian(tail)), 27) * P1) + P4;
        }

        if (tail.Length >= 4)
        {
            hash = (BitOperations.RotateLeft(hash ^ (BinaryPrimitives.ReadUInt32LittleEndian(tail) * P1), 23) * P2) + P3;
            tail = tail[4..];
        }

        foreach (var value in tail)
        {
            hash = BitOperations.RotateLeft(hash ^ (value * P5), 11) * P1;
        }

        hash = (hash ^ (hash >> 33)) * P2;
        hash = (hash ^ (hash >> 29)) * P3;
        return hash ^ (hash >> 32);
    }

    /// <summary>The part that works on whole stripes of 32 bytes. Little-endian machines only, as are all that the shim is built for.</summary>
    private static ulong Stripes(ReadOnlySpan<byte> data, ulong seed)
    {
        if (data.Length < 32)
        {
            return seed + P5;
        }

        var (a, b, c, d) = (seed + P1 + P2, seed + P2, seed, seed - P1);
        var words = MemoryMarshal.Cast<byte, ulong>(data);
        for (; words.Length >= 4; words = words[4..])
        {
            d = Round(d, words[3]);
            c = Round(c, words[2]);
            b = Round(b, words[1]);
            a = Round(a, words[0]);
        }

        var hash = BitOperations.RotateLeft(a, 1) + BitOperations.RotateLeft(b, 7) + BitOperations.RotateLeft(c, 12) + BitOperations.RotateLeft(d, 18);
        return Merge(Merge(Merge(Merge(hash, a), b), c), d);
    }

    private static ulong Round(ulong sum, ulong lane) => BitOperations.RotateLeft(sum + (lane * P2), 31) * P1;

    private static ulong Merge(ulong hash, ulong value) => ((hash ^ Round(0, value)) * P1) + P4;
}
