using Dqlite.Raft;

namespace Dqlite.Simulation.Drive;

/// <summary>The state of a node up to one entry, for a node that needs entries which are compacted.</summary>
/// <param name="Index">The last entry that it includes.</param>
/// <param name="Term">Its term.</param>
/// <param name="Configuration">The membership there.</param>
/// <param name="ConfigurationIndex">The entry that put it in force.</param>
/// <param name="TermStarts">The first index of each term up to there.</param>
internal sealed record SnapshotState(LogIndex Index, Term Term, ClusterConfiguration Configuration, LogIndex ConfigurationIndex,
    IReadOnlyList<TermStart> TermStarts);

/// <summary>What travels between two driven nodes.</summary>
/// <param name="From">The sender.</param>
/// <param name="To">The receiver.</param>
/// <param name="Type">Its name in commands and answers.</param>
internal abstract record DriveMessage(NodeId From, NodeId To, string Type)
{
    /// <summary>A message of the core.</summary>
    public sealed record Raft(RaftMessage Message) : DriveMessage(Message.From, Message.To, Message.Kind.ToString());

    /// <summary>A snapshot stream, as one message.</summary>
    public sealed record InstallSnapshot(NodeId From, NodeId To, Term LeaderTerm, SnapshotState Snapshot)
        : DriveMessage(From, To, nameof(InstallSnapshot));

    /// <summary>Its receiver's answer: it is in place.</summary>
    public sealed record InstallSnapshotResponse(NodeId From, NodeId To, LogIndex Index) : DriveMessage(From, To, nameof(InstallSnapshotResponse));

    /// <summary>All names.</summary>
    public static IReadOnlyList<string> Types { get; } =
        [.. Enum.GetNames<RaftMessageKind>(), nameof(InstallSnapshot), nameof(InstallSnapshotResponse)];
}

/// <summary>A message under way.</summary>
/// <param name="Number">Its number, counted over the whole run in the order of sending.</param>
/// <param name="Message">The message.</param>
internal sealed record Flight(long Number, DriveMessage Message);
