using System.Buffers.Binary;
using System.Text;

namespace Dqlite.Net.Storage;

/// <summary>Builds a little-endian record.</summary>
internal sealed class ByteWriter
{
    private readonly MemoryStream _stream = new();

    internal byte[] ToArray() => _stream.ToArray();

    internal ByteWriter Byte(byte value)
    {
        _stream.WriteByte(value);
        return this;
    }

    internal ByteWriter UInt32(uint value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        return Bytes(bytes);
    }

    internal ByteWriter Int64(long value) => UInt64((ulong)value);

    internal ByteWriter UInt64(ulong value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return Bytes(bytes);
    }

    internal ByteWriter Bytes(ReadOnlySpan<byte> value)
    {
        _stream.Write(value);
        return this;
    }

    /// <summary>Length in bytes (u32), then UTF-8.</summary>
    internal ByteWriter Text(string value) => Blob(Encoding.UTF8.GetBytes(value));

    /// <summary>Length in bytes (u32), then the bytes.</summary>
    internal ByteWriter Blob(ReadOnlySpan<byte> value) => UInt32((uint)value.Length).Bytes(value);

    /// <summary>32 hexadecimal digits as 16 bytes.</summary>
    internal ByteWriter Hex128(string digits)
    {
        var bytes = Convert.FromHexString(digits);
        return bytes.Length == 16 ? Bytes(bytes) : throw new ArgumentException($"'{digits}' does not have 32 hexadecimal digits.", nameof(digits));
    }
}

/// <summary>Reads what <see cref="ByteWriter"/> wrote; throws <see cref="FormatException"/> where the bytes do not suffice.</summary>
internal ref struct ByteReader(ReadOnlySpan<byte> source)
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private ReadOnlySpan<byte> _rest = source;

    internal readonly int Remaining => _rest.Length;

    internal byte Byte() => Take(1)[0];

    internal uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint)));

    internal long Int64() => BinaryPrimitives.ReadInt64LittleEndian(Take(sizeof(long)));

    internal ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong)));

    internal string Text()
    {
        try
        {
            return StrictUtf8.GetString(Blob());
        }
        catch (DecoderFallbackException exception)
        {
            throw new FormatException("A text is not UTF-8.", exception);
        }
    }

    internal ReadOnlySpan<byte> Blob() => Take(UInt32());

    internal string Hex128() => Convert.ToHexStringLower(Take(16));

    /// <summary>A number of items that follow, each of at least so many bytes.</summary>
    internal int Count(int minimumItemBytes)
    {
        var count = UInt32();
        return count <= _rest.Length / minimumItemBytes ? (int)count : throw new FormatException($"{count} items cannot follow.");
    }

    internal ReadOnlySpan<byte> Take(uint size)
    {
        if (size > _rest.Length)
        {
            throw new FormatException("The record is too short.");
        }

        var taken = _rest[..(int)size];
        _rest = _rest[(int)size..];
        return taken;
    }
}
