using Microsoft.Extensions.Logging;

namespace Dqlite.Net.Engine;

/// <summary>Everything that a node logs. Event ids are stable: they are listed in docs/HACKING.md and never reused.</summary>
internal sealed partial class NodeLog(ILogger logger)
{
    private readonly ILogger _logger = logger;

    [LoggerMessage(1, LogLevel.Information, "Node {Node} of cluster {Cluster} started at {Address}: log from {First} to {Last}, applied {Applied}")]
    public partial void Started(long node, string cluster, string address, long first, long last, long applied);

    [LoggerMessage(2, LogLevel.Information, "Node {Node} is {Role} in term {Term}, leader {Leader}")]
    public partial void StateChanged(long node, string role, long term, long leader);

    [LoggerMessage(3, LogLevel.Information, "The membership is now {Members}")]
    public partial void ConfigurationChanged(string members);

    [LoggerMessage(4, LogLevel.Critical, "Node {Node} stops: {Reason}")]
    public partial void Failed(long node, string reason, Exception exception);

    [LoggerMessage(5, LogLevel.Information, "Node {Node} stopped")]
    public partial void Stopped(long node);

    [LoggerMessage(6, LogLevel.Warning, "Node {Peer} sent a message of kind {Kind} that nobody waits for")]
    public partial void UnexpectedMessage(long peer, byte kind);

    [LoggerMessage(7, LogLevel.Information, "Streaming a snapshot of index {Index} to node {Peer}")]
    public partial void SnapshotSending(long peer, long index);

    [LoggerMessage(8, LogLevel.Information, "The snapshot of index {Index} for node {Peer} ended, success {Success}")]
    public partial void SnapshotSent(long peer, long index, bool success);

    [LoggerMessage(9, LogLevel.Warning, "A snapshot for node {Peer} could not be read: {Reason}")]
    public partial void SnapshotSendFailed(long peer, string reason, Exception exception);

    [LoggerMessage(10, LogLevel.Warning, "A snapshot of node {Peer} was refused: {Reason}")]
    public partial void SnapshotReceiveFailed(long peer, string reason, Exception exception);

    [LoggerMessage(11, LogLevel.Information, "Installed a snapshot of index {Index}")]
    public partial void SnapshotInstalled(long index);

    [LoggerMessage(12, LogLevel.Error, "Page {Page} of database '{Database}' does not match its checksum: the disk returned other bytes than were written")]
    public partial void PageRot(string database, uint page);

    [LoggerMessage(13, LogLevel.Warning, "Peer {Peer} at {Address} was refused: {Reason}")]
    public partial void PeerRefused(long peer, string address, string reason);

    [LoggerMessage(14, LogLevel.Debug, "Checkpoint of '{Database}' to index {Index}")]
    public partial void Checkpointed(string database, long index);

    [LoggerMessage(15, LogLevel.Debug, "The log now begins behind index {Index}")]
    public partial void Compacted(long index);

    [LoggerMessage(16, LogLevel.Information, "Founded cluster {Cluster} with {Count} members")]
    public partial void Founded(string cluster, int count);

    [LoggerMessage(17, LogLevel.Information, "Joined cluster {Cluster} as node {Node}")]
    public partial void Joined(string cluster, long node);

    [LoggerMessage(18, LogLevel.Error, "A handler of LeaderChanged failed")]
    public partial void HandlerFailed(Exception exception);

    [LoggerMessage(19, LogLevel.Information, "This node is not a voter yet: {Reason}")]
    public partial void PromotionWaits(string reason);

    [LoggerMessage(21, LogLevel.Warning, "Not everything could be closed while the node stopped")]
    public partial void EndFailed(Exception exception);

    [LoggerMessage(20, LogLevel.Error, "This node may not become a voter: {Reason}")]
    public partial void PromotionRefused(string reason);

    [LoggerMessage(22, LogLevel.Warning, "SQLite was asked for something that the VFS refuses: {Message}")]
    public partial void VfsMessage(string message);

    [LoggerMessage(23, LogLevel.Error, "A transaction of '{Database}' that waited for its proposal cannot be read again and is dropped; this node gives leadership up")]
    public partial void DraftLost(string database, Exception exception);
}
