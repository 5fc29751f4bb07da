namespace Dqlite.Simulation.Checking;

/// <summary>One edge of a cycle of transactions.</summary>
internal readonly record struct CycleEdge(int From, int To, Dependency Kind, int Key);

/// <summary>
/// Finds a cycle of the simplest kind, and of that kind a short one. The kinds in order (Adya, "Weak Consistency: A Generalized Theory and Optimistic Implementations", 1999): G0 has only ww
/// edges, G1c also wr, G-single exactly one rw, G2 more. Those that need a session's order or real time to close come last, since they break less.
/// </summary>
internal sealed class CycleSearch
{
    /// <summary>Places at which a search for a shorter cycle begins.</summary>
    private const int MaxStarts = 400;

    private const Dependency Writes = Dependency.WriteWrite;
    private const Dependency Known = Writes | Dependency.WriteRead;

    private readonly DependencyGraph _graph;
    private readonly int[] _distance;
    private readonly int[] _parentEdge;
    private readonly int[] _parent;
    private List<int> _level = [];
    private List<int> _nextLevel = [];

    private CycleSearch(DependencyGraph graph)
    {
        _graph = graph;
        _distance = new int[graph.Nodes];
        _parentEdge = new int[graph.Nodes];
        _parent = new int[graph.Nodes];
    }

    /// <summary>A cycle, or null when the graph has none.</summary>
    public static List<CycleEdge>? Find(DependencyGraph graph)
    {
        var all = Known | Dependency.ReadWrite | Dependency.Session | Dependency.RealTime;
        if (StrongComponents.Find(graph, all).SmallestCyclic.Length == 0)
        {
            return null;
        }

        var search = new CycleSearch(graph);
        return search.Find(0) ?? search.Find(Dependency.Session) ?? search.Find(Dependency.Session | Dependency.RealTime) ??
            throw new InvalidOperationException("A component of several nodes has no cycle.");
    }

    /// <summary>The name of a cycle: Adya's, with what else it needs.</summary>
    public static string Name(List<CycleEdge> cycle)
    {
        var kinds = (Dependency)0;
        var antiDependencies = 0;
        foreach (var edge in cycle)
        {
            kinds |= edge.Kind;
            antiDependencies += edge.Kind == Dependency.ReadWrite ? 1 : 0;
        }

        var name = antiDependencies > 1 ? "G2" : antiDependencies == 1 ? "G-single" : kinds.HasFlag(Dependency.WriteRead) ? "G1c" : "G0";
        return name + (kinds.HasFlag(Dependency.RealTime) ? "-realtime" : kinds.HasFlag(Dependency.Session) ? "-session" : "");
    }

    private List<CycleEdge>? Find(Dependency order) =>
        Shortest(Writes | order) ?? Shortest(Known | order) ?? WithOneAntiDependency(Known | order) ?? Shortest(Known | Dependency.ReadWrite | order);

    private List<CycleEdge>? Shortest(Dependency kinds)
    {
        var components = StrongComponents.Find(_graph, kinds);
        List<CycleEdge>? shortest = null;
        var starts = 0;
        foreach (var node in components.SmallestCyclic)
        {
            if (node < _graph.Transactions && starts++ < MaxStarts && Path(node, node, kinds, components) is { } cycle &&
                !(cycle.Count >= shortest?.Count))
            {
                shortest = cycle;
            }
        }

        return shortest;
    }

    private List<CycleEdge>? WithOneAntiDependency(Dependency kinds)
    {
        var components = StrongComponents.Find(_graph, kinds | Dependency.ReadWrite);
        List<CycleEdge>? shortest = null;
        var starts = 0;
        for (var from = 0; from < _graph.Transactions; from++)
        {
            for (var edge = _graph.Begin(from); edge < _graph.End(from); edge++)
            {
                var to = _graph.Target(edge);
                if (_graph.Kind(edge) == Dependency.ReadWrite && components.Of[from] == components.Of[to] && starts++ < MaxStarts &&
                    Path(to, from, kinds, components, edge) is { } cycle && !(cycle.Count >= shortest?.Count))
                {
                    shortest = cycle;
                }
            }
        }

        return shortest;
    }

    /// <summary>The way with the fewest transactions from one node to another, within a component; behind this first edge, if one is given.</summary>
    private List<CycleEdge>? Path(int from, int to, Dependency kinds, StrongComponents components, int firstEdge = -1)
    {
        Array.Fill(_distance, int.MaxValue);
        _level.Clear();
        Relax(from, 0, kinds, components);
        for (var distance = 0; _level.Count + _nextLevel.Count > 0; distance++)
        {
            while (_level.Count > 0)
            {
                var node = _level[^1];
                _level.RemoveAt(_level.Count - 1);
                if (_distance[node] == distance)
                {
                    Relax(node, distance, kinds, components);
                }
            }

            if (_distance[to] <= distance + 1)
            {
                _nextLevel.Clear();
                return Trace(from, to, firstEdge);
            }

            (_level, _nextLevel) = (_nextLevel, _level);
        }

        return null;
    }

    /// <summary>Goes on from a node: to a transaction is one step further, through a helper none.</summary>
    private void Relax(int node, int distance, Dependency kinds, StrongComponents components)
    {
        for (var edge = _graph.Begin(node); edge < _graph.End(node); edge++)
        {
            var target = _graph.Target(edge);
            var length = distance + (target < _graph.Transactions ? 1 : 0);
            var isAllowed = (_graph.Kind(edge) & (kinds | Dependency.Through)) != 0 && components.Of[target] == components.Of[node];
            if (isAllowed && length < _distance[target])
            {
                _distance[target] = length;
                _parentEdge[target] = edge;
                _parent[target] = node;
                (length == distance ? _level : _nextLevel).Add(target);
            }
        }
    }

    /// <summary>The way that was found, without helper nodes.</summary>
    private List<CycleEdge> Trace(int from, int to, int firstEdge)
    {
        var way = new List<(int Node, int Edge)>();
        var node = to;
        do
        {
            way.Add((_parent[node], _parentEdge[node]));
            node = _parent[node];
        }
        while (node != from);

        if (firstEdge >= 0)
        {
            way.Add((to, firstEdge));
        }

        way.Reverse();
        var cycle = new List<CycleEdge>();
        var begin = way[0];
        foreach (var (at, edge) in way)
        {
            begin = at < _graph.Transactions ? (at, edge) : begin;
            if (_graph.Target(edge) < _graph.Transactions)
            {
                cycle.Add(new CycleEdge(begin.Node, _graph.Target(edge), _graph.Kind(begin.Edge), _graph.Key(begin.Edge)));
            }
        }

        return cycle;
    }
}
