namespace Dqlite.Simulation.Checking;

/// <summary>What a transaction saw of a list.</summary>
/// <param name="Transaction">The reader.</param>
/// <param name="Key">The number of the key.</param>
/// <param name="List">What it saw.</param>
/// <param name="Base">How much of that was there before its own appends.</param>
/// <param name="IsFirst">Its first read of this key: the later ones follow from it.</param>
internal readonly record struct ListRead(int Transaction, int Key, long[] List, int Base, bool IsFirst);

/// <summary>All reads of acknowledged transactions, each compared with what its own transaction had done and seen before.</summary>
internal sealed class ListReads
{
    private readonly TransactionSet _set;
    private readonly List<ListRead> _reads = [];

    private ListReads(TransactionSet set) => _set = set;

    /// <summary>The reads, by transaction.</summary>
    public List<ListRead> All => _reads;

    /// <summary>A transaction that contradicts itself.</summary>
    public ListFault? Fault { get; private set; }

    /// <summary>Collects them.</summary>
    public static ListReads Of(TransactionSet set)
    {
        var reads = new ListReads(set);
        for (var transaction = 0; transaction < set.Entries.Length && reads.Fault is null; transaction++)
        {
            if (set.Entries[transaction].Outcome == Outcome.Ok)
            {
                reads.Add(transaction);
            }
        }

        return reads;
    }

    private void Add(int transaction)
    {
        var entry = _set.Entries[transaction];
        var steps = entry.Operation.Steps;
        var keys = _set.StepKeys(transaction);
        for (var i = 0; i < steps.Length; i++)
        {
            if (steps[i].Appended is not null)
            {
                continue;
            }

            var list = entry.Lists[i] ?? [];
            var (earlier, own) = LookBack(steps, keys, i);
            var length = list.Length - own;
            var isSame = earlier < 0 ? length >= 0 : list.AsSpan(0, Math.Max(0, length)).SequenceEqual(entry.Lists[earlier]);
            if (!isSame || !EndsWithOwn(steps, keys, i, list))
            {
                Fault = new ListFault(
                    "internal",
                    $"a transaction read key {steps[i].Key} as {HistoryText.List(list)}, which is not what it had read and appended itself before",
                    transaction);
                return;
            }

            _reads.Add(new ListRead(transaction, keys[i], list, length, earlier < 0));
        }
    }

    /// <summary>The last read of the same key before a step, or -1, and the own appends to it since then.</summary>
    private static (int Earlier, int Own) LookBack(MicroOperation[] steps, ReadOnlySpan<int> keys, int step)
    {
        var own = 0;
        for (var i = step - 1; i >= 0; i--)
        {
            if (keys[i] == keys[step])
            {
                if (steps[i].Appended is null)
                {
                    return (i, own);
                }

                own++;
            }
        }

        return (-1, own);
    }

    private static bool EndsWithOwn(MicroOperation[] steps, ReadOnlySpan<int> keys, int step, long[] list)
    {
        var place = list.Length;
        for (var i = step - 1; i >= 0; i--)
        {
            if (keys[i] == keys[step])
            {
                if (steps[i].Appended is not { } value)
                {
                    return true;
                }

                if (--place < 0 || list[place] != value)
                {
                    return false;
                }
            }
        }

        return true;
    }
}
