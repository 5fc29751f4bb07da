namespace Dqlite.Net.Transport;

/// <summary>Where the answer to one request is left for the thread that sends it. What comes after the first answer is ignored.</summary>
internal sealed class ReplySlot
{
    private readonly object gate = new();
    private NodeMessage? reply;
    private bool isCancelled;

    /// <summary>Leaves the answer; from any thread.</summary>
    public void Set(NodeMessage message)
    {
        ArgumentNullException.ThrowIfNull(message);
        lock (gate)
        {
            reply ??= message;
            Monitor.Pulse(gate);
        }
    }

    /// <summary>Ends the wait without an answer.</summary>
    public void Cancel()
    {
        lock (gate)
        {
            isCancelled = true;
            Monitor.Pulse(gate);
        }
    }

    /// <summary>Waits for the answer.</summary>
    /// <returns>Null when there is none in time.</returns>
    public NodeMessage? Wait(TimeSpan timeout)
    {
        lock (gate)
        {
            // Whoever pulses has set one of the two.
            if (reply is null && !isCancelled)
            {
                Monitor.Wait(gate, timeout);
            }

            return reply;
        }
    }
}
