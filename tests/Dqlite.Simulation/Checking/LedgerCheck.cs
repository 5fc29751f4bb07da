namespace Dqlite.Simulation.Checking;

/// <summary>Which inserts have to lie in the order in which they happened.</summary>
internal enum LedgerOrder : byte
{
    /// <summary>Those of the same client.</summary>
    PerClient,

    /// <summary>All of a database: for tables whose rows are in the order of their commits.</summary>
    AcrossClients,
}

/// <summary>
/// Compares a ledger with what the databases hold in the end: each acknowledged tag is there exactly once, a failed one never, an uncertain one at
/// most once, and one that was acknowledged before another was begun lies in front of it.
/// </summary>
internal sealed class LedgerCheck
{
    /// <summary>The name in results.</summary>
    public const string Name = "ledger";

    /// <summary>Faults of each kind that are listed.</summary>
    private const int MaxListed = 10;

    /// <summary>The kinds of faults, the worst first: it names the result.</summary>
    private static readonly string[] Kinds =
        ["lost-write", "duplicate-write", "failed-write-present", "never-written", "wrong-database", "wrong-order"];

    private static readonly string[] Descriptions =
    [
        "acknowledged tags are missing", "tags are there more than once", "tags of failed inserts are there", "tags are there that nobody inserted",
        "tags are in another database than they were inserted into", "tags lie in front of ones that were acknowledged before they were begun",
    ];

    private readonly Ledger _ledger;
    private readonly bool[] _isFound;
    private readonly List<string>[] _listed;
    private readonly int[] _counts;
    private int _rows;

    private LedgerCheck(Ledger ledger)
    {
        _ledger = ledger;
        _isFound = new bool[ledger.Entries.Count];
        _counts = new int[Kinds.Length];
        _listed = Array.ConvertAll(Kinds, _ => new List<string>());
    }

    private enum Fault
    {
        Lost,
        Duplicate,
        Failed,
        Unknown,
        WrongDatabase,
        Order,
    }

    /// <summary>Compares. Each database is given once; one that is not given counts as empty.</summary>
    public static CheckResult Run(Ledger ledger, IReadOnlyList<LedgerState> states, LedgerOrder order = LedgerOrder.PerClient)
    {
        var check = new LedgerCheck(ledger);
        foreach (var state in states)
        {
            check.CheckTags(state);
            check.CheckOrder(state, order);
        }

        check.CheckMissing();
        return check.Result();
    }

    private void CheckTags(LedgerState state)
    {
        foreach (var tag in state.Tags)
        {
            _rows++;
            if (_ledger.Find(tag) is not { } entry)
            {
                Report(Fault.Unknown, $"tag {tag} in '{state.Database}'");
                continue;
            }

            if (_isFound[entry.Id])
            {
                Report(Fault.Duplicate, entry.ToString());
            }

            if (entry.Outcome == Outcome.Fail)
            {
                Report(Fault.Failed, entry.ToString());
            }

            if (!string.Equals(entry.Database, state.Database, StringComparison.Ordinal))
            {
                Report(Fault.WrongDatabase, $"{entry}, but in '{state.Database}'");
            }

            _isFound[entry.Id] = true;
        }
    }

    /// <summary>An entry may not have completed before one that lies in front of it was begun: looks at the latest beginning in front of it.</summary>
    private void CheckOrder(LedgerState state, LedgerOrder order)
    {
        var latest = new List<LedgerEntry?>();
        foreach (var tag in state.Tags)
        {
            if (_ledger.Find(tag) is not { } entry)
            {
                continue;
            }

            var group = order == LedgerOrder.PerClient ? entry.Client : 0;
            while (latest.Count <= group)
            {
                latest.Add(null);
            }

            var before = latest[group];
            if (before is not null && entry.Outcome == Outcome.Ok && entry.CompletedOrder < before.InvokedOrder)
            {
                Report(Fault.Order, $"{before}, lies in front of {entry}");
            }

            latest[group] = before is null || entry.InvokedOrder > before.InvokedOrder ? entry : before;
        }
    }

    private void CheckMissing()
    {
        foreach (var entry in _ledger.Entries)
        {
            if (entry.Outcome == Outcome.Ok && !_isFound[entry.Id])
            {
                Report(Fault.Lost, entry.ToString());
            }
        }
    }

    private void Report(Fault fault, string text)
    {
        if (_counts[(int)fault]++ < MaxListed)
        {
            _listed[(int)fault].Add(text);
        }
    }

    private CheckResult Result()
    {
        var worst = Array.FindIndex(_counts, count => count > 0);
        if (worst < 0)
        {
            return CheckResult.Valid(Name, $"{_ledger.Entries.Count} inserts, {_rows} rows");
        }

        var details = new List<string>();
        for (var i = worst; i < Kinds.Length; i++)
        {
            if (_counts[i] > 0)
            {
                details.Add($"{_counts[i]} {Descriptions[i]}:");
                details.AddRange(_listed[i].ConvertAll(line => "  " + line));
            }
        }

        return CheckResult.Invalid(Name, Kinds[worst], $"{_counts[worst]} {Descriptions[worst]}", details);
    }
}
