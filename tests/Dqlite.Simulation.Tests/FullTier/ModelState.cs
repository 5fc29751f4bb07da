using Dqlite.Simulation.Workload;

namespace Dqlite.Simulation.Tests.FullTier;

/// <summary>What a database must hold at one LSN.</summary>
internal sealed class ModelState
{
    private readonly SortedDictionary<int, long> _registers = [];
    private readonly SortedDictionary<int, long[]> _lists = [];
    private readonly SortedDictionary<int, long> _blobs = [];
    private readonly long[] _balances;

    internal ModelState(WorkloadShape shape) => _balances = [.. Enumerable.Repeat(shape.InitialBalance, shape.Accounts)];

    private ModelState(ModelState other)
    {
        _registers = new SortedDictionary<int, long>(other._registers);
        _lists = new SortedDictionary<int, long[]>(other._lists);
        _blobs = new SortedDictionary<int, long>(other._blobs);
        _balances = [.. other._balances];
    }

    internal ModelState Copy() => new(this);

    /// <summary>Does a step, other than those of savepoints.</summary>
    internal OpResult Execute(in Op op)
    {
        switch (op.Kind)
        {
            case OpKind.ReadRegister:
                return new OpResult(true, Find(_registers, op.Key));
            case OpKind.WriteRegister:
                _registers[op.Key] = op.Value;
                return new OpResult(true);
            case OpKind.CasRegister when (Find(_registers, op.Key) ?? 0) != op.Other:
                return new OpResult(false);
            case OpKind.CasRegister:
                _registers[op.Key] = op.Value;
                return new OpResult(true);
            case OpKind.Append:
                _lists[op.Key] = [.. _lists.GetValueOrDefault(op.Key, []), op.Value];
                return new OpResult(true);
            case OpKind.ReadList:
                return new OpResult(true, Values: _lists.GetValueOrDefault(op.Key, []));
            case OpKind.Transfer when _balances[op.Key] < op.Value:
                return new OpResult(false);
            case OpKind.Transfer:
                _balances[op.Key] -= op.Value;
                _balances[(int)op.Other] += op.Value;
                return new OpResult(true);
            case OpKind.ReadAccounts:
                return new OpResult(true, Values: [.. _balances]);
            case OpKind.WriteBlob:
                _blobs[op.Key] = op.Value;
                return new OpResult(true);
            case OpKind.ReadBlob:
                return new OpResult(true, Find(_blobs, op.Key));
            case OpKind.ChangeSchema:
                return new OpResult(true);
            default:
                throw new ArgumentOutOfRangeException(nameof(op), op.Kind, null);
        }
    }

    /// <summary>Results as text, since arrays compare by identity.</summary>
    internal static string Describe(in OpResult result) =>
        $"{result.Applied} {result.Value?.ToString() ?? "-"} [{(result.Values is { } values ? string.Join(' ', values) : "")}]";

    private static long? Find(SortedDictionary<int, long> from, int key) => from.TryGetValue(key, out var value) ? value : null;
}
