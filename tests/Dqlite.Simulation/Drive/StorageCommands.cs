using System.Text.Json;
using Dqlite.Raft;

namespace Dqlite.Simulation.Drive;

/// <summary>Commands about what nodes write and keep.</summary>
internal static class StorageCommands
{
    public static void Process(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var nodes = cluster.Select(arguments.IdsOrNull("nodes"));
        arguments.End();
        foreach (var node in nodes)
        {
            node.Process(node.AutoPersist);
        }
    }

    public static void Persist(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var nodes = cluster.Select(arguments.IdsOrNull("nodes"));
        var count = arguments.Count("count", otherwise: int.MaxValue, most: int.MaxValue);
        var mode = arguments.ChoiceOrNull("what", "all", "hardState") == "hardState" ? PersistMode.HardState : PersistMode.Everything;
        arguments.End();
        var persisted = 0;
        foreach (var node in nodes)
        {
            for (var i = 0; i < count && node.PersistNext(mode); i++)
            {
                persisted++;
            }

            if (node.AutoProcess)
            {
                node.Process(PersistMode.Nothing);
            }
        }

        answer.WriteNumber("persisted", persisted);
    }

    public static void Crash(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var (node, stop) = StopOf(cluster, arguments);
        arguments.End();
        RequireUp(node);
        stop();
    }

    public static void Restart(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var (node, stop) = StopOf(cluster, arguments);
        var isWiped = arguments.Flag("wipe");
        arguments.End();
        if (node.IsUp)
        {
            stop();
        }

        if (isWiped)
        {
            node.Wipe();
        }

        node.Start();
    }

    public static void Compact(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var node = cluster.Node(arguments.Id("node"));
        var upTo = new LogIndex(arguments.Number("upTo"));
        arguments.End();
        RequireUp(node);
        if (upTo > node.Applied)
        {
            throw new DriveException($"Node {node.Id} has applied {node.Applied}; it cannot compact up to {upTo}.");
        }

        node.Compact(upTo);
    }

    public static void Snapshot(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var node = cluster.Node(arguments.Id("from"));
        var to = cluster.Node(arguments.Id("to"));
        arguments.End();
        RequireUp(node);
        if (node == to || node.Applied == LogIndex.Zero)
        {
            throw new DriveException($"Node {node.Id} has no state to send to node {to.Id}.");
        }

        node.SendSnapshot(to.Id);
        if (node.AutoProcess)
        {
            node.Process(node.AutoPersist);
        }
    }

    private static (DriveNode Node, Action Stop) StopOf(DriveCluster cluster, Arguments arguments)
    {
        var node = cluster.Node(arguments.Id("node"));
        var keptWrites = arguments.Count("keepWrites", otherwise: 0);
        var keepCommit = !arguments.Flag("forgetCommit");
        return (node, () => node.Crash(keptWrites, keepCommit));
    }

    private static void RequireUp(DriveNode node)
    {
        if (!node.IsUp)
        {
            throw new DriveException($"Node {node.Id} is down.");
        }
    }
}
