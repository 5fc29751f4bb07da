using System.Buffers;
using System.Buffers.Binary;

namespace Dqlite.Net.Transport;

/// <summary>What a frame carries. The values travel.</summary>
internal enum FrameType : byte
{
    /// <summary>A <see cref="Hello"/>; from the answering side it also says that the dialling side is accepted.</summary>
    Hello = 1,

    /// <summary>The dialling side accepts the answering side: messages follow.</summary>
    Accept = 2,

    /// <summary>The other side is refused: a reason, and the end of the connection.</summary>
    Refuse = 3,

    /// <summary>A fragment of a message.</summary>
    Message = 4,
}

/// <summary>Order is kept within a channel; channels pass each other between frames. The values travel, and lower ones go first
/// (Log and Stream take turns).</summary>
internal enum Channel : byte
{
    /// <summary>Raft messages but appends: heartbeats, votes, responses.</summary>
    Control = 0,

    /// <summary>Small node messages.</summary>
    Rpc = 1,

    /// <summary>AppendEntries.</summary>
    Log = 2,

    /// <summary>Snapshot streams and large node messages.</summary>
    Stream = 3,
}

/// <summary>The fixed header of every frame; docs/formats/peer.md has the byte table.</summary>
/// <param name="Type">What the body is.</param>
/// <param name="Channel">The channel of a message; Control for the handshake.</param>
/// <param name="BodyBytes">Size of the body, which follows.</param>
/// <param name="MessageBytes">Size of the whole message.</param>
/// <param name="Offset">Where in the message the body belongs.</param>
/// <param name="MessageHeaderBytes">How many bytes at the start of the message are its header; the rest is payload.</param>
/// <param name="BodyChecksum">CRC-32C of the body.</param>
internal readonly record struct FrameHeader(FrameType Type, Channel Channel, int BodyBytes, int MessageBytes, int Offset, int MessageHeaderBytes,
    uint BodyChecksum)
{
    /// <summary>Encoded size.</summary>
    public const int SizeBytes = 28;

    /// <summary>Largest body of any frame.</summary>
    public const int MaxBodyBytes = 1 << 20;

    /// <summary>Largest body of a handshake frame.</summary>
    public const int MaxHandshakeBytes = 4 << 10;

    /// <summary>Number of channels.</summary>
    public const int ChannelCount = 4;

    private const int ChecksumOffset = 24;

    /// <summary>Writes the header.</summary>
    /// <param name="span">At least <see cref="SizeBytes"/> bytes.</param>
    public void Write(Span<byte> span)
    {
        BinaryPrimitives.WriteInt32LittleEndian(span, BodyBytes);
        span[4] = (byte)Type;
        span[5] = (byte)Channel;
        BinaryPrimitives.WriteUInt16LittleEndian(span[6..], 0);
        BinaryPrimitives.WriteInt32LittleEndian(span[8..], MessageBytes);
        BinaryPrimitives.WriteInt32LittleEndian(span[12..], Offset);
        BinaryPrimitives.WriteInt32LittleEndian(span[16..], MessageHeaderBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(span[20..], BodyChecksum);
        BinaryPrimitives.WriteUInt32LittleEndian(span[ChecksumOffset..], Crc32C.Compute(span[..ChecksumOffset]));
    }

    /// <summary>Reads a header and checks everything in it that can be checked without the body.</summary>
    /// <param name="span">At least <see cref="SizeBytes"/> bytes.</param>
    /// <param name="maxMessageBytes">Largest message that is accepted.</param>
    /// <exception cref="PeerProtocolException">It is not a header, or over a bound.</exception>
    public static FrameHeader Read(ReadOnlySpan<byte> span, int maxMessageBytes)
    {
        if (BinaryPrimitives.ReadUInt32LittleEndian(span[ChecksumOffset..]) != Crc32C.Compute(span[..ChecksumOffset]))
        {
            throw new PeerProtocolException("A frame's header does not match its checksum.");
        }

        var bodyBytes = BinaryPrimitives.ReadUInt32LittleEndian(span);
        var type = (FrameType)span[4];
        var channel = (Channel)span[5];
        var messageBytes = BinaryPrimitives.ReadUInt32LittleEndian(span[8..]);
        var offset = BinaryPrimitives.ReadUInt32LittleEndian(span[12..]);
        var headerBytes = BinaryPrimitives.ReadUInt32LittleEndian(span[16..]);
        if (type is < FrameType.Hello or > FrameType.Message || (int)channel >= ChannelCount || BinaryPrimitives.ReadUInt16LittleEndian(span[6..]) != 0)
        {
            throw new PeerProtocolException($"A frame has type {(byte)type} and channel {(byte)channel}, which do not exist.");
        }

        var maxBodyBytes = type == FrameType.Message ? MaxBodyBytes : MaxHandshakeBytes;
        if (bodyBytes > maxBodyBytes || messageBytes > maxMessageBytes)
        {
            throw new PeerProtocolException(
                $"A frame claims {bodyBytes} bytes of a message of {messageBytes}; the bounds are {maxBodyBytes} and {maxMessageBytes}.");
        }

        if ((ulong)offset + bodyBytes > messageBytes || headerBytes > Math.Min(messageBytes, PeerMessageCodec.MaxHeaderBytes))
        {
            throw new PeerProtocolException(
                $"A frame's sizes contradict each other: {bodyBytes} bytes at {offset} of a message of {messageBytes} with {headerBytes} of header.");
        }

        if (type != FrameType.Message && (bodyBytes != messageBytes || channel != Channel.Control))
        {
            throw new PeerProtocolException("A frame of the handshake is a fragment.");
        }

        return new FrameHeader(type, channel, (int)bodyBytes, (int)messageBytes, (int)offset, (int)headerBytes,
            BinaryPrimitives.ReadUInt32LittleEndian(span[20..]));
    }

    /// <summary>Compares a body with its checksum.</summary>
    /// <exception cref="PeerProtocolException">They differ.</exception>
    public void Verify(in ReadOnlySequence<byte> body)
    {
        var running = uint.MaxValue;
        foreach (var segment in body)
        {
            running = Crc32C.Append(running, segment.Span);
        }

        if (~running != BodyChecksum)
        {
            throw new PeerProtocolException("A frame's body does not match its checksum.");
        }
    }
}
