using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>Watches one node's core from within the loop. Must not change anything.</summary>
internal interface ICoreObserver
{
    /// <summary>The loop is about to handle an input.</summary>
    void OnInput(in NodeEvent input);

    /// <summary>The core is about to hear that term and vote are durable.</summary>
    void OnHardStatePersisted(HardState state);

    /// <summary>A stream of a snapshot to a peer begins.</summary>
    void OnSnapshotSending(NodeId to, LogIndex index);

    /// <summary>The core is about to hear that a snapshot is in place.</summary>
    void OnSnapshotInstalling(NodeId from, LogIndex index, Term term);

    /// <summary>Outputs were carried out; each is seen once.</summary>
    void OnOutputs(RaftOutputs outputs);
}
