namespace Dqlite.Raft;

/// <summary>
/// The memberships that the log may still fall back to: one for the state before the log, then one per configuration entry. The last
/// one is in force as soon as it is in the log, committed or not (dissertation section 4.1); a truncation rolls back (R23, R25).
/// </summary>
internal sealed class ConfigurationHistory
{
    private readonly List<(LogIndex Index, ClusterConfiguration Configuration)> _items;

    public ConfigurationHistory(LogIndex index, ClusterConfiguration configuration) => _items = [(index, configuration)];

    public ClusterConfiguration Current => _items[^1].Configuration;

    public LogIndex CurrentIndex => _items[^1].Index;

    /// <summary>The one before the one in force, while the log could still fall back to it.</summary>
    public ClusterConfiguration? Previous => _items.Count > 1 ? _items[^2].Configuration : null;

#if MUTANTS
    /// <summary>R25: the last one that is committed.</summary>
    public ClusterConfiguration CommittedAt(LogIndex commit) => (_items.FindLast(item => item.Index <= commit).Configuration) ?? _items[0].Configuration;
#endif

    public void Append(LogIndex index, ClusterConfiguration configuration)
    {
        Invariant.Check(index > CurrentIndex, $"configuration entry {index} is not behind the one at {CurrentIndex}");
        _items.Add((index, configuration));
    }

    /// <summary>Returns whether another one is in force now.</summary>
    public bool TruncateFrom(LogIndex index)
    {
#if MUTANTS
        if (Mutant.Is("R23"))
        {
            return false;
        }
#endif
        var count = _items.Count;
        while (_items.Count > 1 && CurrentIndex >= index)
        {
            _items.RemoveAt(_items.Count - 1);
        }

        return _items.Count != count;
    }

    /// <summary>Forgets those that no truncation can bring back.</summary>
    public void Compact(LogIndex upTo)
    {
        while (_items.Count > 1 && _items[1].Index <= upTo)
        {
            _items.RemoveAt(0);
        }
    }

    public void Replace(LogIndex index, ClusterConfiguration configuration)
    {
        _items.Clear();
        _items.Add((index, configuration));
    }
}
