namespace Dqlite.Simulation.Checking;

/// <summary>What kind of operation a client asked for.</summary>
internal enum OperationKind : byte
{
    /// <summary>Read of a register.</summary>
    Read,

    /// <summary>Write of a register.</summary>
    Write,

    /// <summary>Compare and set of a register.</summary>
    Cas,

    /// <summary>A transaction of appends to lists and reads of lists.</summary>
    Transaction,

    /// <summary>A transfer between two accounts.</summary>
    Transfer,

    /// <summary>A read of all accounts.</summary>
    ReadAll,
}

/// <summary>How fresh a read was asked to be. Whatever writes is always linearizable, so the level of a transaction with an append is passed over.</summary>
internal enum ReadLevel : byte
{
    /// <summary>Sees everything that was acknowledged before it was invoked.</summary>
    Linearizable,

    /// <summary>Sees at least what its own client has seen or written before at this level or a stronger one.</summary>
    Session,

    /// <summary>Sees some committed state, however old.</summary>
    Local,
}

/// <summary>One step of a transaction (Jepsen: micro-operation): an append, or a read when there is nothing to append.</summary>
internal readonly record struct MicroOperation(long Key, long? Appended)
{
    /// <summary>Appends a value that no other operation appends to this key.</summary>
    public static MicroOperation Append(long key, long value) => new(key, value);

    /// <summary>Reads the whole list.</summary>
    public static MicroOperation Read(long key) => new(key, null);
}

/// <summary>What a client asked for. Immutable; which properties mean something depends on the kind.</summary>
internal sealed record Operation
{
    private Operation()
    {
    }

    /// <summary>The kind.</summary>
    public required OperationKind Kind { get; init; }

    /// <summary>How fresh its reads were asked to be.</summary>
    public ReadLevel Level { get; private init; }

    /// <summary>The register.</summary>
    public long Key { get; private init; }

    /// <summary>What is written, by a write or a cas; the amount of a transfer.</summary>
    public long Value { get; private init; }

    /// <summary>What a cas demands; null is a register that was never written.</summary>
    public long? Expected { get; private init; }

    /// <summary>The steps of a transaction, in order.</summary>
    public MicroOperation[] Steps { get; private init; } = [];

    /// <summary>The account that a transfer takes from: an index from 0.</summary>
    public int From { get; private init; }

    /// <summary>The account that a transfer gives to.</summary>
    public int To { get; private init; }

    /// <summary>The transfer may leave its account below zero. Without it such a transfer has to fail.</summary>
    public bool AllowsOverdraft { get; private init; }

    /// <summary>Whether it sees anything.</summary>
    public bool HasResult => Kind switch
    {
        OperationKind.Read or OperationKind.ReadAll => true,
        OperationKind.Transaction => Array.Exists(Steps, step => step.Appended is null),
        _ => false,
    };

    /// <summary>Whether it can change anything.</summary>
    public bool IsWrite => Kind switch
    {
        OperationKind.Read or OperationKind.ReadAll => false,
        OperationKind.Transaction => Array.Exists(Steps, step => step.Appended is not null),
        _ => true,
    };

    /// <summary>Reads a register.</summary>
    public static Operation Read(long key, ReadLevel level = ReadLevel.Linearizable) => new() { Kind = OperationKind.Read, Key = key, Level = level };

    /// <summary>Writes a register. Values that are unique for their key make the check fast and sharp.</summary>
    public static Operation Write(long key, long value) => new() { Kind = OperationKind.Write, Key = key, Value = value };

    /// <summary>Writes a register if it holds what is expected. One that found another value ends as failed.</summary>
    public static Operation Cas(long key, long? expected, long value) =>
        new() { Kind = OperationKind.Cas, Key = key, Expected = expected, Value = value };

    /// <summary>A transaction that appends to lists and reads them.</summary>
    public static Operation Transaction(ReadLevel level, params MicroOperation[] steps) =>
        new() { Kind = OperationKind.Transaction, Level = level, Steps = steps };

    /// <summary>A linearizable transaction that appends to lists and reads them.</summary>
    public static Operation Transaction(params MicroOperation[] steps) => Transaction(ReadLevel.Linearizable, steps);

    /// <summary>Moves an amount from one account to another. One that found too little ends as failed.</summary>
    public static Operation Transfer(int from, int to, long amount, bool allowsOverdraft = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(from);
        ArgumentOutOfRangeException.ThrowIfNegative(to);
        ArgumentOutOfRangeException.ThrowIfNegative(amount);
        return new() { Kind = OperationKind.Transfer, From = from, To = to, Value = amount, AllowsOverdraft = allowsOverdraft };
    }

    /// <summary>Reads all accounts.</summary>
    public static Operation ReadAll(ReadLevel level = ReadLevel.Linearizable) => new() { Kind = OperationKind.ReadAll, Level = level };
}
