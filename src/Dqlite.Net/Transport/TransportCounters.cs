using System.Diagnostics.Metrics;
using Dqlite.Net.Data;

namespace Dqlite.Net.Transport;

/// <summary>What a transport counts; added to from many threads.</summary>
internal sealed class TransportCounters
{
    private static readonly Counter<long> Sent = Telemetry.Meter.CreateCounter<long>("dqlite.peer.bytes.sent", "By", "Bytes that the nodes of this process sent to their peers");
    private long bytesSent;
    private long bytesReceived;
    private long messagesDropped;

    /// <summary>Bytes given to sockets.</summary>
    public long BytesSent => Interlocked.Read(ref bytesSent);

    /// <summary>Bytes read from sockets.</summary>
    public long BytesReceived => Interlocked.Read(ref bytesReceived);

    /// <summary>Messages dropped.</summary>
    public long MessagesDropped => Interlocked.Read(ref messagesDropped);

    /// <summary>Counts bytes given to a socket.</summary>
    public void AddSent(long count)
    {
        Interlocked.Add(ref bytesSent, count);
        Sent.Add(count);
    }

    /// <summary>Counts bytes read from a socket.</summary>
    public void AddReceived(long count) => Interlocked.Add(ref bytesReceived, count);

    /// <summary>Counts messages dropped.</summary>
    public void AddDropped(long count) => Interlocked.Add(ref messagesDropped, count);
}
