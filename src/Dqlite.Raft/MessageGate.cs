namespace Dqlite.Raft;

/// <summary>
/// Holds messages back until the term and vote under which they were made are durable (R1). One state is pending per change; reports
/// come in order and may skip those that were overwritten before they were written.
/// </summary>
internal sealed class MessageGate
{
    private readonly Queue<HardState> _pending = new();
    private readonly List<RaftMessage> _withheld = [];

    /// <summary>Whether the current state is durable, so that messages may leave.</summary>
    public bool IsOpen => _pending.Count == 0;

    /// <summary>Term or vote changed. What was withheld under an older term will never be sent: its term is over.</summary>
    public void Changed(HardState state)
    {
        _pending.Enqueue(state);
        _withheld.RemoveAll(message => message.Term < state.CurrentTerm);
    }

    public void Withhold(RaftMessage message) => _withheld.Add(message);

    /// <summary>A state was reported as durable. Returns the messages that may leave now.</summary>
    public IReadOnlyList<RaftMessage> Persisted(HardState state)
    {
        if (!_pending.Contains(state))
        {
            return [];
        }

        while (_pending.Dequeue() != state)
        {
        }

        if (!IsOpen)
        {
            return [];
        }

        var released = _withheld.ToArray();
        _withheld.Clear();
        return released;
    }
}
