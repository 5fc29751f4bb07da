using Dqlite.Raft;

namespace Dqlite.Net.Transport;

/// <summary>A message on its way out: its pieces, and how far it has been sent. Touched by one thread at a time.</summary>
internal sealed class OutgoingMessage
{
    private readonly ReadOnlyMemory<byte>[] pieces;
    private int pieceIndex;
    private int pieceOffset;

    /// <summary>A message with one payload.</summary>
    public OutgoingMessage(Channel channel, ReadOnlyMemory<byte> header, ReadOnlyMemory<byte> payload)
        : this(channel, header, [header, payload])
    {
    }

    /// <summary>A message whose payload is that of its entries.</summary>
    public OutgoingMessage(Channel channel, ReadOnlyMemory<byte> header, IReadOnlyList<LogEntry> entries)
        : this(channel, header, [header, .. entries.Select(entry => entry.Payload)])
    {
    }

    private OutgoingMessage(Channel channel, ReadOnlyMemory<byte> header, ReadOnlyMemory<byte>[] pieces)
    {
        Channel = channel;
        HeaderBytes = header.Length;
        this.pieces = pieces;
        foreach (var piece in pieces)
        {
            LengthBytes += piece.Length;
        }
    }

    /// <summary>The channel it travels on.</summary>
    public Channel Channel { get; }

    /// <summary>Size of its header.</summary>
    public int HeaderBytes { get; }

    /// <summary>Size of header and payload.</summary>
    public long LengthBytes { get; }

    /// <summary>Bytes taken so far.</summary>
    public long SentBytes { get; private set; }

    /// <summary>Whether all of it is taken.</summary>
    public bool IsDone => SentBytes == LengthBytes;

    /// <summary>What is left of the current piece; empty when all is taken.</summary>
    public ReadOnlyMemory<byte> Next()
    {
        while (pieceIndex < pieces.Length && pieceOffset == pieces[pieceIndex].Length)
        {
            pieceIndex++;
            pieceOffset = 0;
        }

        return pieceIndex == pieces.Length ? default : pieces[pieceIndex][pieceOffset..];
    }

    /// <summary>Takes bytes of the current piece.</summary>
    /// <param name="count">How many.</param>
    public void Advance(int count)
    {
        pieceOffset += count;
        SentBytes += count;
    }
}
