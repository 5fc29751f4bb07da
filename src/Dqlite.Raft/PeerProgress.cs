namespace Dqlite.Raft;

/// <summary>How a leader sends entries to one member.</summary>
/// <remarks>
/// <code>
///            matched                     next entry compacted
///   Probe ------------> Replicate   Probe, Replicate ---------> Snapshot
///     ^                     |                                      |
///     +-- rejected, lost ---+          sent, failed, lost ---------+--> Probe
///     |   connection                   acknowledged ---------------+--> Replicate
/// </code>
/// </remarks>
public enum ReplicationState : byte
{
    /// <summary>The match is not known: one message at a time.</summary>
    Probe = 1,

    /// <summary>Pipelined within the in-flight window.</summary>
    Replicate = 2,

    /// <summary>The caller streams a snapshot; only heartbeats are sent.</summary>
    Snapshot = 3,
}

/// <summary>What a leader knows of one member.</summary>
/// <param name="MatchIndex">Up to here its durable log is known to equal the leader's.</param>
/// <param name="NextIndex">The next entry to send.</param>
/// <param name="State">How entries are sent.</param>
/// <param name="IsConnected">Whether the caller reported a connection.</param>
/// <param name="InflightMessages">AppendEntries messages with entries that are not acknowledged.</param>
/// <param name="TicksSinceContact">Ticks since the last message from it in this term.</param>
public readonly record struct PeerProgress(LogIndex MatchIndex, LogIndex NextIndex, ReplicationState State, bool IsConnected, int InflightMessages,
    int TicksSinceContact);
