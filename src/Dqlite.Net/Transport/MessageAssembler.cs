using System.Buffers;

namespace Dqlite.Net.Transport;

/// <summary>Puts the fragments of one channel together. What it allocates follows what has arrived, not what was claimed.</summary>
internal sealed class MessageAssembler
{
    /// <summary>Up to this, a claim is believed; above it, the buffer doubles as bytes arrive.</summary>
    private const int InitialBytes = 2 << 20;

    private byte[] buffer = [];
    private int receivedBytes;
    private FrameHeader first;

    /// <summary>Adds a fragment whose header and checksum are verified.</summary>
    /// <param name="header">Its header.</param>
    /// <param name="body">Its body.</param>
    /// <returns>The message, when it is complete.</returns>
    /// <exception cref="PeerProtocolException">It does not continue the message.</exception>
    /// <exception cref="MessagePackSerializationException">The message is malformed.</exception>
    public PeerMessage? Add(in FrameHeader header, in ReadOnlySequence<byte> body)
    {
        if (receivedBytes == 0)
        {
            first = header;
        }

        if (header.Offset != receivedBytes || header.MessageBytes != first.MessageBytes || header.MessageHeaderBytes != first.MessageHeaderBytes
            || header.BodyBytes == 0)
        {
            throw new PeerProtocolException($"A fragment at {header.Offset} of {header.MessageBytes} bytes does not continue a message at {receivedBytes} "
                + $"of {first.MessageBytes}.");
        }

        Grow(receivedBytes + header.BodyBytes, header.MessageBytes);
        body.CopyTo(buffer.AsSpan(receivedBytes));
        receivedBytes += header.BodyBytes;
        if (receivedBytes < header.MessageBytes)
        {
            return null;
        }

        ReadOnlyMemory<byte> whole = buffer;
        buffer = [];
        receivedBytes = 0;
        return PeerMessageCodec.Decode(whole[..header.MessageHeaderBytes], whole[header.MessageHeaderBytes..]);
    }

    private void Grow(int neededBytes, int messageBytes)
    {
        if (neededBytes <= buffer.Length)
        {
            return;
        }

        var sizeBytes = (int)Math.Min(messageBytes, Math.Max(Math.Max(neededBytes, InitialBytes), 2L * buffer.Length));
        var larger = GC.AllocateUninitializedArray<byte>(sizeBytes);
        buffer.AsSpan(0, receivedBytes).CopyTo(larger);
        buffer = larger;
    }
}
