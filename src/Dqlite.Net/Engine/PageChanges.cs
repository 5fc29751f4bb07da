using System.Buffers.Binary;

namespace Dqlite.Net.Engine;

/// <summary>
/// What changed in a page, against the image that it had at the database's previous entry (docs/formats/entries.md): runs of bytes, ascending. A row
/// that is inserted changes some hundred bytes of a page of 4096.
/// </summary>
internal static class PageChanges
{
    /// <summary>Bytes in front of each run: its offset and its length.</summary>
    private const int RunHeaderSize = 4;

    /// <summary>So many equal bytes end a run: less would cost more than they save.</summary>
    private const int GapBytes = 5;

    /// <summary>Writes the changes.</summary>
    /// <param name="from">The old image.</param>
    /// <param name="to">The new one.</param>
    /// <param name="destination">Shorter than an image; its length is the limit.</param>
    /// <returns>How many bytes they take (0: nothing changed), or -1 when they do not fit.</returns>
    public static int Write(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to, Span<byte> destination)
    {
        var used = 0;
        for (var at = from.CommonPrefixLength(to); at < to.Length;)
        {
            var end = EndOfRun(from, to, at);
            var length = end - at;
            if (used + RunHeaderSize + length > destination.Length)
            {
                return -1;
            }

            BinaryPrimitives.WriteUInt16LittleEndian(destination[used..], (ushort)at);
            BinaryPrimitives.WriteUInt16LittleEndian(destination[(used + 2)..], (ushort)length);
            to[at..end].CopyTo(destination[(used + RunHeaderSize)..]);
            used += RunHeaderSize + length;
            at = end + from[end..].CommonPrefixLength(to[end..]);
        }

        return used;
    }

    /// <summary>Puts changes into the old image.</summary>
    /// <exception cref="InvalidDataException">They are not changes of a page of this size.</exception>
    public static void Apply(ReadOnlySpan<byte> changes, Span<byte> image)
    {
        var end = 0;
        while (!changes.IsEmpty)
        {
            if (changes.Length < RunHeaderSize)
            {
                throw new InvalidDataException("The changes of a page end within a run.");
            }

            int offset = BinaryPrimitives.ReadUInt16LittleEndian(changes), length = BinaryPrimitives.ReadUInt16LittleEndian(changes[2..]);
            if (offset < end || length == 0 || offset + length > image.Length || length > changes.Length - RunHeaderSize)
            {
                throw new InvalidDataException("The changes of a page do not lie within it, one after the other.");
            }

            changes.Slice(RunHeaderSize, length).CopyTo(image[offset..]);
            end = offset + length;
            changes = changes[(RunHeaderSize + length)..];
        }
    }

    private static int EndOfRun(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to, int start)
    {
        var end = start + 1;
        for (var i = end; i < to.Length && i - end < GapBytes; i++)
        {
            if (from[i] != to[i])
            {
                end = i + 1;
            }
        }

        return end;
    }
}
