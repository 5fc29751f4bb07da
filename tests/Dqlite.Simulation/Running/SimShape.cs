using Dqlite.Simulation.Faults;
using Dqlite.Simulation.Mutants;
using Dqlite.Simulation.Workload;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Running;

/// <summary>
/// What one seed is made of. Swarm testing: each seed draws which faults and options are on, so that rare combinations of few things come up as
/// well as everything at once.
/// </summary>
internal sealed record SimShape
{
    public const long Second = 1_000_000_000;
    public const long Millisecond = 1_000_000;

    /// <summary>Simulated time in all.</summary>
    public long DurationNs { get; init; } = 60 * Second;

    /// <summary>From here on nothing new goes wrong, and everything that did is mended.</summary>
    public long HealAtNs => DurationNs * 4 / 5;

    /// <summary>Clients begin nothing new.</summary>
    public long QuietAtNs => HealAtNs + (DurationNs / 15);

    public required int Voters { get; init; }

    public required int Clients { get; init; }

    public required int Databases { get; init; }

    public required int TargetOperations { get; init; }

    public required long TickNs { get; init; }

    public required long ElectionTimeoutNs { get; init; }

    public required long HeartbeatNs { get; init; }

    public required long LeaseNs { get; init; }

    public required double ClockDrift { get; init; }

    public required long SegmentBytes { get; init; }

    public required long CheckpointLogBytes { get; init; }

    public required long RetainedLogBytes { get; init; }

    public required long LogCacheBytes { get; init; }

    public required int MaxPipelinedEntries { get; init; }

    /// <summary>Entries of one message, in bytes.</summary>
    public required int MaxAppendBytes { get; init; }

    /// <summary>Pages and changes of one entry, in bytes: larger transactions have several.</summary>
    public required int MaxEntryBytes { get; init; }

    /// <summary>Images of a large transaction go to a file beyond this; 0: never (full tier).</summary>
    public required long SpillBytes { get; init; }

    public required int MaxNodes { get; init; }

    /// <summary>Mean delay of a message.</summary>
    public required long LinkDelayNs { get; init; }

    /// <summary>How often a packet is lost and sent again.</summary>
    public required double LossChance { get; init; }

    /// <summary>How often a power cut closes no connection.</summary>
    public required double SilentPowerCutChance { get; init; }

    /// <summary>How often a write takes a part of what it is given.</summary>
    public required double ShortWriteChance { get; init; }

    /// <summary>Kinds of faults that happen.</summary>
    public required IReadOnlyList<FaultKind> FaultKinds { get; init; }

    /// <summary>Faults a second, on average, until <see cref="HealAtNs"/>.</summary>
    public required double FaultsPerSecond { get; init; }

    public required OperationMix Mix { get; init; }

    public WorkloadShape Workload { get; init; } = new(Registers: 6, Lists: 5, Accounts: 6, InitialBalance: 100, Blobs: 3);

    /// <summary>Plain connections take part (full tier).</summary>
    public bool HasPlainClients { get; init; }

    /// <summary>Draws one.</summary>
    /// <param name="random">The seed's stream for this.</param>
    /// <param name="needs">What must be in it, to show a mutant.</param>
    /// <param name="isFull">For the full tier.</param>
    public static SimShape Draw(SeededRandom random, MutantNeeds needs, bool isFull)
    {
        var tick = random.Pick<long>([10, 25, 25, 50]) * Millisecond;
        var election = Math.Max(tick * random.Between(8L, 20L), 200 * Millisecond);
        var voters = DrawVoters(random, needs, isFull);
        var isSmallLog = needs.HasFlag(MutantNeeds.SmallLog) || random.Chance(0.6);
        return new SimShape
        {
            Voters = voters,
            MaxNodes = voters + 3,
            Clients = random.Between(1, random.Chance(0.3) ? 16 : 8),
            Databases = needs.HasFlag(MutantNeeds.ManyDatabases) ? random.Between(2, 3) : random.Pick([1, 1, 1, 2, 3]),
            TargetOperations = isFull ? 1_150 : random.Between(1_150, 1_700),
            TickNs = tick,
            ElectionTimeoutNs = election,
            HeartbeatNs = Math.Max(tick, election / random.Between(3L, 6L)),
            LeaseNs = random.Chance(0.15) && !needs.HasFlag(MutantNeeds.Reads) ? 0 : election / random.Pick<long>([2, 3, 5, 8]),
            ClockDrift = needs.HasFlag(MutantNeeds.ClockDrift) || random.Chance(0.5) ? 0.04 : 0,
            SegmentBytes = random.Pick<long>([64, 128, 256]) << 10,
            CheckpointLogBytes = (isSmallLog ? random.Between(8L, 64L) : random.Between(128L, 512L)) << 10,
            RetainedLogBytes = (isSmallLog ? random.Between(4L, 64L) : random.Between(256L, 2048L)) << 10,
            LogCacheBytes = random.Pick<long>([16, 64, 1024]) << 10,
            MaxAppendBytes = needs.HasFlag(MutantNeeds.SmallMessages) || random.Chance(0.4) ? random.Between(512, 8192) : 64 << 10,
            MaxPipelinedEntries = random.Pick([1, 2, 2, 4, 8]),
            LinkDelayNs = random.Pick<long>([50_000, 200_000, 200_000, 1_000_000, 5_000_000]),
            LossChance = random.Pick([0, 0.002, 0.02]),
            SilentPowerCutChance = random.Pick([0, 0.5, 1]),
            ShortWriteChance = random.Pick([0, 0, 0.02]),
            FaultKinds = DrawFaults(random, needs),
            FaultsPerSecond = random.Pick([0.1, 0.3, 0.6, 1.0, 2.0]),
            Mix = OperationMix.Draw(random, needs),
            HasPlainClients = isFull && random.Chance(0.5),
            MaxEntryBytes = needs.HasFlag(MutantNeeds.SmallEntries) || random.Chance(0.4) ? random.Pick([64, 512, 2048, 8192]) : 64 << 10,
            SpillBytes = random.Pick<long>([0, 1, 64 << 10]),
        };
    }

    private static int DrawVoters(SeededRandom random, MutantNeeds needs, bool isFull)
    {
        var drawn = random.Pick(isFull ? [1, 2, 3, 3, 3, 3, 4, 5] : new[] { 1, 2, 3, 3, 3, 3, 3, 4, 4, 5, 5, 5, 6, 7 });
        return needs.HasFlag(MutantNeeds.FourVoters) ? random.Pick([4, 5, 5])
            : needs.HasFlag(MutantNeeds.OneVoter) ? random.Pick([1, 1, 3])
            : needs != MutantNeeds.None ? Math.Max(3, drawn)
            : drawn;
    }

    private static List<FaultKind> DrawFaults(SeededRandom random, MutantNeeds needs)
    {
        if (needs == MutantNeeds.None && random.Chance(0.03))
        {
            return [];
        }

        var density = random.Pick([0.15, 0.35, 0.6]);
        var kinds = FaultCatalog.All.Where(kind => random.Chance(density) || FaultCatalog.IsNeeded(kind, needs)).ToList();
        return kinds.Count > 0 ? kinds : [random.Pick(FaultCatalog.All)];
    }
}
