using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Dqlite.Net.Transport;

/// <summary>
/// Frames that go out in one system call. Small pieces are copied into a scratch buffer, large ones are referred to. Used by one thread at
/// a time: whoever has the right to send to the peer.
/// </summary>
internal sealed class FrameBatch
{
    /// <summary>Pieces of this size and more are not copied: pinning them costs less.</summary>
    private const int ReferenceFromBytes = 8 << 10;

    private const int ScratchBytes = 64 << 10;

    /// <summary>Well below what one writev takes (IOV_MAX is 1024).</summary>
    private const int MaxSegments = 256;

    private readonly byte[] scratch = new byte[ScratchBytes];
    private readonly List<ArraySegment<byte>> segments = [];
    private int scratchUsed;
    private int runStart;
    private long unsentBytes;

    /// <summary>Size of all frames in the batch.</summary>
    public long LengthBytes { get; private set; }

    /// <summary>Whether another frame may be begun.</summary>
    public bool HasRoom => scratch.Length - scratchUsed > 2 * FrameHeader.SizeBytes && segments.Count < MaxSegments - 2;

    /// <summary>Empties the batch.</summary>
    public void Clear()
    {
        segments.Clear();
        scratchUsed = 0;
        runStart = 0;
        LengthBytes = 0;
        unsentBytes = 0;
    }

    /// <summary>Adds one frame with the next bytes of a message; fewer than asked for when the batch is nearly full.</summary>
    /// <param name="message">The message.</param>
    /// <param name="maxBodyBytes">Largest body.</param>
    public void Add(OutgoingMessage message, int maxBodyBytes)
    {
        var headerStart = scratchUsed;
        var offset = (int)message.SentBytes;
        scratchUsed += FrameHeader.SizeBytes;
        var bodyBytes = 0;
        var running = uint.MaxValue;
        while (bodyBytes < maxBodyBytes && !message.IsDone && segments.Count < MaxSegments - 2 && scratchUsed < scratch.Length)
        {
            var piece = message.Next();
            piece = piece[..Math.Min(piece.Length, maxBodyBytes - bodyBytes)];
            if (piece.Length >= ReferenceFromBytes && MemoryMarshal.TryGetArray(piece, out var array))
            {
                EndRun();
                segments.Add(array);
            }
            else
            {
                piece = piece[..Math.Min(piece.Length, scratch.Length - scratchUsed)];
                piece.Span.CopyTo(scratch.AsSpan(scratchUsed));
                scratchUsed += piece.Length;
            }

            running = Crc32C.Append(running, piece.Span);
            bodyBytes += piece.Length;
            message.Advance(piece.Length);
        }

        new FrameHeader(FrameType.Message, message.Channel, bodyBytes, (int)message.LengthBytes, offset, message.HeaderBytes, ~running)
            .Write(scratch.AsSpan(headerStart));
        LengthBytes += FrameHeader.SizeBytes + bodyBytes;
        unsentBytes = LengthBytes;
    }

    /// <summary>Sends the batch, or what is left of it: all of it on a blocking socket, what the system takes now on another.</summary>
    /// <returns>Whether all of it is sent.</returns>
    /// <exception cref="SocketException">The connection is broken.</exception>
    public bool TrySend(Socket socket)
    {
        if (segments.Count > 0)
        {
            EndRun();
        }

        while (unsentBytes > 0)
        {
            var count = segments.Count > 0
                ? socket.Send(segments, SocketFlags.None, out var error)
                : socket.Send(scratch.AsSpan(scratchUsed - (int)unsentBytes, (int)unsentBytes), SocketFlags.None, out error);
            if (error == SocketError.WouldBlock && !socket.Blocking)
            {
                return false;
            }

            if (error != SocketError.Success)
            {
                throw new SocketException((int)error);
            }

            Drop(count);
        }

        return true;
    }

    /// <summary>Sends one message, in as many batches as it takes, on a blocking socket.</summary>
    /// <exception cref="SocketException">The connection is broken, or stalled for too long.</exception>
    public void SendWhole(Socket socket, OutgoingMessage message, int fragmentBytes, TransportCounters counters)
    {
        while (!message.IsDone)
        {
            Clear();
            Add(message, fragmentBytes);
            TrySend(socket);
            counters.AddSent(LengthBytes);
        }
    }

    private void Drop(int sentBytes)
    {
        unsentBytes -= sentBytes;
        var whole = 0;
        while (whole < segments.Count && sentBytes >= segments[whole].Count)
        {
            sentBytes -= segments[whole++].Count;
        }

        segments.RemoveRange(0, whole);
        if (segments.Count > 0)
        {
            segments[0] = segments[0][sentBytes..];
        }
    }

    private void EndRun()
    {
        if (scratchUsed > runStart)
        {
            segments.Add(new ArraySegment<byte>(scratch, runStart, scratchUsed - runStart));
            runStart = scratchUsed;
        }
    }
}
