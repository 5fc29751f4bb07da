using System.Text.Json;
using Dqlite.Raft;
using Dqlite.Simulation.Tracing;

namespace Dqlite.Simulation.Drive;

/// <summary>The command <c>changeConfiguration</c>.</summary>
internal static class MembershipCommand
{
    public static void Run(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var node = cluster.Node(arguments.Id("node"));
        var now = node.Core.Configuration;
        ClusterConfiguration?[] asked =
        [
            With(now, arguments.IdOrNull("addVoter"), MemberRole.Voter),
            With(now, arguments.IdOrNull("addNonVoter"), MemberRole.NonVoter),
            With(now, arguments.IdOrNull("promote"), MemberRole.Voter),
            With(now, arguments.IdOrNull("demote"), MemberRole.NonVoter),
            arguments.IdOrNull("remove") is { } removed ? now.Without(removed) : null,
            arguments.Has("voters") | arguments.Has("nonVoters") ? AddCommand.MembersOf(arguments) : null,
        ];
        arguments.End();
        var next = asked.OfType<ClusterConfiguration>().ToArray();
        if (next.Length != 1)
        {
            throw new DriveException($"{arguments.What} needs one of addVoter, addNonVoter, promote, demote, remove, or the whole membership.");
        }

        NodeCommands.WriteProposal(
            answer,
            node.Input(CoreInput.Other, (core, time, outputs) => core.ProposeConfiguration(next[0], time, outputs)));
    }

    private static ClusterConfiguration? With(ClusterConfiguration members, NodeId? id, MemberRole role) =>
        id is { } member ? members.With(AddCommand.Member(member, role)) : null;
}
