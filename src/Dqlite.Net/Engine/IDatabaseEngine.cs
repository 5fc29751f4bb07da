using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>
/// What a connection needs of its node: the seam between ADO.NET and the replicator. Every returned task is the task of a
/// TaskCompletionSource that runs its continuations asynchronously (or is already completed), so a synchronous caller may block
/// on it with Task.Wait even when every thread of the pool is blocked: completions come from the node's own threads.
/// </summary>
internal interface IDatabaseEngine
{
    /// <summary>Name of the database, as given to OpenDatabaseAsync.</summary>
    string Name { get; }

    /// <summary>Absolute path of the main database file, to open with vfs=dqlite.</summary>
    string Path { get; }

    /// <summary>The page store.</summary>
    IPageStore Pages { get; }

    /// <summary>Whether drafting is open on this node: it leads, its no-op is committed and everything up to it applied.</summary>
    bool CanWrite { get; }

    /// <summary>Address of the current leader, or null when none is known.</summary>
    string? LeaderAddress { get; }

    /// <summary>Highest log index that is applied to this database here.</summary>
    long AppliedIndex { get; }

    /// <summary>
    /// Completes when a snapshot taken from now on satisfies the level; begun after this call (dissertation section 6.4).
    /// Faults with a transient <see cref="DqliteException"/> (not leader, no quorum) when that cannot be had.
    /// </summary>
    /// <param name="level">Linearizable, Session, Local or Bounded.</param>
    /// <param name="sessionIndex">For Session: the log index that the session has seen.</param>
    /// <param name="maxStaleness">For Bounded.</param>
    Task BeginReadAsync(ReadConsistency level, long sessionIndex, TimeSpan maxStaleness);

    /// <summary>A ticket that no other request of this database uses.</summary>
    ulong NextTicket();

    /// <summary>Completes when the ticket holds the writer slot. Faults with a transient DqliteException when this node may not write.</summary>
    /// <param name="ticket">From <see cref="NextTicket"/>.</param>
    Task AcquireWriterAsync(ulong ticket);

    /// <summary>Gives up a ticket in whatever state it is: queued, granted or gone. Idempotent.</summary>
    /// <param name="ticket">From <see cref="NextTicket"/>.</param>
    void ReleaseWriter(ulong ticket);

    /// <summary>
    /// Completes when the draft is decided. A result: committed at that index. Faults with a transient DqliteException
    /// (<see cref="ShimResult.LeadershipLost"/> or NotLeader) when it is known never to take effect, and with a
    /// <see cref="DqliteUnknownOutcomeException"/> when this node stops before the log has decided.
    /// </summary>
    /// <param name="lsn">The draft (VfsHandleState.DraftLsn).</param>
    Task<CommitId> WaitCommittedAsync(ulong lsn);

    /// <summary>
    /// The output gate for a result that was derived from drafts: completes when everything up to the LSN is committed; faults
    /// with a transient DqliteException when one of those drafts was dropped, and the result must not leave the library.
    /// </summary>
    /// <param name="snapshotLsn">The snapshot that the result was read at (VfsHandleState.SnapshotLsn).</param>
    Task WaitCoveredAsync(ulong snapshotLsn);

    /// <summary>Completes with the id of a draft's commit as soon as it has been proposed, for an unknown-outcome error; null when it was dropped unproposed (definitely no effect).</summary>
    /// <param name="lsn">The draft.</param>
    Task<CommitId?> GetCommitIdAsync(ulong lsn);

    /// <summary>What became of a commit; see <see cref="DqliteDataSource.GetOutcomeAsync"/>.</summary>
    /// <param name="commit">The id.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    Task<CommitOutcome> GetOutcomeAsync(CommitId commit, CancellationToken cancellationToken);

    /// <summary>Writes a consistent plain SQLite file of this node's state.</summary>
    /// <param name="path">A file that does not exist.</param>
    /// <param name="cancellationToken">Ends the export; the file is removed.</param>
    Task ExportAsync(string path, CancellationToken cancellationToken);
}
