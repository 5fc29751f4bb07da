using System.Buffers.Binary;
using Dqlite.Net;
using Dqlite.Net.Transport;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>Frames as bytes.</summary>
internal static class FrameStream
{
    private const int BodyChecksumOffset = 20;
    private const int HeaderChecksumOffset = 24;

    /// <summary>A stream in the pieces in which it arrives.</summary>
    public static IEnumerable<ReadOnlyMemory<byte>> Pieces(byte[] stream)
    {
        var random = new SeededRandom(Crc32C.Compute(stream));
        var most = random.Pick([1, 7, 100, 100_000]);
        for (var start = 0; start < stream.Length;)
        {
            var count = Math.Min(random.Between(1, most), stream.Length - start);
            yield return stream.AsMemory(start, count);
            start += count;
        }
    }

    /// <summary>Gives a parser bytes that have arrived.</summary>
    public static void Put(FrameParser parser, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(parser.GetMemory(bytes.Length).Span);
        parser.Advance(bytes.Length);
    }

    /// <summary>A frame with another body, whose length it states.</summary>
    public static byte[] WithBody(byte[] frame, byte[] body)
    {
        byte[] changed = [.. frame[..FrameHeader.SizeBytes], .. body];
        var difference = body.Length - (frame.Length - FrameHeader.SizeBytes);
        BinaryPrimitives.WriteInt32LittleEndian(changed, body.Length);
        foreach (var offset in new[] { 8, 16 })
        {
            var field = changed.AsSpan(offset);
            BinaryPrimitives.WriteInt32LittleEndian(field, BinaryPrimitives.ReadInt32LittleEndian(field) + difference);
        }

        return changed;
    }

    /// <summary>Makes the checksums of all frames right, so that what is behind them is reached.</summary>
    public static byte[] FixChecksums(byte[] stream)
    {
        var fixedStream = (byte[])stream.Clone();
        for (var start = 0; start + FrameHeader.SizeBytes <= fixedStream.Length;)
        {
            var header = fixedStream.AsSpan(start);
            var body = header[FrameHeader.SizeBytes..];
            var size = Math.Min(BinaryPrimitives.ReadUInt32LittleEndian(header), (uint)body.Length);
            BinaryPrimitives.WriteUInt32LittleEndian(header[BodyChecksumOffset..], Crc32C.Compute(body[..(int)size]));
            BinaryPrimitives.WriteUInt32LittleEndian(header[HeaderChecksumOffset..], Crc32C.Compute(header[..HeaderChecksumOffset]));
            start += FrameHeader.SizeBytes + (int)size;
        }

        return fixedStream;
    }
}
