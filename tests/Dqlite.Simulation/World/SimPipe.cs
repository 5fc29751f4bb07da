using System.Buffers;
using Dqlite.Net.Transport;

namespace Dqlite.Simulation.World;

/// <summary>
/// One direction of a connection: bytes come out in the order in which they went in, then perhaps the end. While the link is held or the
/// receiver is paused they wait here, and so does the sender when the window is full.
/// </summary>
internal sealed class SimPipe
{
    /// <summary>What the kernels of both sides take before a send would block (see SocketCalls).</summary>
    private const int WindowBytes = (1 << 20) + (256 << 10);

    private readonly SimNetwork _network;
    private readonly SimConnection _connection;
    private readonly Action _onArrival;
    private Queue<Chunk> _chunks = new();
    private long _lastArrivalNs;
    private long _notBeforeNs;
    private long _waitingBytes;
    private bool _isScheduled;
    private bool _isEnded;

    /// <summary>Made by the connection.</summary>
    public SimPipe(SimNetwork network, SimConnection connection, SimLink link)
    {
        _network = network;
        _connection = connection;
        Link = link;
        _onArrival = OnArrival;
        link.Add(this);
    }

    /// <summary>Bytes with a time of arrival; without a buffer: the end of the connection.</summary>
    private readonly record struct Chunk(byte[]? Buffer, int Length, long ArrivalNs, bool IsCorrupt);

    /// <summary>The link that it uses.</summary>
    public SimLink Link { get; }

    /// <summary>The connection that it belongs to.</summary>
    public SimConnection Connection => _connection;

    /// <summary>Whether a send would block.</summary>
    public bool IsFull => _waitingBytes >= WindowBytes;

    /// <summary>Bytes that have arrived.</summary>
    public long ArrivedBytes { get; private set; }

    /// <summary>Sends bytes of the connection's set-up. What is sent after the end is lost.</summary>
    public void Send(ReadOnlySpan<byte> bytes)
    {
        if (_isEnded)
        {
            return;
        }

        var buffer = ArrayPool<byte>.Shared.Rent(bytes.Length);
        bytes.CopyTo(buffer);
        Enqueue(new Chunk(buffer, bytes.Length, NextArrivalNs(), false));
    }

    /// <summary>Sends frames.</summary>
    public void Send(FrameBatch batch)
    {
        var length = (int)batch.LengthBytes;
        if (_isEnded)
        {
            batch.Advance(length);
            return;
        }

        var buffer = ArrayPool<byte>.Shared.Rent(length);
        CopyTo(batch, buffer);
        var isCorrupt = Link.TakeCorruption();
        if (isCorrupt)
        {
            buffer[Link.Random.Next(length)] ^= (byte)(1 << Link.Random.Next(8));
        }

        if (Link.Settings.LossChance > 0 && Link.Random.Chance(Link.Settings.LossChance))
        {
            EnqueueInTwoParts(buffer, length, isCorrupt);
        }
        else
        {
            Enqueue(new Chunk(buffer, length, NextArrivalNs(), isCorrupt));
        }
    }

    /// <summary>Sends the end of the connection. When bytes are under way, they and the end may come late.</summary>
    /// <param name="isTorn">Whether the last of the bytes under way are lost, perhaps from the middle of a frame on.</param>
    public void SendEnd(bool isTorn)
    {
        if (_isEnded)
        {
            return;
        }

        if (isTorn)
        {
            Tear();
        }

        if (_waitingBytes > 0 && Link.Random.Chance(_network.Options.LateBytesChance))
        {
            _notBeforeNs = Math.Max(_notBeforeNs, _network.NowNs + Link.Random.Next(_network.Options.MaxLateNs + 1));
        }

        Enqueue(new Chunk(null, 0, NextArrivalNs(), false));
        _isEnded = true;
    }

