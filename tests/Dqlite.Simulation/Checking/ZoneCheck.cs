using static Dqlite.Simulation.Checking.KeyHistory;

namespace Dqlite.Simulation.Checking;

/// <summary>
/// Linearizability of a register whose written values are unique, in the time of a sort (Gibbons and Korach, "Testing shared memories", 1997;
/// cas is our addition). A value together with the reads that found it is one block of the linear order, and so is a chain of values each of which
/// a cas made of the one before. With F the first completion and S the last invocation of a block's operations:
///
///   F &lt; S   a forward zone: the block has to cover all of [F, S]
///   S &lt; F   a backward zone: all operations overlap, the block fits on any point of [S, F]
///
/// There is an order exactly when no operation completes before one that its block puts in front of it was invoked, forward zones do not overlap,
/// and no backward zone lies inside a forward one. Uncertain writes take part when someone found their value, and only then.
/// </summary>
internal sealed class ZoneCheck
{
    private readonly KeyHistory _key;
    private readonly int[] _creator;
    private readonly int[] _taker;
    private readonly int[] _firstReadFinish;
    private readonly int[] _lastReadStart;
    private readonly bool[] _isIncluded;
    private readonly bool[] _isPlaced;
    private readonly List<Zone> _forward = [];
    private readonly List<Zone> _backward = [];

    private ZoneCheck(KeyHistory key)
    {
        _key = key;
        _creator = Nothing(key.Values);
        _taker = Nothing(key.Values);
        _firstReadFinish = Nothing(key.Values);
        _lastReadStart = Nothing(key.Values);
        _isIncluded = new bool[key.Count];
        _isPlaced = new bool[key.Count];
    }

    /// <summary>Why there is no linear order; null when there is one.</summary>
    public static RegisterFault? Run(KeyHistory key)
    {
        var check = new ZoneCheck(key);
        return check.FindBlocks() ?? check.MakeZones() ?? check.CompareZones();
    }

    private static int[] Nothing(int count)
    {
        var array = new int[count];
        Array.Fill(array, None);
        return array;
    }

    /// <summary>Who made each value, who took it by a cas, and which of its reads ended first and began last.</summary>
    private RegisterFault? FindBlocks()
    {
        for (var operation = 0; operation < _key.Count; operation++)
        {
            if (_key.Written[operation] != None)
            {
                _creator[_key.Written[operation]] = operation;
            }
        }

        for (var operation = 0; operation < _key.Count; operation++)
        {
            if (_key.Finish[operation] != Timeline.Never && Include(operation) is { } fault)
            {
                return fault;
            }
        }

        return null;
    }

    /// <summary>An operation took effect; so did the one whose value it found, and so on.</summary>
    private RegisterFault? Include(int operation)
    {
        while (!_isIncluded[operation])
        {
            _isIncluded[operation] = true;
            var value = _key.Observed[operation];
            if (value == None)
            {
                return null;
            }

            if (_key.Written[operation] == None)
            {
                IncludeRead(operation, value);
            }
            else if (_taker[value] != None)
            {
                return new RegisterFault("double-cas", operation, $"two cas found {Text(value)}, which was written once", _taker[value]);
            }
            else
            {
                _taker[value] = operation;
            }

            if (value == Initial)
            {
                return null;
            }

            if (_creator[value] == None)
            {
                return new RegisterFault("never-written", operation, $"{Text(value)} was found, which no operation that may have taken effect wrote");
            }

            operation = _creator[value];
        }

        return null;
    }

    private void IncludeRead(int operation, int value)
    {
        var first = _firstReadFinish[value];
        if (first == None || _key.Finish[operation] < _key.Finish[first])
        {
            _firstReadFinish[value] = operation;
        }

        var last = _lastReadStart[value];
        if (last == None || _key.Start[operation] > _key.Start[last])
        {
            _lastReadStart[value] = operation;
        }
    }

    private RegisterFault? MakeZones()
    {
        if (FollowChain(Initial, None) is { } initialFault)
        {
            return initialFault;
        }

        for (var operation = 0; operation < _key.Count; operation++)
        {
            var isRoot = _isIncluded[operation] && _key.Written[operation] != None && _key.Observed[operation] == None;
            if (isRoot && FollowChain(_key.Written[operation], operation) is { } fault)
            {
                return fault;
            }
        }

        return FindCircle();
    }

