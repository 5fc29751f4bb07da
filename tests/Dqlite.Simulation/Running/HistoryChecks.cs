using Dqlite.Simulation.Checking;
using Dqlite.Simulation.Workload;

namespace Dqlite.Simulation.Running;

/// <summary>All checks of one history.</summary>
internal static class HistoryChecks
{
    /// <summary>Their verdicts.</summary>
    public static IReadOnlyList<CheckResult> Run(History history, WorkloadShape shape) =>
    [
        RegisterLinearizability.Check(history),
        ListAppendSerializability.Check(history),
        BankChecker.Check(history, [.. Enumerable.Repeat(shape.InitialBalance, shape.Accounts)]),
    ];
}
