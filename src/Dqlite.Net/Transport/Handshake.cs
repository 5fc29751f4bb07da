using System.Buffers;
using System.Net.Sockets;

namespace Dqlite.Net.Transport;

/// <summary>
/// What happens on a connection before the first message; docs/formats/peer.md draws it. The dialling side introduces itself, the answering
/// side introduces itself too (which accepts the other) or refuses, and the dialling side accepts or refuses in its turn.
/// </summary>
internal static class Handshake
{
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
        SocketCalls.SendAll(socket, HandshakeCodec.Introduce(local));
        Span<byte> preamble = stackalloc byte[HandshakeCodec.PreambleBytes];
        if (!reader.TryReadExactly(preamble))
        {
            throw new PeerProtocolException("It closed the connection without an answer.");
        }

        HandshakeCodec.ReadPreamble(preamble);
        var remote = ReadHello(reader);
        var verdict = HandshakeCodec.Check(remote, validate);
        SocketCalls.SendAll(socket, verdict.Refusal is { } reason ? HandshakeCodec.Refuse(reason) : HandshakeCodec.Accept());
        return verdict.IsAccepted ? remote : throw HandshakeCodec.RefusedHere(verdict);
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
        Span<byte> preamble = stackalloc byte[HandshakeCodec.PreambleBytes];
        if (!reader.TryReadExactly(preamble))
        {
            return null;
        }

        var version = HandshakeCodec.ReadPreamble(preamble);
        if (version != HandshakeCodec.FramingVersion)
        {
            // The layout of this one frame stays the same in all versions, so that the other side can say what is wrong.
            SocketCalls.SendAll(socket, HandshakeCodec.RefuseAtOnce($"This node speaks version {HandshakeCodec.FramingVersion} of the protocol, not {version}."));
            throw new PeerRefusedException($"it speaks version {version} of the protocol");
        }

        var remote = ReadHello(reader);
        var verdict = HandshakeCodec.Check(remote, validate);
        if (verdict.Refusal is { } reason)
        {
            SocketCalls.SendAll(socket, HandshakeCodec.RefuseAtOnce(reason));
            throw HandshakeCodec.RefusedHere(verdict);
        }

        SocketCalls.SendAll(socket, HandshakeCodec.Introduce(local() with { Purpose = remote.Purpose }));
        var (header, body) = ReadFrame(reader);
        HandshakeCodec.ReadAccept(header, body);
        return remote;
    }

    private static Hello ReadHello(FrameReader reader)
    {
        var (header, body) = ReadFrame(reader);
        return HandshakeCodec.ReadHello(header, body);
    }

    private static (FrameHeader Header, ReadOnlySequence<byte> Body) ReadFrame(FrameReader reader) =>
        reader.TryRead(FrameHeader.MaxHandshakeBytes, out var header, out var body)
            ? (header, body)
            : throw new PeerProtocolException("It closed the connection during the handshake.");
}
