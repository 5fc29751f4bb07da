namespace Dqlite.Simulation.Checking;

/// <summary>Runs the checkers whose operations a history holds.</summary>
internal static class HistoryChecker
{
    /// <summary>The result of each checker that had something to check; when none had, one that knows nothing.</summary>
    public static IReadOnlyList<CheckResult> Check(History history, RegisterOptions? registers = null, BankOptions? bank = null)
    {
        var (hasRegisters, hasLists, hasBank) = (false, false, false);
        foreach (var entry in history.Entries)
        {
            var kind = entry.Operation.Kind;
            hasRegisters |= kind is OperationKind.Read or OperationKind.Write or OperationKind.Cas;
            hasLists |= kind == OperationKind.Transaction;
            hasBank |= kind is OperationKind.Transfer or OperationKind.ReadAll;
        }

        var results = new List<CheckResult>();
        if (hasRegisters)
        {
            results.Add(RegisterLinearizability.Check(history, registers));
        }

        if (hasLists)
        {
            results.Add(ListAppendSerializability.Check(history));
        }

        if (hasBank)
        {
            results.Add(BankChecker.Check(history, bank));
        }

        return results.Count > 0 ? results : [CheckResult.Unknown("history", "empty", "it holds no operation")];
    }
}
