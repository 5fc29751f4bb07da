using Dqlite.Raft;

namespace Dqlite.Simulation.Drive;

/// <summary>The messages under way, in the order in which they were sent, and the links that are cut.</summary>
internal sealed class DriveNetwork
{
    private readonly List<Flight> _flights = [];
    private readonly SortedSet<(NodeId From, NodeId To)> _cuts = new(Comparer<(NodeId From, NodeId To)>.Create(Compare));
    private long _sent;

    /// <summary>The messages under way.</summary>
    public IReadOnlyList<Flight> Flights => _flights;

    /// <summary>Takes a message; returns false when its link is cut and it is lost.</summary>
    public bool TrySend(DriveMessage message)
    {
        _sent++;
        if (_cuts.Contains((message.From, message.To)))
        {
            return false;
        }

        _flights.Add(new Flight(_sent, message));
        return true;
    }

    /// <summary>Takes a message out.</summary>
    public void Remove(Flight flight) => _flights.Remove(flight);

    /// <summary>Cuts one direction of a link. What is under way on it stays for the caller to drop.</summary>
    public void Cut(NodeId from, NodeId to) => _cuts.Add((from, to));

    /// <summary>Mends all links that the condition names.</summary>
    public void Mend(Predicate<(NodeId From, NodeId To)> condition) => _cuts.RemoveWhere(condition);

    /// <summary>Whether this direction of a link is cut.</summary>
    public bool IsCut(DriveMessage message) => _cuts.Contains((message.From, message.To));

    private static int Compare((NodeId From, NodeId To) left, (NodeId From, NodeId To) right) =>
        left.From == right.From ? left.To.CompareTo(right.To) : left.From.CompareTo(right.From);
}
