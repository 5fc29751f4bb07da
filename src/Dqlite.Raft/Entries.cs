namespace Dqlite.Raft;

/// <summary>What an entry is to the core. The values are stored on disk and sent to peers.</summary>
public enum EntryKind : byte
{
    /// <summary>Appended by a new leader at the start of its term (Raft section 8).</summary>
    NoOp = 1,

    /// <summary>A membership (dissertation chapter 4); in force as soon as it is in the log.</summary>
    Configuration = 2,

    /// <summary>Bytes that belong to the application; opaque to the core.</summary>
    Application = 3,
}

/// <summary>One entry of the replicated log. Immutable; the payload's bytes must not change after the entry is handed over.</summary>
/// <param name="Index">Position in the log.</param>
/// <param name="Term">Term of the leader that created it.</param>
/// <param name="Kind">What it is to the core.</param>
/// <param name="Payload">The application's bytes, or an encoded <see cref="ClusterConfiguration"/>; empty for a no-op.</param>
public sealed record LogEntry(LogIndex Index, Term Term, EntryKind Kind, ReadOnlyMemory<byte> Payload);

/// <summary>What the core itself must know of an entry that is in the log.</summary>
/// <param name="Term">Term of the leader that created it.</param>
/// <param name="Kind">What it is to the core.</param>
/// <param name="SizeBytes">Size of its payload, for flow control.</param>
public readonly record struct EntryInfo(Term Term, EntryKind Kind, int SizeBytes);

/// <summary>The first index of a term's entries in this log. The table of term starts is kept for ever, so that
/// "is (index, term) committed?" stays decidable after compaction.</summary>
/// <param name="Term">The term.</param>
/// <param name="FirstIndex">Index of the first entry of that term.</param>
public readonly record struct TermStart(Term Term, LogIndex FirstIndex);

/// <summary>How a member takes part.</summary>
public enum MemberRole : byte
{
    /// <summary>Votes, and counts for the majority.</summary>
    Voter = 1,

    /// <summary>Receives the log, never votes and never campaigns (dissertation section 4.2.1).</summary>
    NonVoter = 2,
}

/// <summary>One member of a cluster.</summary>
/// <param name="Id">Its number; never reused.</param>
/// <param name="Address">Where its peers reach it, as host:port. Empty in a cluster of one that listens nowhere.</param>
/// <param name="Incarnation">Identity of its data directory (32 hexadecimal digits); the same id with another one is refused.</param>
/// <param name="Role">How it takes part.</param>
public sealed record ClusterMember(NodeId Id, string Address, string Incarnation, MemberRole Role);
