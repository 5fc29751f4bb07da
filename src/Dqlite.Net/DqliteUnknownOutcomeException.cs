using Dqlite.Sqlite;

namespace Dqlite.Net;

/// <summary>
/// A commit was handed to the cluster and its fate is not known: the time was up, the wait was cancelled or the node stopped after the commit
/// point. It may take effect later. Never transient: ask <see cref="DqliteDataSource.GetOutcomeAsync"/> before the work is run again.
/// </summary>
public sealed class DqliteUnknownOutcomeException : DqliteException
{
    /// <summary>Makes the error.</summary>
    /// <param name="message">What happened; null for the usual text.</param>
    /// <param name="commitId">The commit, or null when it had no place in the log yet.</param>
    /// <param name="innerException">The cause, such as the cancellation.</param>
    public DqliteUnknownOutcomeException(string? message, CommitId? commitId, Exception? innerException = null)
        : base(message ?? Describe(commitId), ShimResult.OutcomeUnknown, isTransient: false, leaderAddress: null, innerException) =>
        CommitId = commitId;

    /// <summary>
    /// Identifies the commit, to ask for its outcome on any node. Null only when this node gave up before the commit had a place in the log
    /// and could not tell whether it would get one.
    /// </summary>
    public CommitId? CommitId { get; }

    private static string Describe(CommitId? commitId) => commitId is { } id
        ? $"The commit was not confirmed in time. Whether it takes effect is unknown; ask GetOutcomeAsync for '{id}' before it is run again."
        : ShimResult.Describe(ShimResult.OutcomeUnknown);
}
