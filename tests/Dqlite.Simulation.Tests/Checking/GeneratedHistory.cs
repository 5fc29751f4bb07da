using Dqlite.Simulation.Checking;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Tests.Checking;

/// <summary>
/// Valid histories: every operation takes effect at one moment inside its time, on one state. Uncertain ones take effect at any time after their
/// invocation, or never. A mutation then changes what was told to a client.
/// </summary>
internal sealed class GeneratedHistory
{
    public const long Balance = 100;

    private readonly SeededRandom _random;
    private readonly Shape _shape;
    private long _nextValue;

    public GeneratedHistory(SeededRandom random, Shape shape)
    {
        _random = random;
        _shape = shape;
    }

    public List<Planned> Plan { get; } = [];

    /// <summary>Registers under read, write and cas.</summary>
    public static GeneratedHistory OfRegisters(SeededRandom random, Shape shape)
    {
        var history = new GeneratedHistory(random, shape);
        history.Schedule(history.RegisterOperation);
        history.ExecuteRegisters();
        return history;
    }

    /// <summary>Transactions on lists.</summary>
    public static GeneratedHistory OfLists(SeededRandom random, Shape shape)
    {
        var history = new GeneratedHistory(random, shape);
        history.Schedule(history.ListOperation);
        history.ExecuteLists();
        return history;
    }

    /// <summary>Transfers and reads of all accounts.</summary>
    public static GeneratedHistory OfBank(SeededRandom random, Shape shape)
    {
        var history = new GeneratedHistory(random, shape);
        history.Schedule(history.BankOperation);
        history.ExecuteBank();
        return history;
    }

    /// <summary>Records it as it happened.</summary>
    public History Record()
    {
        var now = 0L;
        var history = new History(() => now);
        var ids = new int[Plan.Count];
        var events = Enumerable.Range(0, 2 * Plan.Count).OrderBy(at => at % 2 == 0 ? Plan[at / 2].InvokedNs : Plan[at / 2].CompletedNs);
        foreach (var at in events)
        {
            var planned = Plan[at / 2];
            now = at % 2 == 0 ? planned.InvokedNs : planned.CompletedNs;
            if (at % 2 == 0)
            {
                ids[at / 2] = history.Begin(planned.Process, planned.Operation);
            }
            else
            {
                planned.End(history, ids[at / 2]);
            }
        }

        return history;
    }

    /// <summary>The balances when everything that takes effect has done so.</summary>
    public long[] FinalBalances()
    {
        var balances = InitialBalances();
        foreach (var planned in Plan)
        {
            if (planned.EffectNs is not null)
            {
                Apply(balances, planned.Operation);
            }
        }

        return balances;
    }

    public long[] InitialBalances()
    {
        var balances = new long[_shape.Accounts];
        Array.Fill(balances, Balance);
        return balances;
    }

    /// <summary>Each client does one operation after the other; all times are different.</summary>
    private void Schedule(Func<Operation> next)
    {
        var free = new long[_shape.Clients];
        var sessions = new long[_shape.Clients];
        for (var i = 0; i < _shape.Operations; i++)
        {
            var process = _random.Next(_shape.Clients);
            var invoked = free[process] + 1 + _random.Next(_shape.MaxNs);
            var completed = invoked + 2 + _random.Next(_shape.MaxNs);
            free[process] = completed;
            var operation = next();
            var planned = new Planned
            {
                Process = process,
                Operation = operation,
                InvokedNs = Unique(invoked, i),
                CompletedNs = Unique(completed, i),
                Outcome = DrawOutcome(operation),
            };
            planned.EffectNs = DrawEffect(planned, sessions, i);
            Plan.Add(planned);
        }
    }

    private long Unique(long time, int number) => (time * _shape.Operations) + number;

    private Outcome DrawOutcome(Operation operation) => _random.Chance(_shape.InfoShare)
        ? Outcome.Info
        : operation.IsWrite && _random.Chance(_shape.FailShare) ? Outcome.Fail : Outcome.Ok;

