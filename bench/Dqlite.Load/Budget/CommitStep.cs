namespace Dqlite.Load.Budget;

/// <summary>What happens to a commit, as the event source "Dqlite.Net" names it.</summary>
internal enum CommitStep
{
    /// <summary>The client has begun its statement. Noted by the tool.</summary>
    Begun,

    /// <summary>See the events in docs/HACKING.md; so are the following.</summary>
    DraftQueued,
    Proposed,
    LogOrdered,
    LogBegun,
    LogWritten,
    LogFlushed,
    AppendSent,
    AppendReceived,
    AckSent,
    AckReceived,
    Committed,
    Applied,
    WaiterCompleted,

    /// <summary>The client goes on. Noted by the tool.</summary>
    Ended,
}

/// <summary>One of them.</summary>
/// <param name="Step">Which.</param>
/// <param name="Node">On which node; 0 for the client.</param>
/// <param name="Index">Of the entry; 0 where it is not known.</param>
/// <param name="At">When, by the clock of <see cref="System.Diagnostics.Stopwatch"/>.</param>
internal readonly record struct CommitEvent(CommitStep Step, long Node, long Index, long At);
