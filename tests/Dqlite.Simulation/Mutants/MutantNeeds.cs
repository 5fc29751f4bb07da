namespace Dqlite.Simulation.Mutants;

/// <summary>What a run must have to show a mutant: it biases what the run draws.</summary>
[Flags]
internal enum MutantNeeds
{
    /// <summary>Nothing in particular.</summary>
    None = 0,

    /// <summary>Four voters or more.</summary>
    FourVoters = 1 << 0,

    /// <summary>Partitions of all forms.</summary>
    Partitions = 1 << 1,

    /// <summary>Power cuts, at any operation: what was not synced is lost.</summary>
    PowerCuts = 1 << 2,

    /// <summary>Processes that die and start again.</summary>
    Kills = 1 << 3,

    /// <summary>Processes that are stopped for longer than a lease, and go on.</summary>
    Pauses = 1 << 4,

    /// <summary>Clocks that run at different speeds.</summary>
    ClockDrift = 1 << 5,

    /// <summary>Wall clocks that jump.</summary>
    WallClockJumps = 1 << 6,

    /// <summary>Members that come, change their role and go.</summary>
    Membership = 1 << 7,

    /// <summary>Leadership that is handed over.</summary>
    Transfers = 1 << 8,

    /// <summary>A log that is soon compacted past a slow follower: snapshots.</summary>
    SmallLog = 1 << 9,

    /// <summary>Writes and flushes that fail.</summary>
    DiskErrors = 1 << 10,

    /// <summary>Bits that change on a disk.</summary>
    BitRot = 1 << 11,

    /// <summary>Full disks.</summary>
    FullDisk = 1 << 12,

    /// <summary>Slow and stuck disks.</summary>
    SlowDisk = 1 << 13,

    /// <summary>Disks that are replaced by empty ones.</summary>
    Wipes = 1 << 14,

    /// <summary>Several databases.</summary>
    ManyDatabases = 1 << 15,

    /// <summary>Many linearizable reads, on every node, and a lease.</summary>
    Reads = 1 << 16,

    /// <summary>Slow and clogged links, and connections that break: messages that arrive late.</summary>
    SlowLinks = 1 << 17,

    /// <summary>A single voter.</summary>
    OneVoter = 1 << 18,

    /// <summary>Non-voters.</summary>
    NonVoters = 1 << 19,

    /// <summary>Few entries in a message (MaxAppendBytes), so that a follower's log catches up in several steps.</summary>
    SmallMessages = 1 << 20,

    /// <summary>Pages of a snapshot stream that arrive changed.</summary>
    DamagedStreams = 1 << 21,

    /// <summary>Entries of a few pages (MaxEntryBytes), so that ordinary transactions have several.</summary>
    SmallEntries = 1 << 22,
}
