using static Dqlite.Simulation.Checking.KeyHistory;

namespace Dqlite.Simulation.Checking;

/// <summary>
/// Linearizability of a register by search, for histories that write a value more than once: Wing and Gong's tree ("Testing and verifying
/// concurrent objects", 1993), with configurations kept once and just-in-time linearization (Lowe, "Testing for linearizability", 2017).
///
/// It goes from completion to completion with the set of configurations (value, which open operations have taken effect) that are possible there.
/// An operation takes effect only when a completion asks for it: other operations before it, as far as one of the orders needs them. Reads take
/// effect as soon as they can, which loses nothing. Uncertain writes stay open for ever. Weak reads are left out: they are judged only where the
/// values are unique.
/// </summary>
internal sealed class LinearizationSearch
{
    /// <summary>Values that a failure lists.</summary>
    private const int MaxListedValues = 8;

    private readonly KeyHistory _key;
    private readonly long _maxConfigurations;
    private readonly int[] _events;
    private readonly int[] _slotOf;
    private readonly List<int> _open = [];
    private readonly Stack<int> _freeSlots = new();
    private readonly ulong[] _scratch;
    private ConfigurationSet _current;
    private ConfigurationSet _next;
    private readonly ConfigurationSet _seen;
    private int _slots;

    private LinearizationSearch(KeyHistory key, long maxConfigurations)
    {
        _key = key;
        _maxConfigurations = maxConfigurations;
        _slotOf = new int[key.Count];
        _events = Events(key);
        var words = (CountSlots(_events) + 63) / 64;
        _scratch = new ulong[words + 1];
        _current = new ConfigurationSet(words);
        _next = new ConfigurationSet(words);
        _seen = new ConfigurationSet(words);
    }

    /// <summary>Configurations that were visited.</summary>
    public long Visited { get; private set; }

    /// <summary>The search ended at its bound: nothing is known.</summary>
    public bool GaveUp => Visited > _maxConfigurations || _seen.Count > _maxConfigurations;

    /// <summary>Why there is no linear order; null when there is one, or when the search gave up.</summary>
    public RegisterFault? Fault { get; private set; }

    /// <summary>Searches.</summary>
    public static LinearizationSearch Run(KeyHistory key, long maxConfigurations)
    {
        var search = new LinearizationSearch(key, maxConfigurations);
        search.Search();
        return search;
    }

    /// <summary>The invocations and completions of one key in order: twice the operation, plus one for its completion.</summary>
    private static int[] Events(KeyHistory key)
    {
        var places = new List<int>(2 * key.Count);
        var events = new List<int>(2 * key.Count);
        for (var operation = 0; operation < key.Count; operation++)
        {
            if (key.Start[operation] < 0)
            {
                continue;
            }

            places.Add(key.Start[operation]);
            events.Add(operation << 1);
            if (key.Finish[operation] != Timeline.Never)
            {
                places.Add(key.Finish[operation]);
                events.Add((operation << 1) | 1);
            }
        }

        var sorted = events.ToArray();
        Array.Sort(places.ToArray(), sorted);
        return sorted;
    }

    /// <summary>The most operations that are open at once.</summary>
    private static int CountSlots(int[] events)
    {
        var open = 0;
        var most = 0;
        foreach (var at in events)
        {
            open += (at & 1) == 0 ? 1 : -1;
            most = Math.Max(most, open);
        }

        return most;
    }

    private void Search()
    {
        _scratch.AsSpan().Clear();
        _current.Add(_scratch);
        foreach (var at in _events)
        {
            var operation = at >> 1;
            if ((at & 1) == 0)
            {
                _slotOf[operation] = _freeSlots.TryPop(out var free) ? free : _slots++;
                _open.Add(operation);
                continue;
            }

            if (!Complete(operation))
            {
                return;
            }

            _open.Remove(operation);
            _freeSlots.Push(_slotOf[operation]);
        }
    }

    /// <summary>Goes to the configurations in which an operation that completes here has taken effect; false when the search is over.</summary>
    private bool Complete(int completed)
    {
        _seen.Clear();
        _next.Clear();
        for (var i = 0; i < _current.Count; i++)
        {
            _current[i].CopyTo(_scratch);
            AddSeen();
        }

        for (var i = 0; i < _seen.Count && !GaveUp; i++)
        {
            Visited++;
            if (Has(_seen[i], completed))
            {
                _seen[i].CopyTo(_scratch);
                Flip(completed);
                _next.Add(_scratch);
            }
            else
            {
                Expand(i);
            }
        }

        if (GaveUp)
        {
            return false;
        }

        if (_next.Count == 0)
        {
            Fault = Failure(completed);
            return false;
        }

        (_current, _next) = (_next, _current);
        return true;
    }

    /// <summary>Every open write or cas that can take effect next.</summary>
    private void Expand(int index)
    {
        for (var i = 0; i < _open.Count; i++)
        {
            var operation = _open[i];
            var observed = _key.Observed[operation];
            var configuration = _seen[index];
            var fits = observed == None || observed == (int)configuration[0];
            if (fits && _key.Written[operation] != None && !Has(configuration, operation) && (!IsUncertain(operation) || IsUseful(configuration, i)))
            {
                configuration.CopyTo(_scratch);
                _scratch[0] = (ulong)_key.Written[operation];
                Flip(operation);
                AddSeen();
            }
        }
    }

    /// <summary>
    /// An uncertain operation may wait as long as nobody finds its value; and of those that do the same, which are interchangeable, the one that was
    /// invoked first goes first.
    /// </summary>
    private bool IsUseful(ReadOnlySpan<ulong> configuration, int index)
    {
        var operation = _open[index];
        var isObserved = false;
        for (var i = 0; i < _open.Count; i++)
        {
            var other = _open[i];
            var isTwin = i < index && _key.Written[other] == _key.Written[operation] && _key.Observed[other] == _key.Observed[operation];
            if (isTwin && IsUncertain(other) && !Has(configuration, other))
            {
                return false;
            }

            isObserved |= _key.Observed[other] == _key.Written[operation] && !Has(configuration, other);
        }

        return isObserved;
    }

    private bool IsUncertain(int operation) => _key.Finish[operation] == Timeline.Never;

    /// <summary>Adds the scratch configuration, after all open reads that find their value in it.</summary>
    private void AddSeen()
    {
        foreach (var operation in _open)
        {
            if (_key.Written[operation] == None && _key.Observed[operation] == (int)_scratch[0] && !Has(_scratch, operation))
            {
                Flip(operation);
            }
        }

        _seen.Add(_scratch);
    }

    private bool Has(ReadOnlySpan<ulong> configuration, int operation) =>
        (configuration[1 + (_slotOf[operation] >> 6)] >> (_slotOf[operation] & 63) & 1) != 0;

    private void Flip(int operation) => _scratch[1 + (_slotOf[operation] >> 6)] ^= 1UL << (_slotOf[operation] & 63);

    /// <summary>Only reads and cas come here: a write fits everywhere.</summary>
    private RegisterFault Failure(int operation)
    {
        var values = new SortedSet<int>();
        for (var i = 0; i < _current.Count && values.Count < MaxListedValues; i++)
        {
            values.Add((int)_current[i][0]);
        }

        var held = string.Join(" or ", values.Select(value => HistoryText.Value(_key.Value(value))));
        var found = HistoryText.Value(_key.Value(_key.Observed[operation]));
        return new RegisterFault(
            _key.Written[operation] == None ? "stale-read" : "stale-cas",
            operation,
            $"{found} was found, which no order explains; when it completed the register can have held only {held} and what was under way");
    }
}
