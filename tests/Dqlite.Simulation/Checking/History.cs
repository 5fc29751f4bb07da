namespace Dqlite.Simulation.Checking;

/// <summary>
/// What clients asked for and what they were told, in the order in which it happened. A client (process) has at most one operation open at a
/// time. Not thread-safe: whoever records from several threads serializes the calls.
///
///   Begin ──► Ok      took effect
///         ──► Fail    never took effect, never will
///         ──► Info    unknown
///         (none)      treated as Info
/// </summary>
internal sealed class History(Func<long> nowNs)
{
    private readonly List<HistoryEntry> _entries = [];
    private readonly List<int> _openOperations = [];
    private int _events;
    private long _lastNs = long.MinValue;
    private bool _isOrdered = true;

    /// <summary>The operations, by id.</summary>
    public IReadOnlyList<HistoryEntry> Entries => _entries;

    /// <summary>Clients that took part: one more than the highest number.</summary>
    public int Processes => _openOperations.Count;

    /// <summary>Invocations and completions so far.</summary>
    internal int Events => _events;

    /// <summary>The clock never went back, so that the events' numbers are their order.</summary>
    internal bool IsOrdered => _isOrdered;

    /// <summary>A client asks. The number that is returned names the operation.</summary>
    public int Begin(int process, Operation operation)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(process);
        while (_openOperations.Count <= process)
        {
            _openOperations.Add(-1);
        }

        if (_openOperations[process] >= 0)
        {
            throw new InvalidOperationException($"Client {process} waits for operation {_openOperations[process]} and cannot begin another.");
        }

        var now = Now();
        var id = _entries.Count;
        _entries.Add(new HistoryEntry(id, process, operation, now, _events++));
        _openOperations[process] = id;
        return id;
    }

    /// <summary>It took effect, and there is nothing that it saw: a write, a cas that found what it expected, a transfer, a transaction of appends.</summary>
    public void Ok(int id)
    {
        var entry = _entries[id];
        if (entry.Operation.HasResult)
        {
            throw new ArgumentException($"Operation {id} is a {entry.Operation.Kind} that reads: tell what it saw.", nameof(id));
        }

        if (entry.Operation.Kind == OperationKind.Transaction)
        {
            entry.SetLists(new long[]?[entry.Operation.Steps.Length]);
        }

        End(entry, Outcome.Ok);
    }

    /// <summary>A read of a register saw this; null when it was never written.</summary>
    public void OkRead(int id, long? value)
    {
        _entries[id].SetValue(value);
        End(_entries[id], Outcome.Ok);
    }

    /// <summary>A transaction committed; its reads saw this, by step. The arrays are kept, not copied: they may not change.</summary>
    public void OkTransaction(int id, long[]?[] lists)
    {
        _entries[id].SetLists(lists);
        End(_entries[id], Outcome.Ok);
    }

    /// <summary>A read of all accounts saw this. The array is kept, not copied.</summary>
    public void OkReadAll(int id, long[] balances)
    {
        _entries[id].SetBalances(balances);
        End(_entries[id], Outcome.Ok);
    }

    /// <summary>It never took effect and never will.</summary>
    public void Fail(int id) => End(_entries[id], Outcome.Fail);

    /// <summary>Nobody knows whether it takes effect; the client gives up on it.</summary>
    public void Info(int id) => End(_entries[id], Outcome.Info);

    private void End(HistoryEntry entry, Outcome outcome)
    {
        entry.Complete(outcome, Now(), _events++);
        _openOperations[entry.Process] = -1;
    }

    private long Now()
    {
        var now = nowNs();
        _isOrdered &= now >= _lastNs;
        _lastNs = now;
        return now;
    }
}
