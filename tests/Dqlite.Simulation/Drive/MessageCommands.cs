using System.Text.Json;
using Dqlite.Raft;

namespace Dqlite.Simulation.Drive;

/// <summary>Commands about the messages under way.</summary>
internal static class MessageCommands
{
    public static void List(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var flights = Choose(cluster, arguments);
        arguments.End();
        answer.WriteStartArray("messages");
        foreach (var flight in flights)
        {
            DriveJson.WriteFlight(answer, flight);
        }

        answer.WriteEndArray();
    }

    public static void Deliver(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        foreach (var receiver in arguments.IdsOrNull("to") ?? [])
        {
            cluster.Node(receiver);
        }

        var flights = Choose(cluster, arguments).Where(flight => cluster.Contains(flight.Message.To)).ToArray();
        var isReversed = arguments.Flag("reverse");
        var keep = arguments.Flag("keep");
        arguments.End();
        var delivered = (isReversed ? flights.Reverse() : flights).Count(flight => cluster.TryDeliver(flight, keep));
        answer.WriteNumber("delivered", delivered);
        answer.WriteNumber("lost", flights.Length - delivered);
    }

    public static void Drop(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var flights = Choose(cluster, arguments);
        arguments.End();
        DropAll(cluster, flights, answer);
    }

    public static void Stabilize(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var nodes = cluster.Select(arguments.IdsOrNull("nodes"));
        var persist = arguments.Flag("persist", otherwise: true);
        var ticks = arguments.Count("ticks", otherwise: 0);
        arguments.End();
        var delivered = cluster.Stabilize(nodes, persist);
        for (var i = 0; i < ticks; i++)
        {
            cluster.Tick(nodes, mayCampaign: true);
            delivered += cluster.Stabilize(nodes, persist);
        }

        answer.WriteNumber("delivered", delivered);
    }

    public static void Isolate(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var links = LinksOf(cluster, arguments);
        arguments.End();
        foreach (var (from, to) in links)
        {
            cluster.Network.Cut(from, to);
        }

        DropAll(cluster, [.. cluster.Network.Flights.Where(flight => cluster.Network.IsCut(flight.Message))], answer);
    }

    public static void Heal(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        if (arguments.Has("nodes") | arguments.Has("from") | arguments.Has("to"))
        {
            var links = LinksOf(cluster, arguments);
            arguments.End();
            cluster.Network.Mend(links.Contains);
        }
        else
        {
            arguments.End();
            cluster.Network.Mend(_ => true);
        }
    }

    /// <summary>The links between the named nodes and all others, both ways; or those from some nodes to others, one way.</summary>
    private static List<(NodeId From, NodeId To)> LinksOf(DriveCluster cluster, Arguments arguments)
    {
        if (arguments.IdsOrNull("nodes") is { } side)
        {
            var inside = cluster.Select(side).Select(node => node.Id).ToArray();
            var outside = cluster.Nodes.Select(node => node.Id).Except(inside).ToArray();
            return [.. inside.SelectMany(a => outside.SelectMany(b => new[] { (a, b), (b, a) }))];
        }

        var from = cluster.Select(arguments.IdsOrNull("from"));
        var to = cluster.Select(arguments.IdsOrNull("to"));
        return [.. from.SelectMany(a => to.Where(b => b.Id != a.Id).Select(b => (a.Id, b.Id)))];
    }

    private static void DropAll(DriveCluster cluster, IReadOnlyList<Flight> flights, Utf8JsonWriter answer)
    {
        foreach (var flight in flights)
        {
            cluster.Drop(flight);
        }

        answer.WriteNumber("dropped", flights.Count);
    }

    /// <summary>The messages that a command names, in the order of sending, or in the order of the numbers that it gives.</summary>
    private static Flight[] Choose(DriveCluster cluster, Arguments arguments)
    {
        var from = arguments.IdsOrNull("from");
        var to = arguments.IdsOrNull("to");
        var types = arguments.TextsOrNull("type");
        var numbers = arguments.NumbersOrNull("numbers");
        var nth = arguments.NumberOrNull("nth", least: 1);
        var count = arguments.NumberOrNull("count");
        if (types?.FirstOrDefault(type => !DriveMessage.Types.Contains(type)) is { } unknown)
        {
            throw new DriveException($"Message type \"{unknown}\" is unknown; there are {string.Join(", ", DriveMessage.Types)}.");
        }

        var chosen = (numbers is null ? cluster.Network.Flights : InOrder(cluster, numbers))
            .Where(flight => from?.Contains(flight.Message.From) != false && to?.Contains(flight.Message.To) != false
                && types?.Contains(flight.Message.Type) != false);
        chosen = nth is { } position ? chosen.Skip((int)position - 1).Take(1) : chosen;
        return [.. count is { } most ? chosen.Take((int)most) : chosen];
    }

    private static IEnumerable<Flight> InOrder(DriveCluster cluster, IReadOnlyList<long> numbers) =>
        numbers.Select(number => cluster.Network.Flights.FirstOrDefault(flight => flight.Number == number)
            ?? throw new DriveException($"Message {number} is not under way."));
}
