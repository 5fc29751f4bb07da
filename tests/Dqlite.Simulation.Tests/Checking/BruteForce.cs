using Dqlite.Simulation.Checking;

namespace Dqlite.Simulation.Tests.Checking;

/// <summary>
/// The definition itself, for small histories: tries every order of every choice of operations that may have taken effect, and executes it. Shares
/// nothing with the checkers but the record of a history.
/// </summary>
internal sealed class BruteForce
{
    private readonly HistoryEntry[] _entries;
    private readonly bool[] _isPlaced;
    private readonly Dictionary<long, long> _registers = [];
    private readonly Dictionary<long, List<long>> _lists = [];

    private BruteForce(History history)
    {
        _entries = history.Entries.Where(entry => entry.Outcome != Outcome.Fail && !(entry.IsUncertain && !entry.Operation.IsWrite)).ToArray();
        _isPlaced = new bool[_entries.Length];
    }

    /// <summary>Whether some order explains everything that clients were told.</summary>
    public static bool IsValid(History history) => new BruteForce(history).Place();

    private bool Place()
    {
        if (Enumerable.Range(0, _entries.Length).All(i => _isPlaced[i] || _entries[i].IsUncertain))
        {
            return true;
        }

        for (var i = 0; i < _entries.Length; i++)
        {
            if (!_isPlaced[i] && !HasUnplacedPredecessor(i) && TryPlace(i))
            {
                return true;
            }
        }

        return false;
    }

    private bool TryPlace(int index)
    {
        _isPlaced[index] = true;
        var entry = _entries[index];
        var isFound = entry.Operation.Kind == OperationKind.Transaction ? PlaceTransaction(entry) : PlaceRegister(entry);
        _isPlaced[index] = false;
        return isFound;
    }

    private bool PlaceRegister(HistoryEntry entry)
    {
        var operation = entry.Operation;
        long? held = _registers.TryGetValue(operation.Key, out var value) ? value : null;
        if ((operation.Kind == OperationKind.Read && held != entry.Value) || (operation.Kind == OperationKind.Cas && held != operation.Expected))
        {
            return false;
        }

        if (operation.Kind != OperationKind.Read)
        {
            _registers[operation.Key] = operation.Value;
        }

        var isFound = Place();
        _registers.Remove(operation.Key);
        if (held is { } before)
        {
            _registers[operation.Key] = before;
        }

        return isFound;
    }

    private bool PlaceTransaction(HistoryEntry entry)
    {
        var steps = entry.Operation.Steps;
        var done = 0;
        var fits = true;
        for (; done < steps.Length && fits; done++)
        {
            if (!_lists.TryGetValue(steps[done].Key, out var list))
            {
                _lists.Add(steps[done].Key, list = []);
            }

            if (steps[done].Appended is { } value)
            {
                list.Add(value);
            }
            else if (entry.Outcome == Outcome.Ok)
            {
                fits = list.SequenceEqual(entry.Lists[done] ?? []);
            }
        }

        var isFound = fits && Place();
        while (--done >= 0)
        {
            if (steps[done].Appended is not null)
            {
                var list = _lists[steps[done].Key];
                list.RemoveAt(list.Count - 1);
            }
        }

        return isFound;
    }

    /// <summary>Only what was acknowledged precedes anything: in real time, or in a session's order.</summary>
    private bool HasUnplacedPredecessor(int index)
    {
        for (var i = 0; i < _entries.Length; i++)
        {
            if (!_isPlaced[i] && i != index && _entries[i].Outcome == Outcome.Ok && Precedes(_entries[i], _entries[index]))
            {
                return true;
            }
        }

        return false;
    }

    private static bool Precedes(HistoryEntry first, HistoryEntry second)
    {
        if (first.CompletedOrder > second.InvokedOrder)
        {
            return false;
        }

        var isSession = second.Operation.Level == ReadLevel.Session && second.Operation.Kind == OperationKind.Transaction && second.Outcome == Outcome.Ok;
        var isLocal = first.IsWeakRead && first.Operation.Level == ReadLevel.Local;
        return !second.IsWeakRead || (isSession && first.Process == second.Process && !isLocal);
    }
}
