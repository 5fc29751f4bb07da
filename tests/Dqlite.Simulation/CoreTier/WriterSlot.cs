using Dqlite.Sqlite;

namespace Dqlite.Simulation.CoreTier;

/// <summary>
/// The right to write, one per database, in the order of the requests.
/// <code>
/// free --request--> held --commit point, release, revoke--> free, or held by the first that waits
/// </code>
/// </summary>
internal sealed class WriterSlot(StoreEvents events, Func<bool> isOpen)
{
    private readonly LinkedList<ulong> _queue = new();
    private ulong _holder;
    private StoreHandle? _handle;

    /// <summary>Takes the slot or a place in the queue.</summary>
    /// <returns>Whether it was granted.</returns>
    public bool Request(ulong ticket)
    {
        if (_queue.Count == 0 && _holder == 0 && isOpen())
        {
            _holder = ticket;
            return true;
        }

        _queue.AddLast(ticket);
        return false;
    }

    /// <summary>Leaves the queue; false when the ticket does not wait.</summary>
    public bool Cancel(ulong ticket) => _queue.Remove(ticket);

    /// <summary>Whether the ticket has the slot.</summary>
    public bool IsHeldBy(ulong ticket) => ticket != 0 && _holder == ticket;

    /// <summary>Whether a connection writes with it.</summary>
    public bool IsHeldBy(StoreHandle handle) => _handle == handle;

    /// <summary>A connection uses the slot of its ticket.</summary>
    public void Arm(StoreHandle handle) => _handle = handle;

    /// <summary>Gives the slot up.</summary>
    public void Free()
    {
        _holder = 0;
        _handle = null;
        Pump();
    }

    /// <summary>Gives a free slot to the first that waits.</summary>
    public void Pump()
    {
        if (_holder == 0 && _queue.First is { } first && isOpen())
        {
            _queue.RemoveFirst();
            _holder = first.Value;
            events.AddSlot(first.Value, ShimResult.Ok);
        }
    }

    /// <summary>Takes the slot from its holder, whose transaction can no longer draft.</summary>
    public void TakeFromHolder(int code)
    {
        if (_holder != 0)
        {
            _handle?.OnSlotLost(code);
            Free();
        }
    }

    /// <summary>Everyone who waits gets an answer, and the holder loses the slot.</summary>
    public void Close(int code)
    {
        foreach (var ticket in _queue)
        {
            events.AddSlot(ticket, code);
        }

        _queue.Clear();
        TakeFromHolder(code);
    }
}
