using Dqlite.Net.Storage;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>Several byte strings as one input: each with its length and, since files are mostly zeros, without the zeros at its end.</summary>
internal static class Blobs
{
    /// <summary>Joins them.</summary>
    public static byte[] Join(IReadOnlyList<byte[]> parts)
    {
        var writer = new ByteWriter().UInt32((uint)parts.Count);
        foreach (var part in parts)
        {
            writer.UInt32((uint)part.Length).Blob(part.AsSpan().TrimEnd((byte)0));
        }

        return writer.ToArray();
    }

    /// <summary>Cuts them apart again.</summary>
    /// <exception cref="FormatException">The input was not joined here.</exception>
    public static byte[][] Split(byte[] input)
    {
        var reader = new ByteReader(input);
        var parts = new byte[reader.Count(2 * sizeof(uint))][];
        for (var i = 0; i < parts.Length; i++)
        {
            var length = reader.UInt32();
            var content = reader.Blob();
            if (length > MaxPartBytes || content.Length > length)
            {
                throw new FormatException($"A part of {length} bytes holds {content.Length}.");
            }

            content.CopyTo(parts[i] = new byte[length]);
        }

        return parts;
    }

    private const uint MaxPartBytes = 64 << 20;
}
