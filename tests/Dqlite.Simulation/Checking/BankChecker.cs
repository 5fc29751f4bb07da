namespace Dqlite.Simulation.Checking;

/// <summary>What is known of a bank besides its history.</summary>
/// <param name="Initial">The balances at the beginning. Without them only totals and signs are checked.</param>
/// <param name="Final">The balances at the end, when nothing can take effect any more.</param>
/// <param name="MaxSteps">For each read: where explaining it would take more, the verdict is <see cref="Verdict.Unknown"/>.</param>
internal sealed record BankOptions(long[]? Initial = null, long[]? Final = null, int MaxSteps = 100_000);

/// <summary>
/// Transfers between accounts. Every read of all accounts has the constant total, and no account is below zero unless a transfer was allowed to
/// overdraw it. A linearizable read, and the final state above all, is the initial state plus every transfer that was acknowledged before, plus
/// some of those that were under way or whose outcome is unknown.
/// </summary>
internal sealed class BankChecker
{
    /// <summary>The name in results.</summary>
    public const string Name = "bank";

    private readonly HistoryEntry[] _entries;
    private readonly BankOptions _options;
    private readonly int _accounts;
    private readonly long _total;
    private readonly long[] _acknowledged;
    private readonly bool[] _mayBeOverdrawn;
    private readonly Belief[] _beliefs;
    private readonly List<int> _invoked = [];
    private readonly List<int> _uncertain = [];
    private readonly int[] _underWay;
    private readonly ReadBegin?[] _reads;
    private CheckResult? _unknown;

    private BankChecker(History history, BankOptions options, long[] model)
    {
        _entries = history.Entries.ToArray();
        _options = options;
        _accounts = model.Length;
        _total = model.Sum();
        _acknowledged = (options.Initial ?? model).ToArray();
        _mayBeOverdrawn = new bool[_accounts];
        _beliefs = new Belief[_entries.Length];
        _underWay = new int[history.Processes];
        Array.Fill(_underWay, -1);
        _reads = new ReadBegin?[history.Processes];
    }

    /// <summary>Checks all transfers and reads of a history.</summary>
    public static CheckResult Check(History history, BankOptions? options = null)
    {
        options ??= new BankOptions();
        var model = options.Initial ?? options.Final ?? FirstRead(history);
        return model is null
            ? CheckResult.Valid(Name, "no account was read")
            : new BankChecker(history, options, model).Run(new Timeline(history));
    }

    private static long[]? FirstRead(History history)
    {
        foreach (var entry in history.Entries)
        {
            if (entry.Operation.Kind == OperationKind.ReadAll && entry.Outcome == Outcome.Ok)
            {
                return entry.Balances;
            }
        }

        return null;
    }

    private CheckResult Run(Timeline timeline)
    {
        foreach (var at in timeline.Events)
        {
            var entry = _entries[at >> 1];
            var fault = (at & 1) == 0 ? OnInvoked(entry) : OnCompleted(entry);
            if (fault is not null)
            {
                return fault;
            }
        }

        if (_options.Final is { } final)
        {
            var fault = CheckTotals(null, final) ?? Explain(null, final, new ReadBegin(_acknowledged, [], _invoked.Count));
            if (fault is { Verdict: Verdict.Invalid })
            {
                return fault;
            }

            _unknown ??= fault;
        }

        return _unknown ?? CheckResult.Valid(Name, $"{_invoked.Count} transfers between {_accounts} accounts");
    }

    private CheckResult? OnInvoked(HistoryEntry entry)
    {
        var operation = entry.Operation;
        if (operation.Kind == OperationKind.ReadAll)
        {
            var underWay = Array.FindAll(_underWay, id => id >= 0);
            _reads[entry.Process] = new ReadBegin(_acknowledged.ToArray(), underWay, _invoked.Count);
        }
        else if (operation.Kind == OperationKind.Transfer && entry.Outcome != Outcome.Fail)
        {
            if (operation.From >= _accounts || operation.To >= _accounts)
            {
                return CheckResult.Invalid(Name, "no-account", $"a transfer names an account that does not exist: there are {_accounts}", HistoryText.Describe(entry));
            }

            _mayBeOverdrawn[operation.From] |= operation.AllowsOverdraft;
            _invoked.Add(entry.Id);
            if (entry.IsUncertain)
            {
                _uncertain.Add(entry.Id);
            }
            else
            {
                _underWay[entry.Process] = entry.Id;
            }
        }

        return null;
    }

