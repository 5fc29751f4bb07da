namespace Dqlite.Simulation.Checking;

/// <summary>
/// The transactions of a history with their appends as arrays, keys numbered in the order of their first use. An append is found by its key and
/// value through an open-addressing table.
/// </summary>
internal sealed class TransactionSet
{
    /// <summary>No append, no transaction, no key.</summary>
    public const int None = -1;

    private readonly Dictionary<long, int> _keyNumbers = [];
    private readonly List<long> _keys = [];
    private readonly List<int> _appendTransaction = [];
    private readonly List<int> _appendKey = [];
    private readonly List<long> _appendValue = [];
    private readonly int[] _stepOffsets;
    private readonly int[] _stepKeys;
    private int[] _table = new int[1024];

    public TransactionSet(History history)
    {
        var entries = new List<HistoryEntry>(history.Entries.Count);
        var steps = 0;
        foreach (var entry in history.Entries)
        {
            if (entry.Operation.Kind == OperationKind.Transaction)
            {
                entries.Add(entry);
                steps += entry.Operation.Steps.Length;
            }
        }

        Entries = entries.ToArray();
        _stepOffsets = new int[Entries.Length + 1];
        _stepKeys = new int[steps];
        for (var transaction = 0; transaction < Entries.Length; transaction++)
        {
            AddSteps(transaction);
        }
    }

    /// <summary>The transactions, in the order of their ids.</summary>
    public HistoryEntry[] Entries { get; }

    /// <summary>Keys.</summary>
    public int Keys => _keys.Count;

    /// <summary>Appends, those of failed transactions included.</summary>
    public int Appends => _appendValue.Count;

    /// <summary>The second append of a value to a key, which makes the history unfit for this check; else <see cref="None"/>.</summary>
    public int Duplicate { get; private set; } = None;

    /// <summary>The key of a number.</summary>
    public long Key(int key) => _keys[key];

    /// <summary>By step of a transaction: the number of its key.</summary>
    public ReadOnlySpan<int> StepKeys(int transaction) => _stepKeys.AsSpan(_stepOffsets[transaction].._stepOffsets[transaction + 1]);

    /// <summary>The transaction of an append.</summary>
    public int TransactionOf(int append) => _appendTransaction[append];

    /// <summary>The key of an append.</summary>
    public int KeyOf(int append) => _appendKey[append];

    /// <summary>The value of an append.</summary>
    public long ValueOf(int append) => _appendValue[append];

    /// <summary>The append of a value to a key, or <see cref="None"/>.</summary>
    public int Find(int key, long value) => _table[FindSlot(key, value)] - 1;

    private void AddSteps(int transaction)
    {
        var steps = Entries[transaction].Operation.Steps;
        var offset = _stepOffsets[transaction];
        _stepOffsets[transaction + 1] = offset + steps.Length;
        for (var i = 0; i < steps.Length; i++)
        {
            if (!_keyNumbers.TryGetValue(steps[i].Key, out var key))
            {
                key = _keys.Count;
                _keyNumbers.Add(steps[i].Key, key);
                _keys.Add(steps[i].Key);
            }

            _stepKeys[offset + i] = key;
            if (steps[i].Appended is { } value)
            {
                AddAppend(transaction, key, value);
            }
        }
    }

    private void AddAppend(int transaction, int key, long value)
    {
        if ((Appends + 1) * 2 > _table.Length)
        {
            Grow();
        }

        var slot = FindSlot(key, value);
        _appendTransaction.Add(transaction);
        _appendKey.Add(key);
        _appendValue.Add(value);
        if (_table[slot] != 0)
        {
            Duplicate = Appends - 1;
            return;
        }

        _table[slot] = Appends;
    }

    private void Grow()
    {
        _table = new int[_table.Length * 2];
        for (var append = 0; append < Appends; append++)
        {
            _table[FindSlot(_appendKey[append], _appendValue[append])] = append + 1;
        }
    }

    /// <summary>The slot of this append, or the free one where it belongs. A slot holds the append plus one.</summary>
    private int FindSlot(int key, long value)
    {
        var hash = ((ulong)value ^ ((ulong)key << 48)) * 0x9E3779B97F4A7C15UL;
        var mask = _table.Length - 1;
        var slot = (int)(hash >> 32) & mask;
        while (_table[slot] != 0 && (_appendValue[_table[slot] - 1] != value || _appendKey[_table[slot] - 1] != key))
        {
            slot = (slot + 1) & mask;
        }

        return slot;
    }
}
