namespace Dqlite.Simulation.Checking;

/// <summary>The operations on registers, grouped by key in one array. Keys are in the order of their first operation.</summary>
internal sealed class KeyGroups
{
    private readonly List<long> _keys = [];
    private readonly int[] _ids;
    private readonly int[] _offsets;

    private KeyGroups(HistoryEntry[] entries)
    {
        var groupOf = new int[entries.Length];
        var sizes = new List<int>();
        var numbers = new Dictionary<long, int>();
        foreach (var entry in entries)
        {
            groupOf[entry.Id] = -1;
            if (entry.Operation.Kind is OperationKind.Read or OperationKind.Write or OperationKind.Cas)
            {
                if (!numbers.TryGetValue(entry.Operation.Key, out var number))
                {
                    number = _keys.Count;
                    numbers.Add(entry.Operation.Key, number);
                    _keys.Add(entry.Operation.Key);
                    sizes.Add(0);
                }

                groupOf[entry.Id] = number;
                sizes[number]++;
                Operations++;
            }
        }

        _offsets = new int[_keys.Count + 1];
        for (var i = 0; i < _keys.Count; i++)
        {
            _offsets[i + 1] = _offsets[i] + sizes[i];
        }

        _ids = new int[Operations];
        Fill(groupOf);
    }

    /// <summary>Keys.</summary>
    public int Count => _keys.Count;

    /// <summary>Operations on registers.</summary>
    public int Operations { get; }

    /// <summary>Groups them.</summary>
    public static KeyGroups Of(HistoryEntry[] entries) => new(entries);

    /// <summary>The key of a group.</summary>
    public long Key(int group) => _keys[group];

    /// <summary>The operations of a group, by id.</summary>
    public ReadOnlySpan<int> Ids(int group) => _ids.AsSpan(_offsets[group].._offsets[group + 1]);

    private void Fill(int[] groupOf)
    {
        var next = _offsets.ToArray();
        for (var id = 0; id < groupOf.Length; id++)
        {
            if (groupOf[id] >= 0)
            {
                _ids[next[groupOf[id]]++] = id;
            }
        }
    }
}
