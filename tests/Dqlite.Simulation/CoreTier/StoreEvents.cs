using Dqlite.Sqlite;

namespace Dqlite.Simulation.CoreTier;

/// <summary>
/// Tells what happened, once the call that caused it has left everything in order. An exception of the receiver is kept, as in
/// <see cref="PageDatabase"/>: the next call that drives the database throws it.
/// </summary>
internal sealed class StoreEvents(IPageDatabaseEvents receiver)
{
    private readonly Queue<(ulong Ticket, int Code)> _decidedSlots = new();
    private bool _hasDraft;
    private bool _isRaising;
    private bool _isSilent;

    /// <summary>The first exception of the receiver, or null.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>The queue of drafts became non-empty.</summary>
    public void AddDraft() => _hasDraft = true;

    /// <summary>A queued ticket was decided.</summary>
    public void AddSlot(ulong ticket, int code) => _decidedSlots.Enqueue((ticket, code));

    /// <summary>Nothing is told any more.</summary>
    public void Silence() => _isSilent = true;

    /// <summary>Tells a rotten page at once.</summary>
    public void RaiseRot(uint page) => Call(() => receiver.OnRot(page));

    /// <summary>Tells what was added. What the receiver causes meanwhile follows in its turn.</summary>
    public void Raise()
    {
        if (_isRaising)
        {
            return;
        }

        _isRaising = true;
        while (_hasDraft || _decidedSlots.Count > 0)
        {
            if (_hasDraft)
            {
                _hasDraft = false;
                Call(receiver.OnDraft);
            }
            else
            {
                var (ticket, code) = _decidedSlots.Dequeue();
                Call(() => receiver.OnSlot(ticket, code));
            }
        }

        _isRaising = false;
    }

    private void Call(Action handler)
    {
        if (_isSilent)
        {
            return;
        }

        try
        {
            handler();
        }
#pragma warning disable CA1031 // The boundary to whoever receives: what it throws must not unwind a half-finished transaction.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Failure ??= exception;
        }
    }
}
