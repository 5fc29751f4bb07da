namespace Dqlite.Simulation.Checking;

/// <summary>
/// The strongly connected components of a dependency graph, looking only at edges of some kinds (Tarjan, "Depth-first search and linear graph
/// algorithms", 1972), without recursion. A component with more than one node holds a cycle; no node has an edge to itself.
/// </summary>
internal sealed class StrongComponents
{
    private readonly DependencyGraph _graph;
    private readonly Dependency _kinds;
    private readonly int[] _visited;
    private readonly int[] _low;
    private readonly int[] _nextEdge;
    private readonly int[] _path;
    private readonly int[] _unassigned;
    private int _pathLength;
    private int _unassignedCount;
    private int _visits;
    private int _components;

    private StrongComponents(DependencyGraph graph, Dependency kinds)
    {
        _graph = graph;
        _kinds = kinds | Dependency.Through;
        _visited = new int[graph.Nodes];
        _low = new int[graph.Nodes];
        _nextEdge = new int[graph.Nodes];
        _path = new int[graph.Nodes];
        _unassigned = new int[graph.Nodes];
        Of = new int[graph.Nodes];
    }

    /// <summary>By node: its component, from 1.</summary>
    public int[] Of { get; }

    /// <summary>The nodes of the smallest component that holds a cycle; empty when there is none.</summary>
    public int[] SmallestCyclic { get; private set; } = [];

    /// <summary>Finds them.</summary>
    public static StrongComponents Find(DependencyGraph graph, Dependency kinds)
    {
        var components = new StrongComponents(graph, kinds);
        for (var node = 0; node < graph.Nodes; node++)
        {
            if (components._visited[node] == 0)
            {
                components.Explore(node);
            }
        }

        return components;
    }

    private void Explore(int root)
    {
        Enter(root);
        while (_pathLength > 0)
        {
            var node = _path[_pathLength - 1];
            if (_nextEdge[node] < _graph.End(node))
            {
                Follow(node, _nextEdge[node]++);
                continue;
            }

            _pathLength--;
            if (_pathLength > 0)
            {
                var parent = _path[_pathLength - 1];
                _low[parent] = Math.Min(_low[parent], _low[node]);
            }

            if (_low[node] == _visited[node])
            {
                Assign(node);
            }
        }
    }

    private void Enter(int node)
    {
        _visited[node] = _low[node] = ++_visits;
        _nextEdge[node] = _graph.Begin(node);
        _path[_pathLength++] = node;
        _unassigned[_unassignedCount++] = node;
    }

    private void Follow(int node, int edge)
    {
        if ((_graph.Kind(edge) & _kinds) == 0)
        {
            return;
        }

        var target = _graph.Target(edge);
        if (_visited[target] == 0)
        {
            Enter(target);
        }
        else if (Of[target] == 0)
        {
            _low[node] = Math.Min(_low[node], _visited[target]);
        }
    }

    private void Assign(int root)
    {
        _components++;
        var last = _unassignedCount;
        int node;
        do
        {
            node = _unassigned[--_unassignedCount];
            Of[node] = _components;
        }
        while (node != root);

        var size = last - _unassignedCount;
        if (size > 1 && (SmallestCyclic.Length == 0 || size < SmallestCyclic.Length))
        {
            SmallestCyclic = _unassigned.AsSpan(_unassignedCount, size).ToArray();
        }
    }
}
