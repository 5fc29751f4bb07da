namespace Dqlite.Simulation.Checking;

/// <summary>Why one transaction has to come before another.</summary>
[Flags]
internal enum Dependency : byte
{
    /// <summary>It appended just before the other did.</summary>
    WriteWrite = 1,

    /// <summary>The other read its append.</summary>
    WriteRead = 2,

    /// <summary>It read what the other's append made old (anti-dependency).</summary>
    ReadWrite = 4,

    /// <summary>The same client did it before, and the other asked for its session's order.</summary>
    Session = 8,

    /// <summary>It completed before the other was invoked.</summary>
    RealTime = 16,

    /// <summary>The rest of a way through a helper node; its first edge says what it means.</summary>
    Through = 32,
}

/// <summary>
/// A graph of transactions, numbered from 0, and of helper nodes behind them, through which many edges share their way. Edges are added first,
/// then <see cref="Freeze"/> sorts them by their source.
/// </summary>
internal sealed class DependencyGraph(int transactions)
{
    private readonly List<(int From, int To, Dependency Kind, int Key)> _added = [];
    private int[] _offsets = [];
    private int[] _targets = [];
    private Dependency[] _kinds = [];
    private int[] _keys = [];

    /// <summary>Transactions.</summary>
    public int Transactions { get; } = transactions;

    /// <summary>Transactions and helper nodes.</summary>
    public int Nodes { get; private set; } = transactions;

    /// <summary>A new helper node.</summary>
    public int AddHelper() => Nodes++;

    /// <summary>A new edge; the key is what it is about, or -1.</summary>
    public void Add(int from, int to, Dependency kind, int key = -1) => _added.Add((from, to, kind, key));

    /// <summary>Ends the adding of edges.</summary>
    public void Freeze()
    {
        _offsets = new int[Nodes + 1];
        foreach (var edge in _added)
        {
            _offsets[edge.From + 1]++;
        }

        for (var i = 0; i < Nodes; i++)
        {
            _offsets[i + 1] += _offsets[i];
        }

        _targets = new int[_added.Count];
        _kinds = new Dependency[_added.Count];
        _keys = new int[_added.Count];
        var next = _offsets.AsSpan(0, Nodes).ToArray();
        foreach (var edge in _added)
        {
            var place = next[edge.From]++;
            _targets[place] = edge.To;
            _kinds[place] = edge.Kind;
            _keys[place] = edge.Key;
        }
    }

    /// <summary>The first edge of a node; the last one lies before <see cref="End"/>.</summary>
    public int Begin(int node) => _offsets[node];

    /// <summary>Behind the last edge of a node.</summary>
    public int End(int node) => _offsets[node + 1];

    /// <summary>Where an edge leads.</summary>
    public int Target(int edge) => _targets[edge];

    /// <summary>What an edge means.</summary>
    public Dependency Kind(int edge) => _kinds[edge];

    /// <summary>The key that an edge is about, or -1.</summary>
    public int Key(int edge) => _keys[edge];
}
