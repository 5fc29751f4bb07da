namespace Dqlite.Sqlite;

/// <summary>What a <see cref="PageDatabase"/> reports. The calls come on the thread that caused them, inside SQLite, with no lock
/// held. They must not call SQLite and, except for <see cref="ReadBarrier"/>, must not block. An exception does not leave the call:
/// it is kept in <see cref="PageDatabase.EventFailure"/> and thrown by the next call that drives the database.</summary>
public interface IPageDatabaseEvents
{
    /// <summary>The queue of drafts became non-empty: <see cref="PageDatabase.Poll"/> has something.</summary>
    void OnDraft();

    /// <summary>A queued slot request was decided.</summary>
    /// <param name="ticket">As given to <see cref="PageDatabase.RequestSlot"/>.</param>
    /// <param name="resultCode"><see cref="ShimResult.Ok"/>: the ticket has the slot.</param>
    void OnSlot(ulong ticket, int resultCode);

    /// <summary>Makes what is committed here linearizable; may block.</summary>
    /// <returns><see cref="ShimResult.Ok"/> or <see cref="ShimResult.NotLeader"/>.</returns>
    int ReadBarrier();

    /// <summary>A page of the file does not match its checksum.</summary>
    /// <param name="pageNumber">Which.</param>
    void OnRot(uint pageNumber);
}
