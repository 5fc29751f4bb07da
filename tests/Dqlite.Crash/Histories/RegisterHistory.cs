namespace Dqlite.Crash.Histories;

/// <summary>The events of all clients. Thread-safe.</summary>
internal sealed class RegisterHistory
{
    private readonly Lock _lock = new();
    private readonly List<HistoryEvent> _events = [];

    public void Add(HistoryEvent happened)
    {
        lock (_lock)
        {
            _events.Add(happened);
        }
    }

    /// <summary>All events in the order of their times. What one client says comes in order already, and stays so.</summary>
    public IReadOnlyList<HistoryEvent> InOrder()
    {
        lock (_lock)
        {
            return [.. _events.OrderBy(happened => happened.TimeNs)];
        }
    }

    /// <summary>Writes the history as JSON lines.</summary>
    public static void Write(string path, IEnumerable<HistoryEvent> events) => File.WriteAllLines(path, events.Select((happened, index) => happened.ToJson(index)));
}
