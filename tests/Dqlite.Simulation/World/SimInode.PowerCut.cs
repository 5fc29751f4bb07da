namespace Dqlite.Simulation.World;

// What a power cut leaves of a file.
internal sealed partial class SimInode
{
    /// <summary>A power cut: each sector that was not synced is in any of the states that it has had since.</summary>
    public void CutPower(SeededRandom random, int keepPercent)
    {
        bool Keeps() => random.Next(100) < keepPercent;
        var isNewLengthKept = HasNewLength && Keeps();
        if (isNewLengthKept)
        {
            CutDurable();
            _durableLength = Length > _durableLength && random.Chance(0.5) ? random.Between(_durableLength, Length) : Length;
        }

        var earlier = EarlierStatesBySector();
        foreach (var sector in _pending.InOrder)
        {
            if (sector * SectorBytes < _durableLength && Keeps())
            {
                KeepOneState(sector, earlier, random, isNewLengthKept || sector * SectorBytes < Length);
            }
        }

        if (_durableLength < _durable.Length)
        {
            _durable.AsSpan(_durableLength).Clear();
        }

        _durableMtimeNs = Keeps() ? MtimeNs : _durableMtimeNs;
        BecomeDurableImage();
    }

    private void KeepOneState(int sector, List<(int Sector, int State)> earlier, SeededRandom random, bool mayBeNewest)
    {
        var first = earlier.BinarySearch((sector, -1));
        first = first < 0 ? ~first : first;
        var count = 0;
        while (first + count < earlier.Count && earlier[first + count].Sector == sector)
        {
            count++;
        }

        var choice = random.Next(count + 1);
        if (choice < count)
        {
            WriteDurable(sector, _earlierBytes, earlier[first + choice].State * SectorBytes);
        }
        else if (mayBeNewest)
        {
            WriteDurable(sector, _content, sector * SectorBytes);
        }
    }

    private List<(int Sector, int State)> EarlierStatesBySector()
    {
        var earlier = new List<(int Sector, int State)>(_earlierSectors.Count);
        for (var i = 0; i < _earlierSectors.Count; i++)
        {
            earlier.Add((_earlierSectors[i], i));
        }

        earlier.Sort();
        return earlier;
    }

    private void BecomeDurableImage()
    {
        Length = _durableLength;
        MtimeNs = _durableMtimeNs;
        _content = (byte[])_durable.Clone();
        OpenCount = 0;
        LockOwner = null;
        Forget();
    }
}
