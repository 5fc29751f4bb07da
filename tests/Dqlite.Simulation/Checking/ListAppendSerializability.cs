namespace Dqlite.Simulation.Checking;

/// <summary>
/// Strict serializability of transactions that append to lists and read them, in time linear in their steps (the idea of Elle: Kingsbury and Alvaro,
/// "Elle: Inferring isolation anomalies from experimental observations", 2020). A list shows the order of its appends, so the order of versions is
/// not guessed; with it and real time every dependency is known, and the history is strictly serializable exactly when the dependencies have no
/// cycle. Uncertain transactions take part when someone read one of their appends; else they may as well never have happened.
///
/// Weaker reads, asked for by <see cref="ReadLevel"/>, may be old, but what they saw was committed: they have to fit into the same order, they
/// come before whatever is invoked after them, and a read of level Session comes behind what its client did before. Each database has sessions of
/// its own, so a history with such reads is one of one database.
/// </summary>
internal static class ListAppendSerializability
{
    /// <summary>The name in results.</summary>
    public const string Name = "list-append serializability";

    /// <summary>Checks all transactions of a history.</summary>
    public static CheckResult Check(History history)
    {
        var set = new TransactionSet(history);
        if (set.Duplicate != TransactionSet.None)
        {
            var append = set.Duplicate;
            var text = $"{set.ValueOf(append)} is appended to key {set.Key(set.KeyOf(append))} by two operations of the workload: nothing can be inferred";
            return CheckResult.Unknown(Name, "ambiguous", text, HistoryText.Describe(set.Entries[set.TransactionOf(append)]));
        }

        var timeline = new Timeline(history);
        var reads = ListReads.Of(set);
        if (reads.Fault is { } internalFault)
        {
            return internalFault.ToResult(Name, set);
        }

        var orders = VersionOrders.Infer(set, reads.All, timeline);
        if (orders.Fault is { } fault)
        {
            return fault.ToResult(Name, set);
        }

        var graph = DependencyEdges.Build(set, orders, reads.All, timeline);
        return CycleSearch.Find(graph) is { } cycle
            ? new CycleText(set).ToResult(Name, cycle)
            : CheckResult.Valid(Name, $"{set.Entries.Length} transactions on {set.Keys} keys");
    }
}
