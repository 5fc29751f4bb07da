using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>When the log has decided about a proposal.</summary>
internal static class LogDecision
{
    /// <summary>
    /// Whether a committed entry decides about a proposal: at its index, or below it with a higher term. Terms never fall along a log, so a log
    /// that holds the committed entry cannot hold the proposal behind it, and every later leader's log does (Raft section 5.4). Without the
    /// second case a proposal that was lost at the end of an idle log would stay undecided for ever.
    /// </summary>
    public static bool IsDecided(LogIndex proposed, Term proposedTerm, LogIndex committed, Term committedTerm) =>
        proposed == committed || (proposed > committed && committedTerm > proposedTerm);
}
