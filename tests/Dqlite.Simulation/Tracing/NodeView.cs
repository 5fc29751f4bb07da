using Dqlite.Raft;

namespace Dqlite.Simulation.Tracing;

/// <summary>What each line of a trace says of its node, memberships apart.</summary>
/// <param name="Term">Its current term.</param>
/// <param name="Vote">Who has its vote in that term.</param>
/// <param name="Role">What it is doing.</param>
/// <param name="Commit">Its commit index.</param>
/// <param name="Last">The last entry of its log.</param>
internal readonly record struct NodeView(Term Term, NodeId Vote, RaftRole Role, LogIndex Commit, LogIndex Last)
{
    /// <summary>The core as it is.</summary>
    public static NodeView Of(RaftCore core) => new(core.CurrentTerm, core.VotedFor, core.Role, core.CommitIndex, core.LastIndex);

    /// <summary>Whether it leads.</summary>
    public bool IsLeader => Role == RaftRole.Leader;
}
