using Dqlite.Simulation.Checking;

namespace Dqlite.Simulation.Tests.Checking;

/// <summary>A history written down operation by operation: each with its client, when it was invoked, and when it ended.</summary>
internal sealed class Script
{
    private long _nowNs;

    public Script() => History = new History(() => _nowNs);

    public History History { get; }

    public Script Read(int process, long from, long to, long key, long? value, ReadLevel level = ReadLevel.Linearizable)
    {
        var id = Begin(process, from, to, Operation.Read(key, level));
        History.OkRead(id, value);
        return this;
    }

    public Script Write(int process, long from, long to, long key, long value, Outcome outcome = Outcome.Ok) =>
        Add(process, from, to, Operation.Write(key, value), outcome);

    public Script Cas(int process, long from, long to, long key, long? expected, long value, Outcome outcome = Outcome.Ok) =>
        Add(process, from, to, Operation.Cas(key, expected, value), outcome);

    /// <summary>A transaction whose steps are <see cref="Append"/> and <see cref="Saw"/>.</summary>
    public Script Transaction(int process, long from, long to, params Step[] steps) => Transaction(process, from, to, Outcome.Ok, ReadLevel.Linearizable, steps);

    public Script Transaction(int process, long from, long to, ReadLevel level, params Step[] steps) =>
        Transaction(process, from, to, Outcome.Ok, level, steps);

    public Script Transaction(int process, long from, long to, Outcome outcome, params Step[] steps) =>
        Transaction(process, from, to, outcome, ReadLevel.Linearizable, steps);

    public Script Transfer(int process, long at, int from, int to, long amount, Outcome outcome = Outcome.Ok, bool allowsOverdraft = false) =>
        Add(process, at, at + 10, Operation.Transfer(from, to, amount, allowsOverdraft), outcome);

    public Script ReadAll(int process, long at, params long[] balances)
    {
        var id = Begin(process, at, at + 10, Operation.ReadAll());
        History.OkReadAll(id, balances);
        return this;
    }

    public Script Add(int process, long from, long to, Operation operation, Outcome outcome)
    {
        var id = Begin(process, from, to, operation);
        switch (outcome)
        {
            case Outcome.Ok:
                History.Ok(id);
                break;
            case Outcome.Fail:
                History.Fail(id);
                break;
            case Outcome.Info:
                History.Info(id);
                break;
            case Outcome.Open:
                break;
        }

        return this;
    }

    public static Step Append(long key, long value) => new(MicroOperation.Append(key, value), null);

    public static Step Saw(long key, params long[] list) => new(MicroOperation.Read(key), list);

    private Script Transaction(int process, long from, long to, Outcome outcome, ReadLevel level, Step[] steps)
    {
        var operation = Operation.Transaction(level, Array.ConvertAll(steps, step => step.Operation));
        if (outcome != Outcome.Ok)
        {
            return Add(process, from, to, operation, outcome);
        }

        var id = Begin(process, from, to, operation);
        History.OkTransaction(id, Array.ConvertAll(steps, step => step.List));
        return this;
    }

    private int Begin(int process, long from, long to, Operation operation)
    {
        _nowNs = from;
        var id = History.Begin(process, operation);
        _nowNs = to;
        return id;
    }

    internal readonly record struct Step(MicroOperation Operation, long[]? List);
}
