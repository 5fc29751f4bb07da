namespace Dqlite.Simulation.Checking;

/// <summary>
/// A set of configurations: the state of a register and the open operations that have taken effect, as bits. Kept in one flat array in the order
/// in which they were added, so that it is its own work list, with an open-addressing table over it.
/// </summary>
internal sealed class ConfigurationSet(int words)
{
    private readonly int _stride = words + 1;
    private ulong[] _items = new ulong[64 * (words + 1)];

    /// <summary>By slot: the generation and the index. Slots of an earlier generation are free, so that clearing costs nothing.</summary>
    private (int Generation, int Index)[] _table = new (int, int)[256];
    private int _generation = 1;

    /// <summary>Configurations.</summary>
    public int Count { get; private set; }

    /// <summary>A configuration: the state, then the bits. Valid until the next call of <see cref="Add"/>.</summary>
    public ReadOnlySpan<ulong> this[int index] => _items.AsSpan(index * _stride, _stride);

    /// <summary>Adds one; nothing happens when it is there already.</summary>
    public void Add(ReadOnlySpan<ulong> configuration)
    {
        if ((Count + 1) * 2 > _table.Length)
        {
            Grow();
        }

        var slot = FindSlot(configuration);
        if (_table[slot].Generation == _generation)
        {
            return;
        }

        if ((Count + 1) * _stride > _items.Length)
        {
            Array.Resize(ref _items, _items.Length * 2);
        }

        configuration.CopyTo(_items.AsSpan(Count * _stride));
        _table[slot] = (_generation, Count++);
    }

    /// <summary>Removes all.</summary>
    public void Clear()
    {
        _generation++;
        Count = 0;
    }

    private void Grow()
    {
        _table = new (int, int)[_table.Length * 2];
        for (var i = 0; i < Count; i++)
        {
            _table[FindSlot(this[i])] = (_generation, i);
        }
    }

    /// <summary>The slot of this configuration, or the free one where it belongs.</summary>
    private int FindSlot(ReadOnlySpan<ulong> configuration)
    {
        var hash = 0UL;
        foreach (var word in configuration)
        {
            hash = (hash ^ word) * 0x9E3779B97F4A7C15UL;
            hash ^= hash >> 32;
        }

        var mask = _table.Length - 1;
        var slot = (int)(hash & (ulong)mask);
        while (_table[slot].Generation == _generation && !this[_table[slot].Index].SequenceEqual(configuration))
        {
            slot = (slot + 1) & mask;
        }

        return slot;
    }
}
