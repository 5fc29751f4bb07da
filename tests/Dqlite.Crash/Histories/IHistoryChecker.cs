namespace Dqlite.Crash.Histories;

/// <summary>Says whether a history of registers is linearizable.</summary>
internal interface IHistoryChecker
{
    /// <summary>Looks for what no order of the operations could explain.</summary>
    /// <param name="events">In the order of their times.</param>
    /// <returns>What is wrong; empty when the checker finds nothing.</returns>
    IReadOnlyList<string> FindViolations(IReadOnlyList<HistoryEvent> events);
}
