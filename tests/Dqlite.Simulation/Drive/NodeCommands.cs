using System.Text;
using System.Text.Json;
using Dqlite.Raft;
using Dqlite.Simulation.Tracing;

namespace Dqlite.Simulation.Drive;

/// <summary>Commands that give one core an input.</summary>
internal static class NodeCommands
{
    private const long MaxTickNs = 10_000_000_000;
    private const long MaxAdvanceNs = 1_000_000_000_000_000;

    public static void Set(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var nodes = cluster.Select(arguments.IdsOrNull("nodes"));
        var autoProcess = arguments.FlagOrNull("autoProcess");
        var autoPersist = AddCommand.PersistModeOrNull(arguments);
        var tickNs = arguments.NumberOrNull("tickNs", least: 1, most: MaxTickNs);
        arguments.End();
        cluster.TickNs = tickNs ?? cluster.TickNs;
        foreach (var node in nodes)
        {
            node.AutoProcess = autoProcess ?? node.AutoProcess;
            node.AutoPersist = autoPersist ?? node.AutoPersist;
            if (node.AutoProcess)
            {
                node.Process(node.AutoPersist);
            }
        }
    }

    /// <summary>
    /// Forced, a follower campaigns as one that its leader named as successor: without a pre-vote, and voters answer whether they hear a leader
    /// or not. The core has no other way around pre-vote and leader stickiness.
    /// </summary>
    public static void Campaign(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var node = cluster.Node(arguments.Id("node"));
        var isForced = arguments.Flag("force");
        arguments.End();
        node.Input(CoreInput.Other, (core, now, outputs) =>
        {
            if (isForced && core.Role == RaftRole.Follower)
            {
                core.Receive(new TimeoutNow(core.Leader, core.Id, core.CurrentTerm, core.LastIndex), now, outputs);
            }
            else
            {
                core.Campaign(now, outputs);
            }
        });
    }

    public static void Tick(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var nodes = cluster.Select(arguments.IdsOrNull("nodes"));
        var count = arguments.Count("count", otherwise: 1);
        var mayCampaign = arguments.Flag("campaign", otherwise: true);
        arguments.End();
        for (var i = 0; i < count; i++)
        {
            cluster.Tick(nodes, mayCampaign);
        }
    }

    public static void Advance(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var ns = arguments.Number("ns", most: MaxAdvanceNs);
        arguments.End();
        cluster.Advance(ns);
    }

    public static void Propose(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var node = cluster.Node(arguments.Id("node"));
        var data = Encoding.UTF8.GetBytes(arguments.TextOrNull("data") ?? "");
        var term = new Term(arguments.NumberOrNull("term") ?? node.Core.CurrentTerm.Value);
        arguments.End();
        WriteProposal(answer, node.Input(CoreInput.Other, (core, now, outputs) => core.Propose(term, data, now, outputs)));
    }

    public static void Transfer(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var node = cluster.Node(arguments.Id("node"));
        var target = arguments.IdOrNull("to") ?? NodeId.None;
        arguments.End();
        WriteRefusal(answer, node.Input(CoreInput.Other, (core, now, outputs) => core.TransferLeadership(target, now, outputs)));
    }

    public static void StepDown(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var node = cluster.Node(arguments.Id("node"));
        arguments.End();
        node.Input(CoreInput.Other, (core, now, outputs) => core.StepDown(now, outputs));
    }

    public static void ReadIndex(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var node = cluster.Node(arguments.Id("node"));
        var requestId = arguments.NumberOrNull("id", least: 1) ?? cluster.NextReadNumber();
        arguments.End();
        answer.WriteNumber("id", requestId);
        node.Input(CoreInput.Other, (core, now, outputs) => core.Read(requestId, now, outputs));
    }

    /// <summary>The node sees the connection to its leader closed and opened again, and does not take that as a reason to campaign.</summary>
    public static void ForgetLeader(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var node = cluster.Node(arguments.Id("node"));
        arguments.End();
        node.Input(CoreInput.Other, (core, now, outputs) =>
        {
            if (core.Role == RaftRole.Follower && core.Leader is { Value: > 0 } leader)
            {
                core.CanCampaign = false;
                core.PeerDisconnected(leader, now, outputs);
                core.PeerConnected(leader, now, outputs);
                core.CanCampaign = true;
            }
        });
    }

    public static void OpenConnection(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer) =>
        OnConnection(cluster, arguments, (core, peer, now, outputs) => core.PeerConnected(peer, now, outputs));

    public static void CloseConnection(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer) =>
        OnConnection(cluster, arguments, (core, peer, now, outputs) => core.PeerDisconnected(peer, now, outputs));

    /// <summary>Where a proposal went, or why it was refused.</summary>
    public static void WriteProposal(Utf8JsonWriter answer, ProposalResult result)
    {
        if (result.Refusal == RefusalReason.None)
        {
            answer.WriteNumber("index", result.Index.Value);
            answer.WriteNumber("term", result.Term.Value);
        }

        WriteRefusal(answer, result.Refusal);
    }

    private static void WriteRefusal(Utf8JsonWriter answer, RefusalReason refusal)
    {
        if (refusal != RefusalReason.None)
        {
            answer.WriteString("refused", DriveJson.Name(refusal));
        }
    }

    private static void OnConnection(DriveCluster cluster, Arguments arguments, Action<RaftCore, NodeId, long, RaftOutputs> call)
    {
        var node = cluster.Node(arguments.Id("node"));
        var peer = arguments.Id("peer");
        arguments.End();
        node.Input(CoreInput.Other, (core, now, outputs) => call(core, peer, now, outputs));
    }
}
