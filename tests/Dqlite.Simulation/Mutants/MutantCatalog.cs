using Dqlite.Raft;

namespace Dqlite.Simulation.Mutants;

internal enum MutantTier { Core, Full, Both }

internal sealed record KnownMutant(string Id, string Rule, MutantTier Tier, MutantNeeds Needs, string HowItShows, string? NotApplicable = null)
{
    public void Activate() => Mutant.Active = Id;
}

internal static class MutantCatalog
{
    public static IReadOnlyList<KnownMutant> All { get; } = [];

    public static KnownMutant? Find(string id) => All.FirstOrDefault(mutant => mutant.Id == id);
}
