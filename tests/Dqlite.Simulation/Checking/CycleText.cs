namespace Dqlite.Simulation.Checking;

/// <summary>A cycle of transactions in words: each of them, and why it has to come before the next.</summary>
internal sealed class CycleText(TransactionSet set)
{
    /// <summary>The cycle as a result.</summary>
    public CheckResult ToResult(string checker, List<CycleEdge> cycle)
    {
        var lines = new List<string>();
        foreach (var edge in cycle)
        {
            lines.Add(HistoryText.Describe(set.Entries[edge.From]));
            lines.Add($"  before #{set.Entries[edge.To].Id}, since {Reason(edge)}");
        }

        var name = CycleSearch.Name(cycle);
        return CheckResult.Invalid(checker, name, $"{cycle.Count} transactions would each have to come before the next, in a circle", lines);
    }

    private string Reason(CycleEdge edge)
    {
        var key = edge.Key >= 0 ? set.Key(edge.Key) : 0;
        return edge.Kind switch
        {
            Dependency.WriteWrite => $"{Appended(edge.To, edge.Key)} was appended to key {key} behind its {LastAppended(edge.From, edge.Key)} (ww)",
            Dependency.WriteRead => $"its {LastAppended(edge.From, edge.Key)} on key {key} was read there (wr)",
            Dependency.ReadWrite => $"it read key {key} without the {Appended(edge.To, edge.Key)} that was appended there (rw)",
            Dependency.Session => "the same client did it before and asked for its session's order",
            Dependency.RealTime => $"it completed before that was invoked at {HistoryText.Time(set.Entries[edge.To].InvokedNs)} (real time)",
            _ => throw new InvalidOperationException($"{edge.Kind} is not an edge between transactions."),
        };
    }

    private string Appended(int transaction, int key) => Value(transaction, key, Array.FindIndex);

    private string LastAppended(int transaction, int key) => Value(transaction, key, Array.FindLastIndex);

    private string Value(int transaction, int key, Func<MicroOperation[], Predicate<MicroOperation>, int> find)
    {
        var steps = set.Entries[transaction].Operation.Steps;
        var number = set.Key(key);
        return HistoryText.Value(steps[find(steps, step => step.Key == number && step.Appended is not null)].Appended);
    }
}