    /// <summary>The last of the bytes under way are lost.</summary>
    public void Tear()
    {
        var kept = new Queue<Chunk>();
        var left = _waitingBytes == 0 ? 0 : Link.Random.Next(_waitingBytes);
        _waitingBytes = left;
        foreach (var chunk in _chunks)
        {
            if (left == 0)
            {
                Release(chunk);
                continue;
            }

            var length = (int)Math.Min(left, chunk.Length);
            kept.Enqueue(length == chunk.Length ? chunk : chunk with { Length = length, IsCorrupt = false });
            left -= length;
        }

        _chunks = kept;
    }

    /// <summary>What is under way may arrive from then on.</summary>
    public void Flow(long delayNs)
    {
        _notBeforeNs = Math.Max(_notBeforeNs, _network.NowNs + delayNs);
        Schedule();
    }

    private static void CopyTo(FrameBatch batch, byte[] buffer)
    {
        var position = 0;
        if (batch.TryGetSpan(out var bytes))
        {
            bytes.CopyTo(buffer);
        }
        else
        {
            foreach (var piece in batch.GetPieces())
            {
                piece.AsSpan().CopyTo(buffer.AsSpan(position));
                position += piece.Count;
            }
        }

        batch.Advance((int)batch.LengthBytes);
    }

    private long NextArrivalNs(long lateNs = 0) => Math.Max(_lastArrivalNs, Link.NextArrivalNs() + lateNs);

    /// <summary>A packet is lost: what it began with comes in time, the rest when it has been sent again.</summary>
    private void EnqueueInTwoParts(byte[] buffer, int length, bool isCorrupt)
    {
        var firstLength = Link.Random.Next(length);
        if (firstLength > 0)
        {
            var first = ArrayPool<byte>.Shared.Rent(firstLength);
            buffer.AsSpan(0, firstLength).CopyTo(first);
            Enqueue(new Chunk(first, firstLength, NextArrivalNs(), false));
        }

        buffer.AsSpan(firstLength, length - firstLength).CopyTo(buffer);
        Enqueue(new Chunk(buffer, length - firstLength, NextArrivalNs(Link.Random.Next(Link.Settings.MaxLossDelayNs + 1)), isCorrupt));
    }

    private static void Release(in Chunk chunk)
    {
        if (chunk.Buffer is not null)
        {
            ArrayPool<byte>.Shared.Return(chunk.Buffer);
        }
    }

    private void Enqueue(in Chunk chunk)
    {
        _chunks.Enqueue(chunk);
        _lastArrivalNs = chunk.ArrivalNs;
        _waitingBytes += chunk.Length;
        Schedule();
    }

    private void Schedule()
    {
        if (!_isScheduled && _chunks.TryPeek(out var next) && MayFlow())
        {
            _isScheduled = true;
            _network.Scheduler.At(Math.Max(next.ArrivalNs, _notBeforeNs), _onArrival);
        }
    }

    private bool MayFlow() => !Link.IsHeld && Link.To.CanReceive;

    private void OnArrival()
    {
        _isScheduled = false;
        if (!MayFlow() || !_chunks.TryPeek(out var chunk))
        {
            return;
        }

        if (Math.Max(chunk.ArrivalNs, _notBeforeNs) <= _network.NowNs)
        {
            _chunks.Dequeue();
            Deliver(chunk);
        }

        Schedule();
    }

    private void Deliver(in Chunk chunk)
    {
        if (chunk.Buffer is null)
        {
            Link.Remove(this);
            _connection.OnEnd(this);
            return;
        }

        var wasFull = IsFull;
        _waitingBytes -= chunk.Length;
        ArrivedBytes += chunk.Length;
        try
        {
            _connection.OnBytes(this, chunk.Buffer.AsSpan(0, chunk.Length), chunk.IsCorrupt);
        }
        finally
        {
            Release(chunk);
        }

        if (wasFull && !IsFull)
        {
            _connection.OnRoom(this);
        }
    }
}
