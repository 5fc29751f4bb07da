using System.Buffers;
using System.Buffers.Binary;
using System.Net.Sockets;
using Dqlite.Raft;

namespace Dqlite.Net.Transport;

/// <summary>
/// What happens on a connection before the first message; docs/formats/peer.md draws it. The dialling side introduces itself, the answering
/// side introduces itself too (which accepts the other) or refuses, and the dialling side accepts or refuses in its turn.
/// </summary>
internal static class Handshake
{
    /// <summary>First bytes of either side: "DQLP", the version of the framing, and two zero bytes.</summary>
    public const int PreambleBytes = 8;

    /// <summary>Version of the framing and of the handshake.</summary>
    public const ushort FramingVersion = 1;

    private const int MaxTextBytes = 1024;
    private const int IdDigits = 32;

    private static ReadOnlySpan<byte> Magic => "DQLP"u8;

    /// <summary>The dialling side.</summary>
    /// <param name="socket">Connected.</param>
    /// <param name="reader">Reads from it, with a deadline.</param>
    /// <param name="local">What this side says of itself.</param>
    /// <param name="validate">Decides about the other side.</param>
    /// <returns>What the other side says of itself.</returns>
    /// <exception cref="PeerRefusedException">One side refused the other.</exception>
    /// <exception cref="PeerProtocolException">The other side speaks something else.</exception>
    /// <exception cref="TimeoutException">The deadline has passed.</exception>
    /// <exception cref="SocketException">The connection is broken.</exception>
    public static Hello Dial(Socket socket, FrameReader reader, Hello local, Func<Hello, HandshakeVerdict> validate)
    {
        SocketCalls.SendAll(socket, [.. Preamble(), .. Encode(FrameType.Hello, local)]);
        ReadPreamble(reader);
        var remote = ReadHello(reader);
        var verdict = Check(remote, validate);
        SocketCalls.SendAll(socket, verdict.Refusal is { } reason ? EncodeRefusal(reason) : Encode(FrameType.Accept, []));
        return verdict.IsAccepted ? remote : throw new PeerRefusedException($"this node refused it: {verdict.Refusal}");
    }

    /// <summary>The answering side.</summary>
    /// <param name="socket">Connected.</param>
    /// <param name="reader">Reads from it, with a deadline.</param>
    /// <param name="local">What this side says of itself.</param>
    /// <param name="validate">Decides about the other side.</param>
    /// <returns>What the other side says of itself; null when it closed the connection without a word.</returns>
    /// <exception cref="PeerRefusedException">One side refused the other.</exception>
    /// <exception cref="PeerProtocolException">The other side speaks something else.</exception>
    /// <exception cref="TimeoutException">The deadline has passed.</exception>
    /// <exception cref="SocketException">The connection is broken.</exception>
    public static Hello? Answer(Socket socket, FrameReader reader, Func<Hello> local, Func<Hello, HandshakeVerdict> validate)
    {
        Span<byte> preamble = stackalloc byte[PreambleBytes];
        if (!reader.TryReadExactly(preamble))
        {
            return null;
        }

        CheckMagic(preamble);
        var version = BinaryPrimitives.ReadUInt16LittleEndian(preamble[4..]);
        if (version != FramingVersion)
        {
            // The layout of this one frame stays the same in all versions, so that the other side can say what is wrong.
            Refuse(socket, [.. Preamble(), .. EncodeRefusal($"This node speaks version {FramingVersion} of the protocol, not {version}.")],
                $"it speaks version {version} of the protocol");
        }

        var remote = ReadHello(reader);
        if (Check(remote, validate).Refusal is { } reason)
        {
            Refuse(socket, [.. Preamble(), .. EncodeRefusal(reason)], $"this node refused it: {reason}");
        }

        SocketCalls.SendAll(socket, [.. Preamble(), .. Encode(FrameType.Hello, local() with { Purpose = remote.Purpose })]);
        ReadFrame(reader, FrameType.Accept);
        return remote;
    }

    private static void Refuse(Socket socket, ReadOnlySpan<byte> answer, string reason)
    {
        SocketCalls.SendAll(socket, answer);
        throw new PeerRefusedException(reason);
    }

    private static HandshakeVerdict Check(Hello remote, Func<Hello, HandshakeVerdict> validate) => remote switch
    {
        { ProtocolVersion: not Hello.CurrentProtocolVersion } =>
            HandshakeVerdict.Refuse($"This node speaks version {Hello.CurrentProtocolVersion} of the messages, not {remote.ProtocolVersion}."),
        { Purpose: PeerPurpose.Raft, NodeId.Value: 0 } => HandshakeVerdict.Refuse("A node without an id takes no part in Raft."),
        _ => validate(remote),
    };

    private static void ReadPreamble(FrameReader reader)
    {
        Span<byte> preamble = stackalloc byte[PreambleBytes];
        if (!reader.TryReadExactly(preamble))
        {
            throw new PeerProtocolException("It closed the connection without an answer.");
        }

        CheckMagic(preamble);
    }

    private static void CheckMagic(ReadOnlySpan<byte> preamble)
    {
        if (!preamble.StartsWith(Magic))
        {
            throw new PeerProtocolException($"It speaks something else: its first bytes are {Convert.ToHexString(preamble)}.");
        }
    }

    private static Hello ReadHello(FrameReader reader)
    {
        var body = new MessagePackReader(ReadFrame(reader, FrameType.Hello));
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

    private static bool IsId(string text) => text.Length == IdDigits && text.All(char.IsAsciiHexDigitLower);

    private static string ReadText(ref MessagePackReader reader)
    {
        var text = reader.ReadString();
        return text is { Length: <= MaxTextBytes } ? text : throw new MessagePackSerializationException("A text is missing or too long.");
    }

    private static byte[] ReadFrame(FrameReader reader, FrameType expected)
    {
        if (!reader.TryRead(FrameHeader.MaxHandshakeBytes, out var header, out var sequence))
        {
            throw new PeerProtocolException("It closed the connection during the handshake.");
        }

        var body = sequence.ToArray();
        return header.Type switch
        {
            FrameType.Refuse => throw new PeerRefusedException($"it refused this node: {ReadRefusal(body)}"),
            _ when header.Type == expected => body,
            _ => throw new PeerProtocolException($"It sent {header.Type} where {expected} belongs."),
        };
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

    private static byte[] Encode(FrameType type, Hello hello)
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
        return Encode(type, body.WrittenSpan);
    }

    private static byte[] EncodeRefusal(string reason)
    {
        var body = new ArrayBufferWriter<byte>(256);
        var writer = new MessagePackWriter(body);
        writer.WriteArrayHeader(1);
        writer.Write(reason.Length <= MaxTextBytes ? reason : reason[..MaxTextBytes]);
        return Encode(FrameType.Refuse, body.WrittenSpan);
    }

    private static byte[] Encode(FrameType type, ReadOnlySpan<byte> body)
    {
        var frame = new byte[FrameHeader.SizeBytes + body.Length];
        new FrameHeader(type, Channel.Control, body.Length, body.Length, 0, body.Length, Crc32C.Compute(body)).Write(frame);
        body.CopyTo(frame.AsSpan(FrameHeader.SizeBytes));
        return frame;
    }
}
