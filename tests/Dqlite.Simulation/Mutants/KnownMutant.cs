using Dqlite.Raft;

namespace Dqlite.Simulation.Mutants;

/// <summary>Where a mutant can be seen.</summary>
internal enum MutantTier
{
    /// <summary>Without SQLite only.</summary>
    Core,

    /// <summary>With SQLite over the shim only.</summary>
    Full,

    /// <summary>In both; the core tier is the faster one.</summary>
    Both,
}

/// <summary>A known bug that can be switched on.</summary>
/// <param name="Id">As on the command line and in the code.</param>
/// <param name="Rule">What the bug is.</param>
/// <param name="Tier">Where it can be seen.</param>
/// <param name="Needs">What a run must have to show it.</param>
/// <param name="HowItShows">What a run sees of it.</param>
/// <param name="NotApplicable">Why there is no such bug here, or null.</param>
internal sealed record KnownMutant(string Id, string Rule, MutantTier Tier, MutantNeeds Needs, string HowItShows, string? NotApplicable = null)
{
    /// <summary>Number of the switch in the C shim; null for one in managed code.</summary>
    public int? NativeNumber { get; init; }

    /// <summary>The switch is no line of the production code, but what the simulated world gives to it.</summary>
    public bool IsInWorld { get; init; }

    /// <summary>Whether the switch is in the C shim.</summary>
    public bool IsNative => NativeNumber is not null;

    /// <summary>Switches it on, for the rest of the process.</summary>
    public void Activate()
    {
        Mutant.Active = Id;
        if (NativeNumber is { } number)
        {
            FullTier.NativeMutant.Set(number);
        }
    }
}
