using System.Buffers.Binary;

namespace Dqlite.Simulation.CoreTier;

/// <summary>NAME.sums as the shim writes it (docs/formats/database.md).</summary>
internal static class SumsFormat
{
    /// <summary>What lies before the checksum of page 1.</summary>
    public const int HeaderBytes = 32;

    /// <summary>Bytes of one checksum.</summary>
    public const int SumBytes = 8;

    /// <summary>Where the checksum of a page lies.</summary>
    public static long OffsetOf(uint page) => HeaderBytes + ((long)(page - 1) * SumBytes);

    /// <summary>The header of a database's sums.</summary>
    public static byte[] Header(int pageSize)
    {
        var header = new byte[HeaderBytes];
        "DqliteSm"u8.CopyTo(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(8), 1);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(12), (uint)pageSize);
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(24), XxHash64.Compute(header.AsSpan(0, 24), 0));
        return header;
    }

    /// <summary>Checksums as they are stored.</summary>
    public static byte[] Encode(ReadOnlySpan<ulong> sums)
    {
        var bytes = new byte[sums.Length * SumBytes];
        for (var i = 0; i < sums.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * SumBytes), sums[i]);
        }

        return bytes;
    }

    /// <summary>Reads them back.</summary>
    public static ulong[] Decode(ReadOnlySpan<byte> bytes)
    {
        var sums = new ulong[bytes.Length / SumBytes];
        for (var i = 0; i < sums.Length; i++)
        {
            sums[i] = BinaryPrimitives.ReadUInt64LittleEndian(bytes[(i * SumBytes)..]);
        }

        return sums;
    }
}
