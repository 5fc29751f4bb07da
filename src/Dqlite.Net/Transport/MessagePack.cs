using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Dqlite.Net.Transport;

// The public MessagePack format (https://github.com/msgpack/msgpack/blob/master/spec.md), without extension types and floating point,
// under the names of the MessagePack package, so that the package can take this file's place.

/// <summary>The bytes are not MessagePack, or not the value that was asked for.</summary>
/// <param name="message">What was found.</param>
/// <param name="innerException">The cause, if there is one.</param>
internal sealed class MessagePackSerializationException(string message, Exception? innerException = null) : Exception(message, innerException);

/// <summary>The first bytes of MessagePack values.</summary>
internal static class MessagePackCode
{
    public const byte MaxPositiveFixInt = 0x7f;
    public const byte MinFixMap = 0x80;
    public const byte MinFixArray = 0x90;
    public const byte MinFixStr = 0xa0;
    public const byte Nil = 0xc0;
    public const byte False = 0xc2;
    public const byte True = 0xc3;
    public const byte Bin8 = 0xc4;
    public const byte Bin16 = 0xc5;
    public const byte Bin32 = 0xc6;
    public const byte Float32 = 0xca;
    public const byte Float64 = 0xcb;
    public const byte UInt8 = 0xcc;
    public const byte UInt16 = 0xcd;
    public const byte UInt32 = 0xce;
    public const byte UInt64 = 0xcf;
    public const byte Int8 = 0xd0;
    public const byte Int16 = 0xd1;
    public const byte Int32 = 0xd2;
    public const byte Int64 = 0xd3;
    public const byte Str8 = 0xd9;
    public const byte Str16 = 0xda;
    public const byte Str32 = 0xdb;
    public const byte Array16 = 0xdc;
    public const byte Array32 = 0xdd;
    public const byte Map16 = 0xde;
    public const byte Map32 = 0xdf;
    public const byte MinNegativeFixInt = 0xe0;
}