    private CheckResult? OnCompleted(HistoryEntry entry)
    {
        if (entry.Outcome != Outcome.Ok)
        {
            return null;
        }

        if (entry.Operation.Kind == OperationKind.Transfer)
        {
            _underWay[entry.Process] = -1;
            _acknowledged[entry.Operation.From] -= entry.Operation.Value;
            _acknowledged[entry.Operation.To] += entry.Operation.Value;
            return null;
        }

        return entry.Operation.Kind == OperationKind.ReadAll ? CheckRead(entry) : null;
    }

    private CheckResult? CheckRead(HistoryEntry entry)
    {
        var fault = CheckTotals(entry, entry.Balances);
        if (fault is not null || _options.Initial is null || entry.IsWeakRead)
        {
            return fault;
        }

        var result = Explain(entry, entry.Balances, _reads[entry.Process]!);
        if (result is { Verdict: Verdict.Unknown })
        {
            _unknown ??= result;
            return null;
        }

        return result;
    }

    private CheckResult? CheckTotals(HistoryEntry? read, long[] balances)
    {
        if (balances.Length != _accounts || balances.Sum() != _total)
        {
            var text = $"{balances.Length} accounts with {balances.Sum()} in total were read, where {_accounts} with {_total} are";
            return CheckResult.Invalid(Name, "wrong-total", text, Describe(read));
        }

        for (var account = 0; account < _accounts; account++)
        {
            if (balances[account] < 0 && !_mayBeOverdrawn[account])
            {
                return CheckResult.Invalid(Name, "negative-balance", $"account {account} is at {balances[account]}, and no transfer may overdraw it", Describe(read));
            }
        }

        return null;
    }

    /// <summary>Whether some transfers whose effect is open make up the difference to what was acknowledged when the read began.</summary>
    private CheckResult? Explain(HistoryEntry? read, long[] balances, ReadBegin begin)
    {
        if (_options.Initial is null)
        {
            return null;
        }

        var open = new List<int>(_uncertain);
        open.AddRange(begin.UnderWay);
        for (var i = begin.Invoked; i < _invoked.Count; i++)
        {
            if (!_entries[_invoked[i]].IsUncertain)
            {
                open.Add(_invoked[i]);
            }
        }

        var difference = new long[_accounts];
        for (var account = 0; account < _accounts; account++)
        {
            difference[account] = balances[account] - begin.Acknowledged[account];
        }

        var search = new TransferSubset(_entries, open, _beliefs, _options.MaxSteps);
        return search.Find(difference) switch
        {
            Verdict.Valid => null,
            Verdict.Unknown => CheckResult.Unknown(Name, "bound", $"gave up explaining a state by {open.Count} transfers whose effect is open", Describe(read)),
            Verdict.Invalid => Unexplained(read, begin, open),
        };
    }

    private CheckResult Unexplained(HistoryEntry? read, ReadBegin begin, List<int> open)
    {
        var lines = new List<string>
        {
            Describe(read),
            $"acknowledged before it: {HistoryText.List(begin.Acknowledged)}",
            $"under way or of unknown outcome, {open.Count}:",
        };
        foreach (var id in open)
        {
            lines.Add($"  {HistoryText.Describe(_entries[id])}");
        }

        return CheckResult.Invalid(Name, "unexplained-balances", "the balances are not what the acknowledged transfers and any of the open ones make", lines);
    }

    private static string Describe(HistoryEntry? read) => read is null ? "the final state" : HistoryText.Describe(read);

    /// <summary>What was so when a read began: the acknowledged balances, the transfers under way, and how many had been invoked.</summary>
    private sealed record ReadBegin(long[] Acknowledged, int[] UnderWay, int Invoked);
}