    private long? DrawEffect(Planned planned, long[] sessions, int number)
    {
        if (planned.Outcome == Outcome.Fail || (planned.Outcome == Outcome.Info && _random.Chance(0.5)))
        {
            return null;
        }

        var level = planned.Operation.IsWrite ? ReadLevel.Linearizable : planned.Operation.Level;
        var earliest = level switch
        {
            ReadLevel.Linearizable => planned.InvokedNs,
            ReadLevel.Session => sessions[planned.Process],
            ReadLevel.Local => 0,
        };
        var late = planned.Outcome == Outcome.Info ? 5L * _shape.MaxNs * _shape.Operations : 0;
        var effect = _random.Between(earliest, planned.CompletedNs + late) / _shape.Operations * _shape.Operations;
        effect = Math.Clamp(effect + number, earliest + 1, planned.CompletedNs + late);
        if (level != ReadLevel.Local && planned.Outcome == Outcome.Ok)
        {
            sessions[planned.Process] = Math.Max(sessions[planned.Process], effect);
        }

        return effect;
    }

    private ReadLevel DrawLevel() =>
        _random.Chance(_shape.WeakShare) ? _random.Chance(0.5) ? ReadLevel.Local : ReadLevel.Session : ReadLevel.Linearizable;

    private long DrawValue() => _shape.HasUniqueValues ? ++_nextValue : _random.Next(3);

    private Operation RegisterOperation()
    {
        var key = _random.Next(_shape.Keys);
        if (_random.Chance(_shape.CasShare))
        {
            long? expected = _shape.HasUniqueValues ? Math.Max(0, _nextValue - _random.Next(4 * _shape.Keys)) : _random.Next(3);
            return Operation.Cas(key, expected == 0 ? null : expected, DrawValue());
        }

        return _random.Chance(_shape.WriteShare) ? Operation.Write(key, DrawValue()) : Operation.Read(key, DrawLevel());
    }

    private Operation ListOperation()
    {
        var steps = new MicroOperation[_random.Between(1, _shape.MaxSteps)];
        for (var i = 0; i < steps.Length; i++)
        {
            var key = _random.Next(_shape.Keys);
            steps[i] = _random.Chance(_shape.WriteShare) ? MicroOperation.Append(key, ++_nextValue) : MicroOperation.Read(key);
        }

        return Operation.Transaction(DrawLevel(), steps);
    }

    private Operation BankOperation()
    {
        var from = _random.Next(_shape.Accounts);
        var distance = 1 + _random.Next(_shape.Accounts - 1);
        return _random.Chance(_shape.WriteShare)
            ? Operation.Transfer(from, (from + distance) % _shape.Accounts, 1 + _random.Next(50))
            : Operation.ReadAll(DrawLevel());
    }

    private IEnumerable<Planned> InOrderOfEffect() => Plan.Where(planned => planned.EffectNs is not null).OrderBy(planned => planned.EffectNs);

    private void ExecuteRegisters()
    {
        var state = new Dictionary<long, long>();
        foreach (var planned in InOrderOfEffect())
        {
            var operation = planned.Operation;
            long? held = state.TryGetValue(operation.Key, out var value) ? value : null;
            if (operation.Kind == OperationKind.Read)
            {
                planned.Value = held;
            }
            else if (operation.Kind == OperationKind.Write || held == operation.Expected)
            {
                state[operation.Key] = operation.Value;
            }
            else
            {
                planned.EffectNs = null;
                planned.Outcome = Outcome.Fail;
            }
        }
    }

    private void ExecuteLists()
    {
        var state = new Dictionary<long, List<long>>();
        foreach (var planned in InOrderOfEffect())
        {
            planned.Lists = Execute(state, planned.Operation);
        }
    }

    private static long[]?[] Execute(Dictionary<long, List<long>> state, Operation operation)
    {
        var lists = new long[]?[operation.Steps.Length];
        for (var i = 0; i < lists.Length; i++)
        {
            if (!state.TryGetValue(operation.Steps[i].Key, out var list))
            {
                state.Add(operation.Steps[i].Key, list = []);
            }

            if (operation.Steps[i].Appended is { } value)
            {
                list.Add(value);
            }
            else
            {
                lists[i] = list.ToArray();
            }
        }

        return lists;
    }

    private void ExecuteBank()
    {
        var balances = InitialBalances();
        foreach (var planned in InOrderOfEffect())
        {
            if (planned.Operation.Kind == OperationKind.ReadAll)
            {
                planned.Balances = balances.ToArray();
            }
            else if (balances[planned.Operation.From] >= planned.Operation.Value)
            {
                Apply(balances, planned.Operation);
            }
            else
            {
                planned.EffectNs = null;
                planned.Outcome = Outcome.Fail;
            }
        }
    }

    private static void Apply(long[] balances, Operation operation)
    {
        if (operation.Kind == OperationKind.Transfer)
        {
            balances[operation.From] -= operation.Value;
            balances[operation.To] += operation.Value;
        }
    }
}
