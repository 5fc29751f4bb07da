using System.Buffers;
using System.Buffers.Binary;
using Dqlite.Raft;

namespace Dqlite.Net.Transport;

/// <summary>The bytes of the handshake, and the rules that the transport itself applies to a Hello. Knows no socket.</summary>
internal static class HandshakeCodec
{
    /// <summary>First bytes of either side: "DQLP", the version of the framing, and two zero bytes.</summary>
    public const int PreambleBytes = 8;

    /// <summary>Version of the framing and of the handshake.</summary>
    public const ushort FramingVersion = 1;

    private const int MaxTextBytes = 1024;
    private const int IdDigits = 32;

    private static ReadOnlySpan<byte> Magic => "DQLP"u8;

    /// <summary>The first bytes of the dialling side, and of an answering side that accepts the other.</summary>
    /// <param name="local">What this side says of itself.</param>
    public static byte[] Introduce(Hello local) => [.. Preamble(), .. Encode(local)];

    /// <summary>The first and last bytes of an answering side that refuses the other.</summary>
    /// <param name="reason">Why.</param>
    public static byte[] RefuseAtOnce(string reason) => [.. Preamble(), .. Refuse(reason)];

    /// <summary>The dialling side accepts the answering side.</summary>
    public static byte[] Accept() => Encode(FrameType.Accept, []);

    /// <summary>The dialling side refuses the answering side.</summary>
    /// <param name="reason">Why.</param>
    public static byte[] Refuse(string reason)
    {
        var body = new ArrayBufferWriter<byte>(256);
        var writer = new MessagePackWriter(body);
        writer.WriteArrayHeader(1);
        writer.Write(reason.Length <= MaxTextBytes ? reason : reason[..MaxTextBytes]);
        return Encode(FrameType.Refuse, body.WrittenSpan);
    }

    /// <summary>Reads a preamble.</summary>
    /// <returns>The version of the framing.</returns>
    /// <exception cref="PeerProtocolException">It is none.</exception>
    public static ushort ReadPreamble(ReadOnlySpan<byte> preamble) => preamble.StartsWith(Magic)
        ? BinaryPrimitives.ReadUInt16LittleEndian(preamble[4..])
        : throw new PeerProtocolException($"It speaks something else: its first bytes are {Convert.ToHexString(preamble)}.");

    /// <summary>Reads a Hello.</summary>
    /// <exception cref="PeerRefusedException">It is a refusal.</exception>
    /// <exception cref="PeerProtocolException">It is something else.</exception>
    public static Hello ReadHello(in FrameHeader header, in ReadOnlySequence<byte> frameBody)
    {
        var body = new MessagePackReader(ReadFrame(header, frameBody, FrameType.Hello));
        try
        {
            if (body.ReadArrayHeader() != 6)
            {
                throw new PeerProtocolException("Its Hello does not have six fields.");
            }

            var version = body.ReadInt32();
            var hello = new Hello(ReadText(ref body), new NodeId(body.ReadInt64()), ReadText(ref body), ReadText(ref body), (PeerPurpose)body.ReadByte(), version);
            var isSound = body.End && hello.NodeId.Value >= 0 && hello.Purpose is PeerPurpose.Raft or PeerPurpose.Rpc
                && IsId(hello.Incarnation) && (hello.ClusterId.Length == 0 || IsId(hello.ClusterId));
            return isSound ? hello : throw new PeerProtocolException("Its Hello is malformed.");
        }
        catch (MessagePackSerializationException exception)
        {
            throw new PeerProtocolException($"Its Hello is malformed: {exception.Message}", exception);
        }
    }

    /// <summary>Reads that the dialling side accepts this one.</summary>
    /// <exception cref="PeerRefusedException">It is a refusal.</exception>
    /// <exception cref="PeerProtocolException">It is something else.</exception>
    public static void ReadAccept(in FrameHeader header, in ReadOnlySequence<byte> frameBody) => ReadFrame(header, frameBody, FrameType.Accept);

    /// <summary>Decides about the other side: first by the rules of the transport, then by the validator.</summary>
    public static HandshakeVerdict Check(Hello remote, Func<Hello, HandshakeVerdict> validate) => remote switch
    {
        { ProtocolVersion: not Hello.CurrentProtocolVersion } =>
            HandshakeVerdict.Refuse($"This node speaks version {Hello.CurrentProtocolVersion} of the messages, not {remote.ProtocolVersion}."),
        { Purpose: PeerPurpose.Raft, NodeId.Value: 0 } => HandshakeVerdict.Refuse("A node without an id takes no part in Raft."),
        _ => validate(remote),
    };

    /// <summary>What ends a connection whose other side was refused here.</summary>
    /// <param name="verdict">A refusal.</param>
    public static PeerRefusedException RefusedHere(HandshakeVerdict verdict) => new($"this node refused it: {verdict.Refusal}");

    private static byte[] ReadFrame(in FrameHeader header, in ReadOnlySequence<byte> frameBody, FrameType expected)
    {
        var body = frameBody.ToArray();
        return header.Type switch
        {
            FrameType.Refuse => throw new PeerRefusedException($"it refused this node: {ReadRefusal(body)}"),
            _ when header.Type == expected => body,
            _ => throw new PeerProtocolException($"It sent {header.Type} where {expected} belongs."),
        };
    }

    private static bool IsId(string text) => text.Length == IdDigits && text.All(char.IsAsciiHexDigitLower);

    private static string ReadText(ref MessagePackReader reader)
    {
        var text = reader.ReadString();
        return text is { Length: <= MaxTextBytes } ? text : throw new MessagePackSerializationException("A text is missing or too long.");
    }

    private static string ReadRefusal(byte[] body)
    {
        try
        {
            var reader = new MessagePackReader(body);
            return reader.ReadArrayHeader() == 1 ? ReadText(ref reader) : "(no reason)";
        }
        catch (MessagePackSerializationException)
        {
            // A newer version may say more than this one understands; that it refused is what counts.
            return "(a reason that this version cannot read)";
        }
    }

    private static byte[] Preamble()
    {
        var bytes = new byte[PreambleBytes];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(4), FramingVersion);
        return bytes;
    }

    private static byte[] Encode(Hello hello)
    {
        var body = new ArrayBufferWriter<byte>(256);
        var writer = new MessagePackWriter(body);
        writer.WriteArrayHeader(6);
        writer.Write(hello.ProtocolVersion);
        writer.Write(hello.ClusterId);
        writer.Write(hello.NodeId.Value);
        writer.Write(hello.Incarnation);
        writer.Write(hello.Address);
        writer.Write((byte)hello.Purpose);
        return Encode(FrameType.Hello, body.WrittenSpan);
    }

    private static byte[] Encode(FrameType type, ReadOnlySpan<byte> body)
    {
        var frame = new byte[FrameHeader.SizeBytes + body.Length];
        new FrameHeader(type, Channel.Control, body.Length, body.Length, 0, body.Length, Crc32C.Compute(body)).Write(frame);
        body.CopyTo(frame.AsSpan(FrameHeader.SizeBytes));
        return frame;
    }
}
