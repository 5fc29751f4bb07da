using System.Buffers.Binary;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>Damages bytes without knowing what they mean.</summary>
internal sealed class Mutator(SeededRandom random)
{
    private const int MaxInsertedBytes = 300;

    /// <summary>Damages them, or now and then leaves them as they are.</summary>
    /// <param name="bytes">Valid bytes; not changed.</param>
    /// <param name="other">Other valid bytes, to splice in.</param>
    public byte[] Mutate(byte[] bytes, Func<byte[]> other)
    {
        if (random.Chance(0.03))
        {
            return bytes;
        }

        if (random.Chance(0.02))
        {
            return RandomBytes(random.Next(400));
        }

        for (var i = random.Between(1, 3); i > 0; i--)
        {
            bytes = MutateOnce(bytes, other);
        }

        return bytes;
    }

    /// <summary>Damages them in one place, and not in length.</summary>
    public byte[] Corrupt(byte[] bytes)
    {
        if (bytes.Length == 0)
        {
            return bytes;
        }

        return random.Next(4) switch
        {
            0 => Fill(bytes, false),
            1 => Fill(bytes, true),
            _ => FlipBits(bytes),
        };
    }

    /// <summary>So many random bytes.</summary>
    public byte[] RandomBytes(int count)
    {
        var bytes = new byte[count];
        random.Fill(bytes);
        return bytes;
    }

    /// <summary>Writes a number over some bytes, as a length or a count might be wrong: 0, negative, off by one, huge.</summary>
    public byte[] SetNumber(byte[] bytes, int offset, int width)
    {
        var copy = (byte[])bytes.Clone();
        Span<byte> padded = stackalloc byte[sizeof(ulong)];
        var field = copy.AsSpan(offset, width);
        var isBigEndian = random.Chance(0.3);
        if (isBigEndian)
        {
            field.CopyTo(padded[(sizeof(ulong) - width)..]);
            BinaryPrimitives.WriteUInt64BigEndian(padded, Strange(BinaryPrimitives.ReadUInt64BigEndian(padded), bytes.Length));
            padded[(sizeof(ulong) - width)..].CopyTo(field);
        }
        else
        {
            field.CopyTo(padded);
            BinaryPrimitives.WriteUInt64LittleEndian(padded, Strange(BinaryPrimitives.ReadUInt64LittleEndian(padded), bytes.Length));
            padded[..width].CopyTo(field);
        }

        return copy;
    }

    private byte[] MutateOnce(byte[] bytes, Func<byte[]> other)
    {
        if (bytes.Length == 0)
        {
            return RandomBytes(random.Next(40));
        }

        return random.Next(11) switch
        {
            0 => bytes[..random.Next(bytes.Length)],
            1 => [.. bytes, .. RandomBytes(random.Between(1, MaxInsertedBytes))],
            2 => [.. bytes, .. new byte[random.Between(1, MaxInsertedBytes)]],
            3 => Replace(bytes, RandomBytes(random.Next(20))),
            4 => Replace(bytes, Slice(bytes)),
            5 => Replace(bytes, Slice(other())),
            6 => [.. bytes[..random.Next(bytes.Length + 1)], .. Tail(other())],
            7 or 8 => SetAnyNumber(bytes),
            _ => Corrupt(bytes),
        };
    }

    private byte[] SetAnyNumber(byte[] bytes)
    {
        var width = Math.Min(1 << random.Next(4), bytes.Length);
        var offset = random.Next(bytes.Length - width + 1);
        return SetNumber(bytes, random.Chance(0.5) ? offset : offset & ~3, width);
    }

    private ulong Strange(ulong current, int length) => random.Next(12) switch
    {
        0 => 0,
        1 => 1,
        2 => ulong.MaxValue,
        3 => ulong.MaxValue >> (1 + (8 * random.Next(8))),
        4 => 1UL << random.Next(64),
        5 => current + 1,
        6 => current - 1,
        7 => (ulong)length,
        8 => (ulong)(length + random.Between(-8, 8)),
        9 => ulong.MaxValue - (ulong)random.Next(100),
        10 => int.MaxValue - (ulong)random.Next(100),
        _ => random.NextBits() >> random.Next(64),
    };

    private byte[] FlipBits(byte[] bytes)
    {
        var copy = (byte[])bytes.Clone();
        for (var i = random.Between(1, 4); i > 0; i--)
        {
            copy[random.Next(copy.Length)] ^= (byte)(1 << random.Next(8));
        }

        return copy;
    }

    private byte[] Fill(byte[] bytes, bool withZeros)
    {
        var copy = (byte[])bytes.Clone();
        var range = copy.AsSpan()[RandomRange(copy.Length)];
        if (withZeros)
        {
            range.Clear();
        }
        else
        {
            random.Fill(range);
        }

        return copy;
    }

    private byte[] Replace(byte[] bytes, byte[] by)
    {
        var start = random.Next(bytes.Length + 1);
        var replaced = random.Chance(0.5) ? Math.Min(by.Length, bytes.Length - start) : random.Next(Math.Min(bytes.Length - start, MaxInsertedBytes) + 1);
        return [.. bytes[..start], .. by, .. bytes[(start + replaced)..]];
    }

    private byte[] Slice(byte[] bytes) => bytes[RandomRange(bytes.Length)];

    private byte[] Tail(byte[] bytes) => bytes[random.Next(bytes.Length + 1)..];

    private Range RandomRange(int length)
    {
        var start = random.Next(length + 1);
        var count = random.Next(Math.Min(length - start, random.Chance(0.8) ? 64 : length) + 1);
        return start..(start + count);
    }
}
