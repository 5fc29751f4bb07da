using System.Runtime.InteropServices;

namespace Dqlite.Sqlite;

/// <summary>A <see cref="PageDatabase"/> at one moment (dq_db_state; same layout).</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct PageDatabaseState
{
    /// <summary>Last LSN that is committed; what readers see. "c" in the design.</summary>
    public ulong CommittedLsn { get; init; }

    /// <summary>Last draft; what a writer sees. "d" in the design.</summary>
    public ulong DraftLsn { get; init; }

    /// <summary>Term of <see cref="PageDatabase.Lead"/>; 0 when drafting is closed.</summary>
    public ulong Term { get; init; }

    /// <summary>The state that the file holds.</summary>
    public ulong CheckpointLsn { get; init; }

    /// <summary>Bytes of the drafts above <see cref="CommittedLsn"/>.</summary>
    public ulong UndecidedBytes { get; init; }

    /// <summary>Memory of the version store.</summary>
    public ulong VersionBytes { get; init; }

    /// <summary>Checksum of the database at <see cref="CommittedLsn"/>.</summary>
    public ulong Checksum { get; init; }

    /// <summary>Pages at <see cref="CommittedLsn"/>.</summary>
    public uint PageCount { get; init; }

    /// <summary>Page size in bytes.</summary>
    public uint PageSize { get; init; }

    /// <summary>Open connections.</summary>
    public uint Handles { get; init; }

    /// <summary>Incarnation of the database file; see <see cref="PageDatabase.Reopen"/>.</summary>
    public uint Generation { get; init; }

    internal uint PoisonedFlag { get; init; }

    /// <summary>Drafts that were not polled yet.</summary>
    public uint QueuedDrafts { get; init; }

    /// <summary>Pages read from the file since the database was opened.</summary>
    public ulong PagesReadFromFile { get; init; }

    /// <summary>Pages read from the version store since then.</summary>
    public ulong PagesReadFromStore { get; init; }

    /// <summary>Drafts made since then.</summary>
    public ulong Drafts { get; init; }

    /// <summary>Commits and applies since then.</summary>
    public ulong Commits { get; init; }

    /// <summary>Fences since then.</summary>
    public ulong Fences { get; init; }

    /// <summary>Pages whose newest committed version is not in the file.</summary>
    public ulong DirtyPages { get; init; }

    /// <summary>Highest LSN that was ever given out; a fence leaves it.</summary>
    public ulong LastLsn { get; init; }

    /// <summary>Whether an internal failure made the object unusable.</summary>
    public bool IsPoisoned => PoisonedFlag != 0;
}
