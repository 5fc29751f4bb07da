using System.Diagnostics.Metrics;
using Dqlite.Net.Data;

namespace Dqlite.Net.Engine;

/// <summary>The dqlite.raft.* instruments of one node, on the meter "Dqlite.Net".</summary>
internal sealed class NodeTelemetry(long nodeId)
{
    private static readonly Counter<long> Entries = Telemetry.Meter.CreateCounter<long>("dqlite.raft.entries.proposed", "{entry}", "Entries proposed by this node as leader");
    private static readonly Counter<long> Transactions = Telemetry.Meter.CreateCounter<long>("dqlite.raft.transactions.proposed", "{transaction}", "Transactions that these entries carried");
    private static readonly Counter<long> Bytes = Telemetry.Meter.CreateCounter<long>("dqlite.raft.bytes.proposed", "By", "Payload bytes of these entries");
    private static readonly Counter<long> LogBytes = Telemetry.Meter.CreateCounter<long>("dqlite.raft.log.bytes.written", "By", "Bytes of the records that this node wrote to its log");
    private static readonly Counter<long> LeaderChanges = Telemetry.Meter.CreateCounter<long>("dqlite.raft.leader.changes", "{change}", "Changes of the leader that this node saw");
    private readonly KeyValuePair<string, object?> _node = new("dqlite.node.id", nodeId);

    /// <summary>Of the node.</summary>
    public long NodeId => nodeId;

    public void OnProposed(int transactions, int bytes)
    {
        Entries.Add(1, _node);
        Transactions.Add(transactions, _node);
        Bytes.Add(bytes, _node);
    }

    /// <summary>On the log's thread.</summary>
    public void OnLogWritten(long bytes) => LogBytes.Add(bytes, _node);

    public void OnLeaderChanged() => LeaderChanges.Add(1, _node);
}
