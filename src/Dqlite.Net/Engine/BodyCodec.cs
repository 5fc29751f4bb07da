using System.Buffers;
using Dqlite.Net.Transport;

namespace Dqlite.Net.Engine;

/// <summary>What the bodies of node messages have in common.</summary>
internal static class BodyCodec
{
    private const int MaxTextLength = 1024;
    private const int MaxBlobLength = 1 << 20;

    public static void ExpectArray(ref MessagePackReader reader, int count)
    {
        var found = reader.ReadArrayHeader();
        if (found != count)
        {
            throw new InvalidDataException($"A message has {found} fields where {count} belong: it is damaged or of another version.");
        }
    }

    public static int ReadCount(ref MessagePackReader reader, int max)
    {
        var count = reader.ReadArrayHeader();
        return count <= max ? count : throw new InvalidDataException($"A message lists {count} items; at most {max} are allowed.");
    }

    public static string ReadText(ref MessagePackReader reader)
    {
        var text = reader.ReadString() ?? "";
        return text.Length <= MaxTextLength ? text : throw new InvalidDataException($"A message holds a text of {text.Length} characters; at most {MaxTextLength} are allowed.");
    }

    public static byte[] ReadBlob(ref MessagePackReader reader)
    {
        var blob = reader.ReadBytes();
        if (blob is null)
        {
            return [];
        }

        return blob.Value.Length <= MaxBlobLength ? blob.Value.ToArray() : throw new InvalidDataException($"A message holds {blob.Value.Length} bytes; at most {MaxBlobLength} are allowed.");
    }
}
