namespace Dqlite.Simulation.Checking;

/// <summary>
/// The operations on one register, as arrays: whatever was acknowledged, and the writes that may have taken effect. Values are numbered from 0,
/// which is the value that the register begins with. One object serves all keys of a history in turn.
/// </summary>
internal sealed class KeyHistory(HistoryEntry[] entries, Timeline timeline, long? initial)
{
    /// <summary>No value: a read writes none, a blind write observes none.</summary>
    public const int None = -1;

    /// <summary>The number of the value that the register begins with.</summary>
    public const int Initial = 0;

    private readonly Dictionary<long, int> _numbers = [];
    private int[] _ids = [];
    private int[] _written = [];
    private int[] _observed = [];
    private int[] _start = [];
    private int[] _finish = [];
    private long[] _values = [];
    private int _nothing;

    /// <summary>The key.</summary>
    public long Key { get; private set; }

    /// <summary>Operations.</summary>
    public int Count { get; private set; }

    /// <summary>Different values, the initial one included.</summary>
    public int Values { get; private set; }

    /// <summary>No value is written by two operations, nor the initial one by any.</summary>
    public bool HasUniqueValues { get; private set; }

    /// <summary>By operation: the number of the value that it writes, or <see cref="None"/>.</summary>
    public ReadOnlySpan<int> Written => _written.AsSpan(0, Count);

    /// <summary>By operation: the number of the value that it found, or <see cref="None"/>.</summary>
    public ReadOnlySpan<int> Observed => _observed.AsSpan(0, Count);

    /// <summary>By operation: its place in the timeline. A weak read may see anything from the beginning on: -1.</summary>
    public ReadOnlySpan<int> Start => _start.AsSpan(0, Count);

    /// <summary>By operation: where it was acknowledged, or <see cref="Timeline.Never"/>.</summary>
    public ReadOnlySpan<int> Finish => _finish.AsSpan(0, Count);

    /// <summary>The operation in the history.</summary>
    public HistoryEntry Entry(int operation) => entries[_ids[operation]];

    /// <summary>The value of a number; null for a register that was never written.</summary>
    public long? Value(int number) => number == _nothing ? null : _values[number];

    /// <summary>Takes the operations of one key, by id.</summary>
    public void Load(long key, ReadOnlySpan<int> ids)
    {
        Key = key;
        Count = 0;
        Values = 0;
        Reserve(ids.Length);
        _numbers.Clear();
        _nothing = None;
        Number(initial);
        foreach (var id in ids)
        {
            Add(entries[id]);
        }

        HasUniqueValues = AreWrittenValuesUnique();
    }

    private void Add(HistoryEntry entry)
    {
        var operation = entry.Operation;
        if (entry.Outcome == Outcome.Fail || (entry.Outcome != Outcome.Ok && operation.Kind == OperationKind.Read))
        {
            return;
        }

        _ids[Count] = entry.Id;
        _start[Count] = entry.IsWeakRead ? -1 : timeline.Invoked[entry.Id];
        _finish[Count] = timeline.Completed[entry.Id];
        _written[Count] = operation.Kind == OperationKind.Read ? None : Number(operation.Value);
        _observed[Count] = operation.Kind switch
        {
            OperationKind.Read => Number(entry.Value),
            OperationKind.Cas => Number(operation.Expected),
            _ => None,
        };
        Count++;
    }

    private int Number(long? value)
    {
        if (value is not { } known)
        {
            return _nothing == None ? _nothing = Values++ : _nothing;
        }

        if (!_numbers.TryGetValue(known, out var number))
        {
            number = Values++;
            _numbers.Add(known, number);
            _values[number] = known;
        }

        return number;
    }

    private bool AreWrittenValuesUnique()
    {
        var isWritten = new bool[Values];
        isWritten[Initial] = true;
        foreach (var number in Written)
        {
            if (number != None)
            {
                if (isWritten[number])
                {
                    return false;
                }

                isWritten[number] = true;
            }
        }

        return true;
    }

    private void Reserve(int operations)
    {
        if (_ids.Length < operations)
        {
            _ids = new int[operations];
            _written = new int[operations];
            _observed = new int[operations];
            _start = new int[operations];
            _finish = new int[operations];
        }

        if (_values.Length <= (2 * operations) + 1)
        {
            _values = new long[(2 * operations) + 2];
        }
    }
}
