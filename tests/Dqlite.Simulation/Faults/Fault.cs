using System.Globalization;
using Dqlite.Simulation.Mutants;

namespace Dqlite.Simulation.Faults;

/// <summary>What can go wrong, or be asked of a cluster, in a run.</summary>
internal enum FaultKind
{
    /// <summary>A node loses its power.</summary>
    PowerCut,

    /// <summary>A node's process is killed.</summary>
    Kill,

    /// <summary>A node goes down in the middle of its n-th storage or network operation from now.</summary>
    CrashAtOperation,

    /// <summary>All nodes lose their power at once.</summary>
    PowerCutAll,

    /// <summary>A node's process is stopped for a while.</summary>
    Pause,

    /// <summary>A node's process is stopped between two looks at its clock, in the middle of a step.</summary>
    PauseInStep,

    /// <summary>The nodes are split in two.</summary>
    Partition,

    /// <summary>One node is cut off.</summary>
    Isolate,

    /// <summary>One direction between two nodes is cut.</summary>
    OneWay,

    /// <summary>Each node hears its two neighbours alone.</summary>
    Ring,

    /// <summary>A link is slow.</summary>
    SlowLink,

    /// <summary>A link holds everything back for a while.</summary>
    Clog,

    /// <summary>The connections of two nodes break, perhaps in the middle of a frame.</summary>
    BreakConnection,

    /// <summary>A byte on the way changes.</summary>
    CorruptByte,

    /// <summary>A disk is slow.</summary>
    SlowDisk,

    /// <summary>A disk does not answer for a while.</summary>
    StuckDisk,

    /// <summary>An operation of a disk fails.</summary>
    DiskError,

    /// <summary>A disk is full for a while.</summary>
    FullDisk,

    /// <summary>Bits on a disk change.</summary>
    BitRot,

    /// <summary>A read returns what the place held before.</summary>
    StaleRead,

    /// <summary>A disk is replaced by an empty one.</summary>
    Wipe,

    /// <summary>A node is stopped politely and started again.</summary>
    Restart,

    /// <summary>Leadership is handed over.</summary>
    Transfer,

    /// <summary>A node joins as a non-voter.</summary>
    AddNode,

    /// <summary>A non-voter becomes a voter.</summary>
    Promote,

    /// <summary>A voter becomes a non-voter.</summary>
    Demote,

    /// <summary>A member is removed.</summary>
    Remove,

    /// <summary>A database comes or goes.</summary>
    ChangeDatabases,

    /// <summary>The wall clock of a node jumps by up to an hour.</summary>
    WallClockJump,

    /// <summary>A byte in a page of the next snapshot stream to a node changes before it leaves.</summary>
    DamagedStream,

    /// <summary>The next snapshot stream is held up while leadership moves on.</summary>
    LateSnapshot,

    /// <summary>The next snapshot stream is damaged, and its receiver cannot say so for a while.</summary>
    MuteReceiver,

    /// <summary>A snapshot waits for a checkpoint that does not end, and comes a second time.</summary>
    SnapshotTwice,

    /// <summary>A database is dropped and made again while a node's checkpoint of it does not end, and that node shall lead.</summary>
    DropUnderCheckpoint,

    /// <summary>An entry is replaced in one log, stays in another, and comes back (Raft figure 8).</summary>
    FigureEight,
}

/// <summary>One fault of a run; everything about it was drawn beforehand, so that it can be left out without changing the others.</summary>
/// <param name="Number">Its place in the run's list.</param>
/// <param name="AtNs">When.</param>
/// <param name="Kind">What.</param>
/// <param name="Node">Which node; 0: the one that leads then.</param>
/// <param name="Other">A second node, where there is one.</param>
/// <param name="DurationNs">How long.</param>
/// <param name="Value">Whatever else the kind needs.</param>
internal sealed record Fault(int Number, long AtNs, FaultKind Kind, int Node, int Other, long DurationNs, ulong Value)
{
    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"#{Number} at {AtNs / 1e9:0.000} s: {Kind} {(Node == 0 ? "leader" : $"node {Node}")}{(Other == 0 ? "" : $" and {Other}")} for {DurationNs / 1e6:0} ms");
}

/// <summary>Which kinds there are, and which a mutant needs.</summary>
internal static class FaultCatalog
{
    /// <summary>All kinds.</summary>
    public static IReadOnlyList<FaultKind> All { get; } = Enum.GetValues<FaultKind>();

    /// <summary>Whether a run that is to show something must have faults of this kind.</summary>
    public static bool IsNeeded(FaultKind kind, MutantNeeds needs) => (NeedsOf(kind) & needs) != MutantNeeds.None;

    private static MutantNeeds NeedsOf(FaultKind kind) => kind switch
    {
        FaultKind.PowerCut or FaultKind.PowerCutAll or FaultKind.CrashAtOperation => MutantNeeds.PowerCuts,
        FaultKind.Kill or FaultKind.Restart => MutantNeeds.Kills,
        FaultKind.Pause or FaultKind.PauseInStep => MutantNeeds.Pauses,
        FaultKind.Partition or FaultKind.Isolate or FaultKind.OneWay or FaultKind.Ring => MutantNeeds.Partitions,
        FaultKind.SlowLink or FaultKind.Clog or FaultKind.BreakConnection or FaultKind.CorruptByte => MutantNeeds.SlowLinks,
        FaultKind.SlowDisk or FaultKind.StuckDisk => MutantNeeds.SlowDisk,
        FaultKind.DiskError => MutantNeeds.DiskErrors,
        FaultKind.FullDisk => MutantNeeds.FullDisk,
        FaultKind.BitRot or FaultKind.StaleRead => MutantNeeds.BitRot,
        FaultKind.Wipe => MutantNeeds.Wipes,
        FaultKind.Transfer => MutantNeeds.Transfers,
        FaultKind.AddNode or FaultKind.Promote or FaultKind.Demote or FaultKind.Remove => MutantNeeds.Membership,
        FaultKind.ChangeDatabases or FaultKind.DropUnderCheckpoint => MutantNeeds.ManyDatabases,
        FaultKind.WallClockJump => MutantNeeds.WallClockJumps,
        FaultKind.DamagedStream or FaultKind.MuteReceiver => MutantNeeds.DamagedStreams,
        FaultKind.LateSnapshot or FaultKind.SnapshotTwice => MutantNeeds.SmallLog,
        FaultKind.FigureEight => MutantNeeds.FourVoters,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Unknown fault."),
    };
}
