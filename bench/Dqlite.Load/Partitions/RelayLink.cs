using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Dqlite.Net.Transport;

namespace Dqlite.Load.Partitions;

/// <summary>
/// One connection through a relay. It begins with the first frame of the handshake, which says by which address the dialling member is known:
/// all of them dial the same relay, so nothing else tells whose connection it is. The frame is passed on unchanged.
/// </summary>
internal static class RelayLink
{
    private const int BufferBytes = 64 << 10;
    private const int HeaderEnd = HandshakeCodec.PreambleBytes + FrameHeader.SizeBytes;

    /// <summary>Passes bytes both ways until one side ends, and ends the other one then.</summary>
    /// <param name="dialled">Accepted from the dialling member; closed at the end.</param>
    /// <param name="target">Where the dialled member listens.</param>
    /// <param name="gateOf">The gate between the dialled member and the one with an address.</param>
    /// <param name="stop">Ends it.</param>
    public static async Task RunAsync(Socket dialled, IPEndPoint target, Func<string, Gate> gateOf, CancellationToken stop)
    {
        using var passed = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        dialled.NoDelay = true;
        await using var near = new NetworkStream(dialled, ownsSocket: true);
        try
        {
            var (address, introduction) = await ReadIntroductionAsync(near, stop);
            var gate = gateOf(address);
            await gate.PassAsync(() => passed.ConnectAsync(target, stop).AsTask(), stop);
            await using var far = new NetworkStream(passed);
            await gate.PassAsync(() => far.WriteAsync(introduction, stop).AsTask(), stop);
            await Task.WhenAny(PumpAsync(near, far, gate, stop), PumpAsync(far, near, gate, stop));

            // The end of a connection is news, too, and waits like all others.
            await gate.PassAsync(() => Task.CompletedTask, stop);
        }
        catch (Exception exception) when (exception is IOException or SocketException or PeerProtocolException or OperationCanceledException)
        {
            // One side has ended before both were connected, or the relays end: the member that dialled sees the end, and dials again.
        }
    }

    /// <summary>The address that the dialling member is known by, and all bytes that were read.</summary>
    private static async Task<(string Address, byte[] Introduction)> ReadIntroductionAsync(NetworkStream near, CancellationToken stop)
    {
        var head = new byte[HeaderEnd];
        await near.ReadExactlyAsync(head, stop);
        var header = FrameHeader.Read(head.AsSpan(HandshakeCodec.PreambleBytes), FrameHeader.MaxHandshakeBytes);
        var body = new byte[header.BodyBytes];
        await near.ReadExactlyAsync(body, stop);
        return (HandshakeCodec.ReadHello(header, new ReadOnlySequence<byte>(body)).Address, [.. head, .. body]);
    }

    private static async Task PumpAsync(NetworkStream from, NetworkStream to, Gate gate, CancellationToken stop)
    {
        var buffer = new byte[BufferBytes];
        try
        {
            while (await from.ReadAsync(buffer, stop) is > 0 and var count)
            {
                await gate.PassAsync(() => to.WriteAsync(buffer.AsMemory(0, count), stop).AsTask(), stop);
            }
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // One side has ended, which ends the other.
        }
    }
}
