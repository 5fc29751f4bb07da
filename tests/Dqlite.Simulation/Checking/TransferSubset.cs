namespace Dqlite.Simulation.Checking;

/// <summary>What the last answer made of a transfer.</summary>
internal enum Belief : byte
{
    /// <summary>It took part in none yet.</summary>
    None,

    /// <summary>It took effect.</summary>
    Taken,

    /// <summary>It did not.</summary>
    Left,
}

/// <summary>
/// Finds transfers that together change balances by a given difference. A depth-first search, account by account so that wrong choices show early;
/// a branch ends when what is left cannot bring an account where it has to be. Little changes from one read to the next, so answers that differ
/// from the last one in few transfers are tried first (limited discrepancy search).
/// </summary>
internal sealed class TransferSubset(HistoryEntry[] entries, List<int> open, Belief[] beliefs, int maxSteps)
{
    private readonly int[] _order = open.ToArray();
    private readonly byte[] _tries = new byte[open.Count];
    private int _changes;
    private int _steps;
    private bool _isCut;
    private long[] _missing = [];
    private long[] _canGain = [];
    private long[] _canLose = [];

    /// <summary>Valid when there are such transfers, invalid when there are none, unknown when the search gave up.</summary>
    public Verdict Find(long[] difference)
    {
        _missing = difference;
        _canGain = new long[difference.Length];
        _canLose = new long[difference.Length];
        foreach (var id in _order)
        {
            _canGain[entries[id].Operation.To] += entries[id].Operation.Value;
            _canLose[entries[id].Operation.From] += entries[id].Operation.Value;
        }

        for (var account = 0; account < difference.Length; account++)
        {
            if (!IsReachable(account))
            {
                return Verdict.Invalid;
            }
        }

        SortByAccount(difference.Length);
        for (var maxChanges = 0; ; maxChanges = (2 * maxChanges) + 1)
        {
            _isCut = false;
            var found = Search(maxChanges);
            if (found != Verdict.Invalid || !_isCut)
            {
                return found;
            }
        }
    }

    /// <summary>Each transfer is tried in two ways; the last tried way is in force for those below the index.</summary>
    private Verdict Search(int maxChanges)
    {
        var index = 0;
        while (index >= 0 && index < _order.Length)
        {
            if (++_steps > maxSteps)
            {
                return Verdict.Unknown;
            }

            if (_tries[index] > 0)
            {
                Put(index, -1);
            }

            if (_tries[index] == 2)
            {
                _tries[index--] = 0;
                continue;
            }

            _tries[index]++;
            Put(index, 1);
            var operation = entries[_order[index]].Operation;
            _isCut |= _changes > maxChanges;
            index += _changes <= maxChanges && IsReachable(operation.From) && IsReachable(operation.To) ? 1 : 0;
        }

        if (index < 0)
        {
            return Verdict.Invalid;
        }

        for (var i = 0; i < _order.Length; i++)
        {
            beliefs[_order[i]] = IsTaken(i) ? Belief.Taken : Belief.Left;
        }

        return Verdict.Valid;
    }

    /// <summary>Whether the current try of a transfer lets it take effect: the first one follows the last answer.</summary>
    private bool IsTaken(int index) => (_tries[index] == 1) == (beliefs[_order[index]] == Belief.Taken);

    /// <summary>Puts the current try of a transfer in force (1), or takes it back (-1).</summary>
    private void Put(int index, int sign)
    {
        var operation = entries[_order[index]].Operation;
        var amount = sign * operation.Value;
        var taken = IsTaken(index) ? amount : 0;
        _canLose[operation.From] -= amount;
        _canGain[operation.To] -= amount;
        _missing[operation.From] += taken;
        _missing[operation.To] -= taken;
        _changes += _tries[index] == 2 && beliefs[_order[index]] != Belief.None ? sign : 0;
    }

    private bool IsReachable(int account) => _missing[account] <= _canGain[account] && -_missing[account] <= _canLose[account];

    /// <summary>Orders transfers so that those of the account with the fewest come first, then those of the next one, and so on.</summary>
    private void SortByAccount(int accounts)
    {
        var count = new int[accounts];
        var byCount = new int[accounts];
        for (var account = 0; account < accounts; account++)
        {
            byCount[account] = account;
        }

        foreach (var id in _order)
        {
            count[entries[id].Operation.From]++;
            count[entries[id].Operation.To]++;
        }

        Array.Sort(count, byCount);
        var rank = new int[accounts];
        for (var i = 0; i < accounts; i++)
        {
            rank[byCount[i]] = i;
        }

        var keys = Array.ConvertAll(_order, id => (Math.Min(rank[entries[id].Operation.From], rank[entries[id].Operation.To]), id));
        Array.Sort(keys, _order);
    }
}
