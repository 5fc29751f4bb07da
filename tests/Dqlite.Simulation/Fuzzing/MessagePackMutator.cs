using System.Buffers;
using System.Buffers.Binary;
using Dqlite.Net.Transport;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>Damages MessagePack value by value: other types, other lengths, deep nesting, values twice, values gone.</summary>
internal sealed class MessagePackMutator(SeededRandom random)
{
    private const byte NeverUsed = 0xc1;
    private const byte Ext8 = 0xc7;
    private const byte FixExt1 = 0xd4;

    /// <summary>Damages one or two of its values.</summary>
    public byte[] Mutate(byte[] bytes)
    {
        for (var i = random.Between(1, 2); i > 0; i--)
        {
            bytes = MutateOnce(bytes);
        }

        return bytes;
    }

    private byte[] MutateOnce(byte[] bytes)
    {
        var tokens = Tokens(bytes);
        if (tokens.Count == 0)
        {
            return RandomValue();
        }

        var token = random.Pick(tokens);
        var before = bytes[..token.Start.Value];
        var value = bytes[token];
        var after = bytes[token.End.Value..];
        return random.Next(8) switch
        {
            0 => [.. before, .. after],
            1 => [.. before, .. value, .. value, .. after],
            2 => [.. before, .. bytes[random.Pick(tokens)], .. after],
            3 => [.. before, .. value, .. RandomValue(), .. after],
            _ => [.. before, .. RandomValue(), .. after],
        };
    }

    /// <summary>Where the values are; of an array or a map the header alone, since its values follow as values of their own.</summary>
    private static List<Range> Tokens(byte[] bytes)
    {
        var tokens = new List<Range>();
        for (var start = 0; start < bytes.Length;)
        {
            var end = (int)Math.Min(bytes.Length, start + SizeOf(bytes.AsSpan(start)));
            tokens.Add(start..end);
            start = end;
        }

        return tokens;
    }

    private static long SizeOf(ReadOnlySpan<byte> value) => value[0] switch
    {
        >= MessagePackCode.MinFixStr and < MessagePackCode.Nil => 1 + (value[0] & 0x1f),
        MessagePackCode.Bin8 or MessagePackCode.Str8 when value.Length > 1 => 2 + value[1],
        MessagePackCode.Bin16 or MessagePackCode.Str16 when value.Length > 2 => 3 + BinaryPrimitives.ReadUInt16BigEndian(value[1..]),
        MessagePackCode.Bin32 or MessagePackCode.Str32 when value.Length > 4 => 5 + (long)BinaryPrimitives.ReadUInt32BigEndian(value[1..]),
        MessagePackCode.UInt8 or MessagePackCode.Int8 => 2,
        MessagePackCode.UInt16 or MessagePackCode.Int16 or MessagePackCode.Array16 or MessagePackCode.Map16 => 3,
        MessagePackCode.UInt32 or MessagePackCode.Int32 or MessagePackCode.Float32 or MessagePackCode.Array32 or MessagePackCode.Map32 => 5,
        MessagePackCode.UInt64 or MessagePackCode.Int64 or MessagePackCode.Float64 => 9,
        _ => 1,
    };

    private byte[] RandomValue()
    {
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new MessagePackWriter(buffer);
        switch (random.Next(14))
        {
            case 0:
                writer.WriteNil();
                break;
            case 1:
                writer.Write(random.Chance(0.5));
                break;
            case 2:
                writer.Write((long)random.NextBits() >> random.Next(64));
                break;
            case 3:
                writer.Write(ulong.MaxValue - (ulong)random.Next(3));
                break;
            case 4:
                writer.Write(random.Pick([long.MinValue, -1, long.MaxValue, long.MaxValue / 2, (long.MaxValue / 2) + 1, int.MaxValue, uint.MaxValue]));
                break;
            case 5:
                writer.Write(new string('x', random.Pick([0, 31, 32, 255, 256, 1024, 1025, 5000])));
                break;
            case 6:
                buffer.Write<byte>([MessagePackCode.Str8, 3, 0xff, 0xfe, 0x80]);
                break;
            case 7:
                writer.Write(new byte[random.Pick([0, 1, 255, 256, 3000])]);
                break;
            case 8:
                Claim(buffer, random.Pick<byte>([MessagePackCode.Str32, MessagePackCode.Bin32, MessagePackCode.Array32, MessagePackCode.Map32]));
                break;
            case 9:
                writer.WriteArrayHeader(random.Pick([0, 1, 2, 3, 4, 6, 8, 15, 16, 65_535, 65_536, 1_000_000]));
                break;
            case 10:
                writer.WriteMapHeader(random.Pick([0, 1, 15, 16, 70_000]));
                break;
            case 11:
                buffer.Write(Nested(random.Pick([1, 63, 64, 65, 66, 1000, 20_000])));
                break;
            case 12:
                buffer.Write<byte>([random.Pick<byte>([NeverUsed, Ext8, FixExt1, MessagePackCode.Float32, MessagePackCode.Float64]), 0, 0, 0, 0, 0, 0, 0, 0]);
                break;
            default:
                buffer.Write<byte>([(byte)random.Next(256)]);
                break;
        }

        return buffer.WrittenSpan.ToArray();
    }

    private void Claim(ArrayBufferWriter<byte> buffer, byte code)
    {
        buffer.Write<byte>([code]);
        BinaryPrimitives.WriteUInt32BigEndian(buffer.GetSpan(sizeof(uint)), random.Pick<uint>([uint.MaxValue, int.MaxValue, 1u << 31, 1u << 24, 1u << 30]));
        buffer.Advance(sizeof(uint));
    }

    private static byte[] Nested(int depth)
    {
        var bytes = new byte[depth + 1];
        Array.Fill(bytes, (byte)(MessagePackCode.MinFixArray | 1));
        bytes[depth] = 0;
        return bytes;
    }
}
