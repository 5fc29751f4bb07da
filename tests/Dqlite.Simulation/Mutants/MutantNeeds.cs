namespace Dqlite.Simulation.Mutants;

/// <summary>What a run must have to show a mutant: it biases what the run draws.</summary>
[Flags]
internal enum MutantNeeds
{
    None = 0,
    FourVoters = 1 << 0,
    Partitions = 1 << 1,
    PowerCuts = 1 << 2,
    Kills = 1 << 3,
    Pauses = 1 << 4,
    ClockDrift = 1 << 5,
    WallClockJumps = 1 << 6,
    Membership = 1 << 7,
    Transfers = 1 << 8,
    SmallLog = 1 << 9,
    DiskErrors = 1 << 10,
    BitRot = 1 << 11,
    FullDisk = 1 << 12,
    SlowDisk = 1 << 13,
    Wipes = 1 << 14,
    ManyDatabases = 1 << 15,
    Reads = 1 << 16,
    SlowLinks = 1 << 17,
    OneVoter = 1 << 18,
    NonVoters = 1 << 19,
}
