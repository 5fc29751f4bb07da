namespace Dqlite.Simulation.World;

/// <summary>A set of sectors that remembers the order in which they came; adding and asking are O(1), emptying is O(content).</summary>
internal sealed class SectorSet
{
    private readonly List<int> _sectors = [];
    private ulong[] _bits = [];

    /// <summary>The sectors, in the order in which they came.</summary>
    public List<int> InOrder => _sectors;

    /// <summary>Whether a sector is in it.</summary>
    public bool Contains(int sector) => sector >> 6 < _bits.Length && (_bits[sector >> 6] & (1UL << sector)) != 0;

    /// <summary>Adds a sector.</summary>
    /// <returns>False when it was in it.</returns>
    public bool Add(int sector)
    {
        var word = sector >> 6;
        if (word >= _bits.Length)
        {
            Array.Resize(ref _bits, Math.Max(word + 1, 2 * _bits.Length));
        }

        var bit = 1UL << sector;
        if ((_bits[word] & bit) != 0)
        {
            return false;
        }

        _bits[word] |= bit;
        _sectors.Add(sector);
        return true;
    }

    /// <summary>Removes everything.</summary>
    public void Clear()
    {
        foreach (var sector in _sectors)
        {
            _bits[sector >> 6] = 0;
        }

        _sectors.Clear();
    }
}
