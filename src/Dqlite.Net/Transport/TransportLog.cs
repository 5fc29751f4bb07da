using Dqlite.Raft;
using Microsoft.Extensions.Logging;

namespace Dqlite.Net.Transport;

/// <summary>Everything that the transport logs; event ids 300 to 319.</summary>
internal static partial class TransportLog
{
    [LoggerMessage(300, LogLevel.Information, "Listening for peers on {Address}")]
    public static partial void Listening(this ILogger logger, string address);

    [LoggerMessage(301, LogLevel.Information, "Connected to node {Peer} at {Address}")]
    public static partial void Connected(this ILogger logger, NodeId peer, string address);

    [LoggerMessage(302, LogLevel.Information, "The connection to node {Peer} at {Address} has ended")]
    public static partial void Disconnected(this ILogger logger, NodeId peer, string address);

    [LoggerMessage(303, LogLevel.Warning, "Node {Peer} at {Address} cannot be reached: {Reason}. Dialling goes on; this is logged again when the reason changes")]
    public static partial void DialFailed(this ILogger logger, NodeId peer, string address, string reason);

    [LoggerMessage(304, LogLevel.Warning, "No agreement with node {Peer} at {Address}: {Reason}. Dialling goes on; this is logged again when the reason changes")]
    public static partial void DialRefused(this ILogger logger, NodeId peer, string address, string reason);

    [LoggerMessage(305, LogLevel.Information, "Node {Peer} has connected from {RemoteAddress}")]
    public static partial void Accepted(this ILogger logger, NodeId peer, string remoteAddress);

    [LoggerMessage(306, LogLevel.Information, "The connection of node {Peer} from {RemoteAddress} has ended")]
    public static partial void AcceptedEnded(this ILogger logger, NodeId peer, string remoteAddress);

    [LoggerMessage(307, LogLevel.Warning, "Dropped the connection from {RemoteAddress}: {Reason}")]
    public static partial void AcceptedDropped(this ILogger logger, string remoteAddress, string reason);

    [LoggerMessage(308, LogLevel.Warning, "Dropped the connection from {RemoteAddress}: {Count} others exist, which is the limit")]
    public static partial void TooManyConnections(this ILogger logger, string remoteAddress, int count);

    [LoggerMessage(309, LogLevel.Warning, "Connections cannot be accepted now: {Reason}")]
    public static partial void AcceptFailed(this ILogger logger, string reason);

    [LoggerMessage(310, LogLevel.Error, "A defect ended a connection with {Remote}")]
    public static partial void Defect(this ILogger logger, string remote, Exception exception);
}
