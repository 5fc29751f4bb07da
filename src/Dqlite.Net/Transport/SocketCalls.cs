using System.Net.Sockets;

namespace Dqlite.Net.Transport;

/// <summary>
/// What is done to sockets. They are used synchronously only, and one that does not block is waited for with poll: an asynchronous operation,
/// or a wait inside a call on such a socket, would go through the runtime's epoll loop, and continuations through the shared thread pool, on
/// which nothing here may depend.
/// </summary>
internal static class SocketCalls
{
    private const int LinuxTcp = 6;
    private const int LinuxTcpWindowClamp = 10;
    private const int LinuxTcpUserTimeout = 18;
    private const int LinuxTcpNotSentLowAt = 25;

    /// <summary>Bytes that the kernel holds unsent before a send blocks: a heartbeat waits behind no more than these and one batch.</summary>
    private const int NotSentLowAtBytes = 256 << 10;

    /// <summary>Bytes that may be under way or unread at the receiver. The system's own bound (6 MiB) delays a heartbeat behind them by tens of
    /// milliseconds; this one still carries 20 MB/s over a round trip of 50 ms.</summary>
    private const int WindowBytes = 1 << 20;

    /// <summary>Sets the options of a connection whose peer may fall silent, or vanish without closing.</summary>
    public static void Configure(Socket socket, TimeSpan stallTimeout)
    {
        socket.NoDelay = true;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 2);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 1);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
        if (OperatingSystem.IsLinux())
        {
            // Without it a partition that heals is noticed only at the next retransmission, which may be two minutes away.
            socket.SetRawSocketOption(LinuxTcp, LinuxTcpUserTimeout, BitConverter.GetBytes((int)stallTimeout.TotalMilliseconds));
            socket.SetRawSocketOption(LinuxTcp, LinuxTcpWindowClamp, BitConverter.GetBytes(WindowBytes));
            socket.SetRawSocketOption(LinuxTcp, LinuxTcpNotSentLowAt, BitConverter.GetBytes(NotSentLowAtBytes));
        }
    }

    /// <summary>Sends all bytes; blocks.</summary>
    /// <exception cref="SocketException">The connection is broken, or the send timeout has passed.</exception>
    public static void SendAll(Socket socket, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[socket.Send(bytes)..];
        }
    }

    /// <summary>Sends a batch, or what is left of it: all of it on a blocking socket, what the system takes now on another.</summary>
    /// <returns>Whether all of it is sent.</returns>
    /// <exception cref="SocketException">The connection is broken.</exception>
    public static bool TrySend(this FrameBatch batch, Socket socket)
    {
        while (!batch.IsTaken)
        {
            var count = batch.TryGetSpan(out var bytes)
                ? socket.Send(bytes, SocketFlags.None, out var error)
                : socket.Send(batch.GetPieces(), SocketFlags.None, out error);
            if (error == SocketError.WouldBlock && !socket.Blocking)
            {
                return false;
            }

            if (error != SocketError.Success)
            {
                throw new SocketException((int)error);
            }

            batch.Advance(count);
        }

        return true;
    }

    /// <summary>Sends one message, in as many batches as it takes, on a blocking socket.</summary>
    /// <exception cref="SocketException">The connection is broken, or stalled for too long.</exception>
    public static void SendWhole(this FrameBatch batch, Socket socket, OutgoingMessage message, int fragmentBytes, TransportCounters counters)
    {
        while (!message.IsDone)
        {
            batch.Clear();
            batch.Add(message, fragmentBytes);
            batch.TrySend(socket);
            counters.AddSent(batch.LengthBytes);
        }
    }

    /// <summary>Closes as a dying process would when data is lost: with a reset. Wakes every thread that is blocked on the socket.</summary>
    public static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // It is closed or broken already, which is what was wanted; Dispose frees what is left.
        }

        socket.Dispose();
    }

    /// <summary>Closes in the normal way: what was sent still arrives. Wakes every thread that is blocked on the socket.</summary>
    public static void Close(Socket socket)
    {
        try
        {
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // It is closed or broken already, which is what was wanted; Dispose frees what is left.
        }

        socket.Dispose();
    }
}
