using Dqlite.Net.Engine;
using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Simulation.Tracing;

namespace Dqlite.Simulation.Cluster;

/// <summary>Hands what happens at one node's core to the invariants and to the trace.</summary>
internal sealed class NodeObserver(SimCluster cluster, SimNode node, Tracing.ICoreObserver? trace) : Dqlite.Net.Engine.ICoreObserver
{
    private RaftCore Core => node.Node!.Core;

    /// <summary>The node begins to run.</summary>
    public void OnStart() => trace?.OnStart(Core);

    public void OnInput(in NodeEvent input)
    {
        if (trace is not null)
        {
            trace.OnInput(Core, input switch
            {
                { Kind: NodeEventKind.Message, Payload: RaftPeerMessage message } => CoreInput.Message(message.Message),
                { Kind: NodeEventKind.EntriesPersisted } => CoreInput.EntriesPersisted,
                _ => CoreInput.Other,
            });
        }
    }

    public void OnHardStatePersisted(HardState state) => trace?.OnInput(Core, CoreInput.HardStatePersisted(state));

    public void OnSnapshotSending(NodeId to, LogIndex index)
    {
        cluster.OnSnapshotSending(node, to);
        trace?.OnSnapshotSending(Core, to, index);
    }

    public void OnSnapshotInstalling(NodeId from, LogIndex index, Term term)
    {
        cluster.Invariants.OnInstalling(node, index);
        trace?.OnInput(Core, CoreInput.SnapshotInstalled(from, index, term));
    }

    public void OnOutputs(RaftOutputs outputs)
    {
        cluster.Invariants.OnAppended(node, outputs);
        cluster.Invariants.OnOutputs(node, outputs);
        trace?.OnOutputs(Core, outputs);
    }
}
