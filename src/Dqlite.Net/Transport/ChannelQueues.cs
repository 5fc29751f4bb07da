namespace Dqlite.Net.Transport;

/// <summary>The messages that wait for one peer, by channel. Guarded by the lock of <see cref="PeerSender"/>.</summary>
/// <param name="options">The bounds.</param>
/// <param name="counters">Where dropped messages are counted.</param>
internal sealed class ChannelQueues(TransportOptions options, TransportCounters counters)
{
    /// <summary>Raft messages per channel that wait for a connection: only the newest say anything that is still true.</summary>
    public const int MaxWithoutConnection = 16;

    private readonly Queue<OutgoingMessage>[] waiting = [new(), new(), new(), new()];
    private readonly OutgoingMessage?[] begun = new OutgoingMessage?[FrameHeader.ChannelCount];
    private readonly long[] waitingBytes = new long[FrameHeader.ChannelCount];
    private Channel turn = Channel.Log;

    /// <summary>Whether nothing waits, and no message is partly sent.</summary>
    public bool IsEmpty
    {
        get
        {
            for (var channel = Channel.Control; channel <= Channel.Stream; channel++)
            {
                if (HasNext(channel))
                {
                    return false;
                }
            }

            return true;
        }
    }

    /// <summary>Queues a message; see <see cref="IPeerTransport.Send"/> for what happens when there is no room.</summary>
    /// <param name="message">The message.</param>
    /// <param name="isConnected">Whether there is a connection.</param>
    /// <returns>False when the message was refused.</returns>
    public bool TryEnqueue(OutgoingMessage message, bool isConnected)
    {
        var channel = (int)message.Channel;
        var maxMessages = isConnected ? options.MaxQueuedMessages : Math.Min(options.MaxQueuedMessages, MaxWithoutConnection);
        var isRaft = message.Channel is Channel.Control or Channel.Log;
        if (!isRaft && (!isConnected || IsFull()))
        {
            counters.AddDropped(1);
            return false;
        }

        while (IsFull())
        {
            waitingBytes[channel] -= waiting[channel].Dequeue().LengthBytes;
            counters.AddDropped(1);
        }

        waiting[channel].Enqueue(message);
        waitingBytes[channel] += message.LengthBytes;
        return true;

        bool IsFull() => waiting[channel].Count > 0
            && (waiting[channel].Count >= maxMessages || waitingBytes[channel] + message.LengthBytes > options.MaxQueuedBytes);
    }

    /// <summary>Moves as much as one system call should carry: everything urgent, then one fragment's worth of the rest.</summary>
    public void Fill(FrameBatch batch)
    {
        batch.Clear();
        for (var channel = Channel.Control; channel <= Channel.Rpc; channel++)
        {
            while (batch.HasRoom && HasNext(channel))
            {
                AddFrame(batch, channel, options.FragmentBytes);
            }
        }

        var budget = options.FragmentBytes;
        while (batch.HasRoom && budget > 0 && (HasNext(Channel.Log) || HasNext(Channel.Stream)))
        {
            budget -= AddFrame(batch, HasNext(turn) ? turn : Other(turn), budget);
        }

        turn = Other(turn);
    }

    /// <summary>Drops everything: the connection has ended.</summary>
    public void Clear()
    {
        for (var channel = 0; channel < FrameHeader.ChannelCount; channel++)
        {
            counters.AddDropped(waiting[channel].Count + (begun[channel] is null ? 0 : 1));
            waiting[channel].Clear();
            waitingBytes[channel] = 0;
            begun[channel] = null;
        }
    }

    private static Channel Other(Channel channel) => channel == Channel.Log ? Channel.Stream : Channel.Log;

    private bool HasNext(Channel channel) => begun[(int)channel] is not null || waiting[(int)channel].Count > 0;

    private int AddFrame(FrameBatch batch, Channel channel, int maxBodyBytes)
    {
        var message = begun[(int)channel];
        if (message is null)
        {
            message = waiting[(int)channel].Dequeue();
            waitingBytes[(int)channel] -= message.LengthBytes;
        }

        var before = message.SentBytes;
        batch.Add(message, maxBodyBytes);
        begun[(int)channel] = message.IsDone ? null : message;
        return (int)(message.SentBytes - before);
    }
}
