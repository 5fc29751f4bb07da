using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;

namespace Dqlite.Net.Transport;

/// <summary>
/// Cuts received bytes into frames. Header and body of a frame are verified before they are seen. Knows no socket: whoever has bytes puts them
/// in. Used by one thread at a time, which fills the pipe and empties it, so the pipe schedules nothing and never pauses.
/// </summary>
internal sealed class FrameParser : IDisposable
{
    /// <summary>How much is worth receiving at once.</summary>
    public const int ReceiveBytes = 64 << 10;

    private readonly Pipe pipe = new(new PipeOptions(readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline,
        pauseWriterThreshold: 0, resumeWriterThreshold: 0, minimumSegmentSize: ReceiveBytes, useSynchronizationContext: false));

    private SequencePosition? consumed;
    private long unreadBytes;

    /// <summary>Whether everything that was received has been read: an end of the connection here is a clean one.</summary>
    public bool IsEmpty => unreadBytes == 0;

    /// <summary>Where the next received bytes go; say with <see cref="Advance"/> how many there were.</summary>
    /// <param name="sizeHint">At least so many can be put there.</param>
    public Memory<byte> GetMemory(int sizeHint) => pipe.Writer.GetMemory(sizeHint);

    /// <summary>So many bytes were put into what <see cref="GetMemory"/> gave.</summary>
    /// <param name="count">How many.</param>
    public void Advance(int count)
    {
        pipe.Writer.Advance(count);
        var flush = pipe.Writer.FlushAsync();
        Debug.Assert(flush.IsCompletedSuccessfully, "A pipe without a threshold never pauses.");
        unreadBytes += count;
    }

    /// <summary>Reads raw bytes.</summary>
    /// <returns>False while there are not so many.</returns>
    public bool TryReadExactly(Span<byte> destination)
    {
        if (!TryBuffer(destination.Length, out var buffer))
        {
            return false;
        }

        buffer.Slice(0, destination.Length).CopyTo(destination);
        Consume(buffer, destination.Length);
        return true;
    }

    /// <summary>Reads the next frame.</summary>
    /// <param name="maxMessageBytes">Largest message that is accepted.</param>
    /// <param name="header">Its header.</param>
    /// <param name="body">Its body, until the next call.</param>
    /// <returns>False while it is not complete.</returns>
    /// <exception cref="PeerProtocolException">It is not a frame.</exception>
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
            return false;
        }

        body = buffer.Slice(FrameHeader.SizeBytes, header.BodyBytes);
        Consume(buffer, FrameHeader.SizeBytes + header.BodyBytes);
        header.Verify(body);
        return true;
    }

    /// <summary>Returns the buffers.</summary>
    public void Dispose()
    {
        pipe.Writer.Complete();
        pipe.Reader.Complete();
    }

    /// <summary>The bytes stay where they are until the next call: the caller looks at them.</summary>
    private void Consume(in ReadOnlySequence<byte> buffer, int count)
    {
        consumed = buffer.GetPosition(count);
        unreadBytes -= count;
    }

    private bool TryBuffer(int count, out ReadOnlySequence<byte> buffer)
    {
        if (consumed is { } position)
        {
            pipe.Reader.AdvanceTo(position);
            consumed = null;
        }

        buffer = default;
        if (!pipe.Reader.TryRead(out var result))
        {
            return false;
        }

        buffer = result.Buffer;
        if (buffer.Length >= count)
        {
            return true;
        }

        pipe.Reader.AdvanceTo(buffer.Start, buffer.End);
        return false;
    }
}
