using System.Buffers;
using System.Diagnostics;
using System.Net.Sockets;

namespace Dqlite.Net.Transport;

/// <summary>Reads frames from a socket, on the thread that asks for them.</summary>
internal sealed class FrameReader : IDisposable
{
    private readonly Socket socket;
    private readonly TransportCounters counters;
    private readonly FrameParser parser = new();
    private long? deadline;

    /// <summary>Creates a reader.</summary>
    /// <param name="socket">In blocking mode; stays the caller's.</param>
    /// <param name="counters">Where received bytes are counted.</param>
    public FrameReader(Socket socket, TransportCounters counters)
    {
        this.socket = socket;
        this.counters = counters;
    }

    /// <summary>Whether all that was received has been read.</summary>
    public bool IsDrained => parser.IsEmpty;

    /// <summary>From now on reads must be done by then; null removes the limit.</summary>
    public void SetDeadline(TimeSpan? timeout)
    {
        deadline = timeout is { } limit ? Stopwatch.GetTimestamp() + (long)(limit.TotalSeconds * Stopwatch.Frequency) : null;
        if (deadline is null)
        {
            socket.ReceiveTimeout = 0;
        }
    }

    /// <summary>Reads raw bytes.</summary>
    /// <returns>False when the other side closed the connection before the first of them.</returns>
    /// <exception cref="PeerProtocolException">The connection was closed in between.</exception>
    /// <exception cref="TimeoutException">The deadline has passed.</exception>
    /// <exception cref="SocketException">The connection is broken.</exception>
    public bool TryReadExactly(Span<byte> destination)
    {
        while (!parser.TryReadExactly(destination))
        {
            if (!TryReceive())
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Reads the next frame.</summary>
    /// <param name="maxMessageBytes">Largest message that is accepted.</param>
    /// <param name="header">Its header.</param>
    /// <param name="body">Its body, until the next call.</param>
    /// <returns>False when the other side closed the connection between two frames.</returns>
    /// <exception cref="PeerProtocolException">It is not a frame, or the connection was closed inside it.</exception>
    /// <exception cref="TimeoutException">The deadline has passed.</exception>
    /// <exception cref="SocketException">The connection is broken.</exception>
    public bool TryRead(int maxMessageBytes, out FrameHeader header, out ReadOnlySequence<byte> body)
    {
        while (!parser.TryRead(maxMessageBytes, out header, out body))
        {
            if (!TryReceive())
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Returns the buffers. Not while another thread reads.</summary>
    public void Dispose() => parser.Dispose();

    /// <summary>False when the connection was closed, in a place where that is allowed.</summary>
    private bool TryReceive()
    {
        if (deadline is { } limit)
        {
            var leftMs = (limit - Stopwatch.GetTimestamp()) * 1000 / Stopwatch.Frequency;
            socket.ReceiveTimeout = leftMs > 0 ? (int)leftMs : throw Silent();
        }

        var memory = parser.GetMemory(FrameParser.ReceiveBytes);
        int count;
        try
        {
            count = socket.Receive(memory.Span);
        }
        catch (SocketException exception) when (deadline is not null && exception.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock)
        {
            throw Silent();
        }

        parser.Advance(count);
        counters.AddReceived(count);
        return count > 0 || (parser.IsEmpty ? false : throw new PeerProtocolException("The connection was closed inside a frame."));
    }

    private static TimeoutException Silent() => new("It was silent for too long.");
}
