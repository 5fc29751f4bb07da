namespace Dqlite.Simulation.Checking;

/// <summary>What is wrong with a history of list transactions, and which of them show it.</summary>
internal sealed record ListFault(string Anomaly, string Summary, params int[] Transactions)
{
    /// <summary>The fault in words.</summary>
    public CheckResult ToResult(string checker, TransactionSet set)
    {
        var details = new List<string>();
        foreach (var transaction in Transactions)
        {
            details.Add(HistoryText.Describe(set.Entries[transaction]));
        }

        return CheckResult.Invalid(checker, Anomaly, Summary, details);
    }
}