    /// <summary>The zone of a value and of those that cas made of it, one after the other.</summary>
    private RegisterFault? FollowChain(int value, int creator)
    {
        var zone = new Zone(value == Initial ? -1 : Timeline.Never, None, -1, None);
        while (true)
        {
            if (creator != None)
            {
                _isPlaced[creator] = true;
                if (Extend(ref zone, creator, creator) is { } fault)
                {
                    return fault;
                }
            }

            if (_firstReadFinish[value] != None && Extend(ref zone, _firstReadFinish[value], _lastReadStart[value]) is { } readFault)
            {
                return readFault;
            }

            creator = _taker[value];
            if (creator == None)
            {
                break;
            }

            value = _key.Written[creator];
        }

        if (zone.FirstFinish < zone.LastStart)
        {
            _forward.Add(zone);
        }
        else if (zone.Finisher != None)
        {
            _backward.Add(zone);
        }

        return null;
    }

    /// <summary>Adds the next step of a chain: a creator, or all reads of a value by the one that ended first and the one that began last.</summary>
    private RegisterFault? Extend(ref Zone zone, int finisher, int starter)
    {
        var finish = _key.Finish[finisher];
        if (finish < zone.LastStart)
        {
            return OutOfOrder(finisher, zone.Starter);
        }

        if (finish < zone.FirstFinish)
        {
            zone = zone with { FirstFinish = finish, Finisher = finisher };
        }

        if (_key.Start[starter] > zone.LastStart)
        {
            zone = zone with { LastStart = _key.Start[starter], Starter = starter };
        }

        return null;
    }

    /// <summary>An operation completed before one was invoked that its chain puts in front of it.</summary>
    private RegisterFault OutOfOrder(int completed, int invoked)
    {
        if (_key.Written[invoked] == None)
        {
            return new RegisterFault("stale-read", invoked, $"{Text(_key.Observed[invoked])} was found, which a cas had replaced before", completed);
        }

        var found = $"{Text(_key.Observed[completed])} was found before the write of {Text(_key.Written[invoked])}";
        var made = _key.Observed[completed] == _key.Written[invoked] ? "" : ", which it was made from,";
        return new RegisterFault("future-read", completed, $"{found}{made} was invoked", invoked);
    }

    /// <summary>A cas whose chain has no beginning: each found what another of them was still to write.</summary>
    private RegisterFault? FindCircle()
    {
        for (var operation = 0; operation < _key.Count; operation++)
        {
            if (_isIncluded[operation] && _key.Written[operation] != None && !_isPlaced[operation])
            {
                var next = _taker[_key.Written[operation]];
                return new RegisterFault("cyclic-cas", operation, "cas operations found each other's values in a circle", next);
            }
        }

        return null;
    }

    /// <summary>Since forward zones do not overlap, only the last one that begins below a backward zone can reach beyond it.</summary>
    private RegisterFault? CompareZones()
    {
        _forward.Sort((a, b) => a.FirstFinish.CompareTo(b.FirstFinish));
        for (var i = 1; i < _forward.Count; i++)
        {
            if (_forward[i].FirstFinish < _forward[i - 1].LastStart)
            {
                return Conflict(_forward[i - 1], _forward[i]);
            }
        }

        _backward.Sort((a, b) => a.LastStart.CompareTo(b.LastStart));
        var around = -1;
        foreach (var zone in _backward)
        {
            while (around + 1 < _forward.Count && _forward[around + 1].FirstFinish < zone.LastStart)
            {
                around++;
            }

            if (around >= 0 && zone.FirstFinish < _forward[around].LastStart)
            {
                return Conflict(_forward[around], zone);
            }
        }

        return null;
    }

    /// <summary>The register would have had to hold the values of two blocks at once. What completes the contradiction is the later invocation.</summary>
    private RegisterFault Conflict(Zone outer, Zone other)
    {
        var culprit = other.FirstFinish < other.LastStart && other.LastStart > outer.LastStart ? other.Starter : outer.Starter;
        var inBetween = culprit == outer.Starter ? other : outer;
        var before = culprit == outer.Starter ? outer.Finisher : other.Finisher;
        var name = _key.Written[culprit] == None ? "stale-read" : "stale-cas";
        var reason = $"{Text(_key.Observed[culprit])} was found, which had been replaced by {Text(Value(inBetween.Finisher))} before";
        return new RegisterFault(name, culprit, reason, before, inBetween.Finisher, inBetween.Starter);
    }

    /// <summary>The value that the register holds after an operation.</summary>
    private int Value(int operation) => operation == None ? Initial : _key.Written[operation] != None ? _key.Written[operation] : _key.Observed[operation];

    private string Text(int value) => HistoryText.Value(_key.Value(value));

    /// <summary>What a block demands: the first completion and the last invocation, and whose they are.</summary>
    private readonly record struct Zone(int FirstFinish, int Finisher, int LastStart, int Starter);
}