/// <summary>Writes MessagePack values; every value goes to the output at once, so <see cref="Flush"/> has nothing left to do.</summary>
/// <param name="output">Where the bytes go.</param>
internal readonly ref struct MessagePackWriter(IBufferWriter<byte> output)
{
    private readonly IBufferWriter<byte> output = output;

    /// <summary>Writes the header of an array of <paramref name="count"/> values.</summary>
    public void WriteArrayHeader(int count) => WriteHeader(count, MessagePackCode.MinFixArray, 0x0f, MessagePackCode.Array16);

    /// <summary>Writes the header of a map of <paramref name="count"/> pairs.</summary>
    public void WriteMapHeader(int count) => WriteHeader(count, MessagePackCode.MinFixMap, 0x0f, MessagePackCode.Map16);

    /// <summary>Writes an integer in the shortest form.</summary>
    public void Write(long value)
    {
        switch (value)
        {
            case >= 0:
                Write((ulong)value);
                break;
            case >= -32:
                WriteByte(unchecked((byte)value));
                break;
            case >= sbyte.MinValue:
                WriteByte(MessagePackCode.Int8);
                WriteByte(unchecked((byte)value));
                break;
            case >= short.MinValue:
                BinaryPrimitives.WriteInt16BigEndian(Reserve(MessagePackCode.Int16, sizeof(short)), (short)value);
                output.Advance(1 + sizeof(short));
                break;
            case >= int.MinValue:
                WriteInt32((int)value);
                break;
            default:
                WriteInt64(value);
                break;
        }
    }

    /// <summary>Writes an integer in the shortest form.</summary>
    public void Write(ulong value)
    {
        switch (value)
        {
            case <= MessagePackCode.MaxPositiveFixInt:
                WriteByte((byte)value);
                break;
            case <= byte.MaxValue:
                WriteByte(MessagePackCode.UInt8);
                WriteByte((byte)value);
                break;
            case <= ushort.MaxValue:
                BinaryPrimitives.WriteUInt16BigEndian(Reserve(MessagePackCode.UInt16, sizeof(ushort)), (ushort)value);
                output.Advance(1 + sizeof(ushort));
                break;
            case <= uint.MaxValue:
                BinaryPrimitives.WriteUInt32BigEndian(Reserve(MessagePackCode.UInt32, sizeof(uint)), (uint)value);
                output.Advance(1 + sizeof(uint));
                break;
            default:
                WriteUInt64(value);
                break;
        }
    }

    /// <summary>Writes an integer in the 5-byte form.</summary>
    public void WriteInt32(int value)
    {
        BinaryPrimitives.WriteInt32BigEndian(Reserve(MessagePackCode.Int32, sizeof(int)), value);
        output.Advance(1 + sizeof(int));
    }

    /// <summary>Writes an integer in the 9-byte form.</summary>
    public void WriteInt64(long value)
    {
        BinaryPrimitives.WriteInt64BigEndian(Reserve(MessagePackCode.Int64, sizeof(long)), value);
        output.Advance(1 + sizeof(long));
    }

    /// <summary>Writes an integer in the 9-byte form.</summary>
    public void WriteUInt64(ulong value)
    {
        BinaryPrimitives.WriteUInt64BigEndian(Reserve(MessagePackCode.UInt64, sizeof(ulong)), value);
        output.Advance(1 + sizeof(ulong));
    }

    /// <summary>Writes a boolean.</summary>
    public void Write(bool value) => WriteByte(value ? MessagePackCode.True : MessagePackCode.False);

    /// <summary>Writes nil.</summary>
    public void WriteNil() => WriteByte(MessagePackCode.Nil);

    /// <summary>Writes a string, or nil.</summary>
    public void Write(string? value)
    {
        if (value is null)
        {
            WriteNil();
            return;
        }

        var byteCount = Encoding.UTF8.GetByteCount(value);
        if (byteCount is > 0x1f and <= byte.MaxValue)
        {
            WriteByte(MessagePackCode.Str8);
            WriteByte((byte)byteCount);
        }
        else
        {
            WriteHeader(byteCount, MessagePackCode.MinFixStr, 0x1f, MessagePackCode.Str16);
        }

        output.Advance(Encoding.UTF8.GetBytes(value, output.GetSpan(byteCount)));
    }

    /// <summary>Writes a byte string.</summary>
    public void Write(scoped ReadOnlySpan<byte> value)
    {
        WriteBinHeader(value.Length);
        output.Write(value);
    }

    /// <summary>Writes the header of a byte string of <paramref name="length"/> bytes.</summary>
    public void WriteBinHeader(int length)
    {
        if (length <= byte.MaxValue)
        {
            WriteByte(MessagePackCode.Bin8);
            WriteByte((byte)length);
        }
        else
        {
            WriteHeader(length, 0, -1, MessagePackCode.Bin16);
        }
    }

    /// <summary>Kept for the package's contract.</summary>
    public void Flush()
    {
    }

    /// <summary>Writes a length: in the first byte when it is at most <paramref name="fixMax"/>, else in 16 or 32 bits.</summary>
    private void WriteHeader(int count, byte fixCode, int fixMax, byte code16)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        if (count <= fixMax)
        {
            WriteByte((byte)(fixCode | count));
        }
        else if (count <= ushort.MaxValue)
        {
            BinaryPrimitives.WriteUInt16BigEndian(Reserve(code16, sizeof(ushort)), (ushort)count);
            output.Advance(1 + sizeof(ushort));
        }
        else
        {
            BinaryPrimitives.WriteUInt32BigEndian(Reserve((byte)(code16 + 1), sizeof(uint)), (uint)count);
            output.Advance(1 + sizeof(uint));
        }
    }

    private void WriteByte(byte value)
    {
        output.GetSpan(1)[0] = value;
        output.Advance(1);
    }

    private Span<byte> Reserve(byte code, int size)
    {
        var span = output.GetSpan(1 + size);
        span[0] = code;
        return span.Slice(1, size);
    }
}

