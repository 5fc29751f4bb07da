using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Net.Sockets;

namespace Dqlite.Net.Transport;

/// <summary>
/// Reads frames from a socket, on the thread that asks for them: that thread fills the pipe and empties it, so the pipe schedules nothing
/// and never pauses. Header and body of a frame are verified before they are seen.
/// </summary>
internal sealed class FrameReader : IDisposable
{
    private const int ReceiveBytes = 64 << 10;

    private readonly Socket socket;
    private readonly TransportCounters counters;
    private readonly Pipe pipe = new(new PipeOptions(readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline,
        pauseWriterThreshold: 0, resumeWriterThreshold: 0, minimumSegmentSize: ReceiveBytes, useSynchronizationContext: false));

    private SequencePosition? consumed;
    private long? deadline;

    /// <summary>Creates a reader.</summary>
    /// <param name="socket">In blocking mode; stays the caller's.</param>
    /// <param name="counters">Where received bytes are counted.</param>
    public FrameReader(Socket socket, TransportCounters counters)
    {
        this.socket = socket;
        this.counters = counters;
    }

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
        if (!TryBuffer(destination.Length, out var buffer))
        {
            return false;
        }

        buffer.Slice(0, destination.Length).CopyTo(destination);
        consumed = buffer.GetPosition(destination.Length);
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
        header = default;
        body = default;
        if (!TryBuffer(FrameHeader.SizeBytes, out var buffer))
        {
            return false;
        }

        Span<byte> headerBytes = stackalloc byte[FrameHeader.SizeBytes];
        buffer.Slice(0, FrameHeader.SizeBytes).CopyTo(headerBytes);
        header = FrameHeader.Read(headerBytes, maxMessageBytes);
        if (buffer.Length < FrameHeader.SizeBytes + header.BodyBytes)
        {
            pipe.Reader.AdvanceTo(buffer.Start, buffer.End);
            if (!TryBuffer(FrameHeader.SizeBytes + header.BodyBytes, out buffer))
            {
                return false;
            }
        }

        body = buffer.Slice(FrameHeader.SizeBytes, header.BodyBytes);
        consumed = body.End;
        header.Verify(body);
        return true;
    }

    /// <summary>Returns the buffers. Not while another thread reads.</summary>
    public void Dispose()
    {
        pipe.Writer.Complete();
        pipe.Reader.Complete();
    }

    /// <summary>Gets at least so many bytes into the pipe.</summary>
    private bool TryBuffer(int count, out ReadOnlySequence<byte> buffer)
    {
        if (consumed is { } position)
        {
            pipe.Reader.AdvanceTo(position);
            consumed = null;
        }

        buffer = default;
        while (true)
        {
            if (pipe.Reader.TryRead(out var result))
            {
                buffer = result.Buffer;
                if (buffer.Length >= count)
                {
                    return true;
                }

                pipe.Reader.AdvanceTo(buffer.Start, buffer.End);
            }

            if (!Receive())
            {
                return buffer.IsEmpty ? false : throw new PeerProtocolException("The connection was closed inside a frame.");
            }
        }
    }

    private bool Receive()
    {
        if (deadline is { } limit)
        {
            var leftMs = (limit - Stopwatch.GetTimestamp()) * 1000 / Stopwatch.Frequency;
            socket.ReceiveTimeout = leftMs > 0 ? (int)leftMs : throw Silent();
        }

        var memory = pipe.Writer.GetMemory(ReceiveBytes);
        int count;
        try
        {
            count = socket.Receive(memory.Span);
        }
        catch (SocketException exception) when (deadline is not null && exception.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock)
        {
            throw Silent();
        }

        pipe.Writer.Advance(count);
        var flush = pipe.Writer.FlushAsync();
        Debug.Assert(flush.IsCompletedSuccessfully, "A pipe without a threshold never pauses.");
        counters.AddReceived(count);
        return count > 0;
    }

    private static TimeoutException Silent() => new("It was silent for too long.");
}
