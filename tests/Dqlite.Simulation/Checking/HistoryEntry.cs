namespace Dqlite.Simulation.Checking;

/// <summary>How an operation ended.</summary>
internal enum Outcome : byte
{
    /// <summary>Not yet: the client still waits, or never learned. Checked like <see cref="Info"/>.</summary>
    Open,

    /// <summary>It took effect, once, between its invocation and its completion.</summary>
    Ok,

    /// <summary>It never took effect and never will.</summary>
    Fail,

    /// <summary>Unknown: it may take effect at any time after its invocation, or never.</summary>
    Info,
}

/// <summary>One operation of a history and what became of it. Filled by <see cref="History"/> alone.</summary>
internal sealed class HistoryEntry(int id, int process, Operation operation, long invokedNs, int invokedOrder)
{
    /// <summary>Its place in <see cref="History.Entries"/>.</summary>
    public int Id { get; } = id;

    /// <summary>The client, from 0.</summary>
    public int Process { get; } = process;

    /// <summary>What was asked for.</summary>
    public Operation Operation { get; } = operation;

    /// <summary>When it was asked for.</summary>
    public long InvokedNs { get; } = invokedNs;

    /// <summary>The number of its invocation among all events of the history: breaks ties of time.</summary>
    public int InvokedOrder { get; } = invokedOrder;

    /// <summary>How it ended.</summary>
    public Outcome Outcome { get; private set; }

    /// <summary>When the client learned of it; for <see cref="Outcome.Info"/> when it gave up.</summary>
    public long CompletedNs { get; private set; } = long.MaxValue;

    /// <summary>The number of its completion among all events.</summary>
    public int CompletedOrder { get; private set; } = int.MaxValue;

    /// <summary>What a read of a register saw.</summary>
    public long? Value { get; private set; }

    /// <summary>What a transaction's reads saw, by step: null for appends, and for a list that does not exist.</summary>
    public long[]?[] Lists { get; private set; } = [];

    /// <summary>What a read of all accounts saw.</summary>
    public long[] Balances { get; private set; } = [];

    /// <summary>It may have taken effect although no one was told so.</summary>
    public bool IsUncertain => Outcome is Outcome.Open or Outcome.Info;

    /// <summary>Its level counts: it only reads, and was asked for at less than linearizable.</summary>
    public bool IsWeakRead => Operation.Level != ReadLevel.Linearizable && !Operation.IsWrite;

    internal void Complete(Outcome outcome, long completedNs, int completedOrder)
    {
        if (Outcome != Outcome.Open)
        {
            throw new InvalidOperationException($"Operation {Id} has ended already, as {Outcome}.");
        }

        if (completedNs < InvokedNs)
        {
            throw new InvalidOperationException($"Operation {Id} cannot end at {completedNs} ns: it was invoked at {InvokedNs} ns.");
        }

        Outcome = outcome;
        CompletedNs = completedNs;
        CompletedOrder = completedOrder;
    }

    internal void SetValue(long? value) => Value = Expect(OperationKind.Read, value);

    internal void SetLists(long[]?[] lists)
    {
        Expect(OperationKind.Transaction, lists);
        if (lists.Length != Operation.Steps.Length)
        {
            throw new ArgumentException($"Operation {Id} has {Operation.Steps.Length} steps, but {lists.Length} results were given.", nameof(lists));
        }

        Lists = lists;
    }

    internal void SetBalances(long[] balances) => Balances = Expect(OperationKind.ReadAll, balances);

    private T Expect<T>(OperationKind kind, T result) => Operation.Kind == kind
        ? result
        : throw new ArgumentException($"Operation {Id} is a {Operation.Kind}: it has no result of a {kind}.", nameof(result));
}