/// <summary>
/// Reads MessagePack values. On anything else it throws <see cref="MessagePackSerializationException"/> and nothing else, and it allocates
/// nothing that the input does not back byte by byte: a length is compared with what is left before it is believed.
/// </summary>
/// <param name="memory">The bytes.</param>
internal ref struct MessagePackReader(ReadOnlyMemory<byte> memory)
{
    /// <summary>Nesting that Skip follows.</summary>
    public const int MaxDepth = 64;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly ReadOnlyMemory<byte> memory = memory;
    private int position;

    /// <summary>Bytes read so far.</summary>
    public readonly long Consumed => position;

    /// <summary>Whether everything is read.</summary>
    public readonly bool End => position == memory.Length;

    /// <summary>The first byte of the next value.</summary>
    public readonly byte NextCode => position < memory.Length ? memory.Span[position] : throw EndOfInput();

    /// <summary>Reads the header of an array; each element takes at least one of the bytes that are left.</summary>
    public int ReadArrayHeader()
    {
        var code = Take(1)[0];
        long count = code switch
        {
            >= MessagePackCode.MinFixArray and < MessagePackCode.MinFixStr => code & 0x0f,
            MessagePackCode.Array16 => BinaryPrimitives.ReadUInt16BigEndian(Take(2)),
            MessagePackCode.Array32 => BinaryPrimitives.ReadUInt32BigEndian(Take(4)),
            _ => throw Unexpected(code, "an array"),
        };
        return Bounded(count, 1);
    }

    /// <summary>Reads the header of a map; each pair takes at least two of the bytes that are left.</summary>
    public int ReadMapHeader()
    {
        var code = Take(1)[0];
        long count = code switch
        {
            >= MessagePackCode.MinFixMap and < MessagePackCode.MinFixArray => code & 0x0f,
            MessagePackCode.Map16 => BinaryPrimitives.ReadUInt16BigEndian(Take(2)),
            MessagePackCode.Map32 => BinaryPrimitives.ReadUInt32BigEndian(Take(4)),
            _ => throw Unexpected(code, "a map"),
        };
        return Bounded(count, 2);
    }

    /// <summary>Reads an integer of any form.</summary>
    public long ReadInt64()
    {
        var code = NextCode;
        if (code == MessagePackCode.UInt64)
        {
            var value = ReadUInt64();
            return value <= long.MaxValue ? (long)value : throw new MessagePackSerializationException($"{value} does not fit 64 bits with a sign.");
        }

        position++;
        return code switch
        {
            <= MessagePackCode.MaxPositiveFixInt => code,
            >= MessagePackCode.MinNegativeFixInt => unchecked((sbyte)code),
            MessagePackCode.UInt8 => Take(1)[0],
            MessagePackCode.UInt16 => BinaryPrimitives.ReadUInt16BigEndian(Take(2)),
            MessagePackCode.UInt32 => BinaryPrimitives.ReadUInt32BigEndian(Take(4)),
            MessagePackCode.Int8 => unchecked((sbyte)Take(1)[0]),
            MessagePackCode.Int16 => BinaryPrimitives.ReadInt16BigEndian(Take(2)),
            MessagePackCode.Int32 => BinaryPrimitives.ReadInt32BigEndian(Take(4)),
            MessagePackCode.Int64 => BinaryPrimitives.ReadInt64BigEndian(Take(8)),
            _ => throw Unexpected(code, "an integer"),
        };
    }

    /// <summary>Reads an integer of any form that is not negative.</summary>
    public ulong ReadUInt64()
    {
        if (NextCode == MessagePackCode.UInt64)
        {
            position++;
            return BinaryPrimitives.ReadUInt64BigEndian(Take(8));
        }

        var value = ReadInt64();
        return value >= 0 ? (ulong)value : throw new MessagePackSerializationException($"{value} is negative.");
    }

    /// <summary>Reads an integer of any form.</summary>
    public int ReadInt32()
    {
        var value = ReadInt64();
        return value is >= int.MinValue and <= int.MaxValue ? (int)value : throw new MessagePackSerializationException($"{value} does not fit 32 bits.");
    }

    /// <summary>Reads an integer of any form.</summary>
    public byte ReadByte()
    {
        var value = ReadInt64();
        return value is >= 0 and <= byte.MaxValue ? (byte)value : throw new MessagePackSerializationException($"{value} does not fit a byte.");
    }

    /// <summary>Reads a boolean.</summary>
    public bool ReadBoolean()
    {
        var code = Take(1)[0];
        return code switch
        {
            MessagePackCode.False => false,
            MessagePackCode.True => true,
            _ => throw Unexpected(code, "a boolean"),
        };
    }

    /// <summary>Reads a string, or nil.</summary>
    public string? ReadString()
    {
        if (TryReadNil())
        {
            return null;
        }

        var code = Take(1)[0];
        long length = code switch
        {
            >= MessagePackCode.MinFixStr and < MessagePackCode.Nil => code & 0x1f,
            MessagePackCode.Str8 => Take(1)[0],
            MessagePackCode.Str16 => BinaryPrimitives.ReadUInt16BigEndian(Take(2)),
            MessagePackCode.Str32 => BinaryPrimitives.ReadUInt32BigEndian(Take(4)),
            _ => throw Unexpected(code, "a string"),
        };
        try
        {
            return StrictUtf8.GetString(Take(Bounded(length, 1)));
        }
        catch (DecoderFallbackException exception)
        {
            throw new MessagePackSerializationException("A string is not UTF-8.", exception);
        }
    }

    /// <summary>Reads a byte string, or nil. The result refers to the input's own bytes.</summary>
    public ReadOnlySequence<byte>? ReadBytes()
    {
        if (TryReadNil())
        {
            return null;
        }

        var code = Take(1)[0];
        long length = code switch
        {
            MessagePackCode.Bin8 => Take(1)[0],
            MessagePackCode.Bin16 => BinaryPrimitives.ReadUInt16BigEndian(Take(2)),
            MessagePackCode.Bin32 => BinaryPrimitives.ReadUInt32BigEndian(Take(4)),
            _ => throw Unexpected(code, "a byte string"),
        };
        var start = position;
        var count = Take(Bounded(length, 1)).Length;
        return new ReadOnlySequence<byte>(memory.Slice(start, count));
    }

    /// <summary>Reads nil, if it is next.</summary>
    public bool TryReadNil()
    {
        if (NextCode != MessagePackCode.Nil)
        {
            return false;
        }

        position++;
        return true;
    }

    /// <summary>Passes over the next value, whatever it is, with all that it holds.</summary>
    public void Skip() => Skip(0);

    private void Skip(int depth)
    {
        if (depth > MaxDepth)
        {
            throw new MessagePackSerializationException($"Values are nested deeper than {MaxDepth}.");
        }

        var code = NextCode;
        switch (code)
        {
            case MessagePackCode.Nil or MessagePackCode.False or MessagePackCode.True:
                position++;
                break;
            case >= MessagePackCode.MinFixMap and < MessagePackCode.MinFixArray or MessagePackCode.Map16 or MessagePackCode.Map32:
                SkipValues(2L * ReadMapHeader(), depth);
                break;
            case >= MessagePackCode.MinFixArray and < MessagePackCode.MinFixStr or MessagePackCode.Array16 or MessagePackCode.Array32:
                SkipValues(ReadArrayHeader(), depth);
                break;
            case >= MessagePackCode.MinFixStr and < MessagePackCode.Nil or MessagePackCode.Str8 or MessagePackCode.Str16 or MessagePackCode.Str32:
                ReadString();
                break;
            case MessagePackCode.Bin8 or MessagePackCode.Bin16 or MessagePackCode.Bin32:
                ReadBytes();
                break;
            case MessagePackCode.Float32:
                Take(5);
                break;
            case MessagePackCode.Float64 or MessagePackCode.UInt64:
                Take(9);
                break;
            default:
                ReadInt64();
                break;
        }
    }

    private void SkipValues(long count, int depth)
    {
        for (var i = 0L; i < count; i++)
        {
            Skip(depth + 1);
        }
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > memory.Length - position)
        {
            throw EndOfInput();
        }

        var span = memory.Span.Slice(position, count);
        position += count;
        return span;
    }

    private readonly int Bounded(long count, int sizeBytes) =>
        count <= (memory.Length - position) / sizeBytes ? (int)count : throw EndOfInput();

    private static MessagePackSerializationException EndOfInput() => new("The input ends before the value does.");

    private static MessagePackSerializationException Unexpected(byte code, string expected) => new($"Found code 0x{code:x2} where {expected} was expected.");
}
