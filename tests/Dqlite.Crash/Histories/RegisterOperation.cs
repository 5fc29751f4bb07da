namespace Dqlite.Crash.Histories;

/// <summary>An operation: its two events as one.</summary>
/// <param name="Function">What it does.</param>
/// <param name="Key">The register.</param>
/// <param name="Value">What was read, or is written.</param>
/// <param name="Expected">For cas: what it replaces.</param>
/// <param name="Outcome">Ok, Fail or Info.</param>
/// <param name="StartNs">When it began.</param>
/// <param name="EndNs">When it was over; <see cref="Never"/> for an unknown outcome, which may take effect at any later time.</param>
internal sealed record RegisterOperation(RegisterFunction Function, int Key, long? Value, long? Expected, EventType Outcome, long StartNs, long EndNs)
{
    public const long Never = long.MaxValue;

    /// <summary>Whether it may have written its value.</summary>
    public bool MayWrite => Function != RegisterFunction.Read && Outcome != EventType.Fail;

    /// <summary>The value that it is known to have seen in the register; only when <see cref="Sees"/>.</summary>
    public long? Seen => Function == RegisterFunction.Read ? Value : Expected;

    /// <summary>Whether it is known to have seen a value.</summary>
    public bool Sees => Outcome == EventType.Ok && Function != RegisterFunction.Write;

    /// <summary>Pairs the events of each process. An operation without an end has an unknown outcome.</summary>
    public static IReadOnlyList<RegisterOperation> Pair(IReadOnlyList<HistoryEvent> events)
    {
        var operations = new List<RegisterOperation>();
        var begun = new SortedDictionary<long, HistoryEvent>();
        foreach (var happened in events)
        {
            if (happened.Type == EventType.Invoke)
            {
                begun.Add(happened.Process, happened);
            }
            else if (begun.Remove(happened.Process, out var invoke))
            {
                operations.Add(Of(invoke, happened));
            }
            else
            {
                throw new InvalidDataException($"Process {happened.Process} ends an operation that it has not begun.");
            }
        }

        operations.AddRange(begun.Values.Select(invoke => Of(invoke, invoke with { Type = EventType.Info })));
        return operations;
    }

    private static RegisterOperation Of(HistoryEvent invoke, HistoryEvent end) => new(
        invoke.Function, invoke.Key, end.Value, end.Expected, end.Type, invoke.TimeNs, end.Type == EventType.Info ? Never : end.TimeNs);
}
