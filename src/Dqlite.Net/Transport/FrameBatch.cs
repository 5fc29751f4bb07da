using System.Runtime.InteropServices;

namespace Dqlite.Net.Transport;

/// <summary>
/// Frames that go out in one system call. Small pieces are copied into a scratch buffer, large ones are referred to. Knows no socket
/// (<see cref="SocketCalls"/> sends it). Used by one thread at a time: whoever has the right to send to the peer.
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
    private long untakenBytes;

    /// <summary>Size of all frames in the batch.</summary>
    public long LengthBytes { get; private set; }

    /// <summary>Whether somebody has taken all of it.</summary>
    public bool IsTaken => untakenBytes == 0;

    /// <summary>Whether another frame may be begun.</summary>
    public bool HasRoom => scratch.Length - scratchUsed > 2 * FrameHeader.SizeBytes && segments.Count < MaxSegments - 2;

    /// <summary>Empties the batch.</summary>
    public void Clear()
    {
        segments.Clear();
        scratchUsed = 0;
        runStart = 0;
        LengthBytes = 0;
        untakenBytes = 0;
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
        untakenBytes = LengthBytes;
    }

    /// <summary>What nobody has taken yet, when that is one piece in a row; else <see cref="GetPieces"/> has it.</summary>
    /// <param name="bytes">The bytes, until the batch changes.</param>
    public bool TryGetSpan(out ReadOnlySpan<byte> bytes)
    {
        bytes = segments.Count == 0 ? scratch.AsSpan(scratchUsed - (int)untakenBytes, (int)untakenBytes) : default;
        return segments.Count == 0;
    }

    /// <summary>What nobody has taken yet, in order, when <see cref="TryGetSpan"/> says no.</summary>
    public IList<ArraySegment<byte>> GetPieces()
    {
        EndRun();
        return segments;
    }

    /// <summary>Takes bytes of the frames.</summary>
    /// <param name="count">How many.</param>
    public void Advance(int count)
    {
        untakenBytes -= count;
        var whole = 0;
        while (whole < segments.Count && count >= segments[whole].Count)
        {
            count -= segments[whole++].Count;
        }

        segments.RemoveRange(0, whole);
        if (segments.Count > 0)
        {
            segments[0] = segments[0][count..];
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
