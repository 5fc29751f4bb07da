using static Dqlite.Simulation.Mutants.MutantNeeds;

namespace Dqlite.Simulation.Mutants;

/// <summary>
/// All mutants: R1 to R48 are known bugs of Raft implementations (a letter behind the number tells two bugs of one rule apart), D1 to D8 break
/// rules of this library's own design, V1 and on are those of the C shim.
/// </summary>
internal static partial class MutantCatalog
{
    /// <summary>In the order of their ids.</summary>
    public static IReadOnlyList<KnownMutant> All { get; } = [.. OfElections, .. OfTheLog, .. OfMemberships, .. OfSnapshots, .. OfReads, .. OfClients, .. OfTheDesign, .. OfTheShim];

    private static IEnumerable<KnownMutant> OfTheShim => NativeMutants.All.Select(native => new KnownMutant(native.Id, native.Rule, MutantTier.Full, None, native.HowItShows,
        native.NotApplicable ?? (native.NativeTestsOnly ? "No simulated client does what it takes: " + native.Needs + " native/tests kill it." : null))
    {
        NativeNumber = native.Number,
    });

    /// <summary>One of them, or null.</summary>
    public static KnownMutant? Find(string id) => All.FirstOrDefault(mutant => mutant.Id == id);

    private static KnownMutant Managed(string id, string rule, MutantNeeds needs, string howItShows) => new(id, rule, MutantTier.Both, needs, howItShows);

    private static KnownMutant Native(string id, string rule, int number, MutantNeeds needs, string howItShows) =>
        new(id, rule, MutantTier.Full, needs, howItShows) { NativeNumber = number };

    private static KnownMutant Missing(string id, string rule, string notApplicable) => new(id, rule, MutantTier.Both, None, "It does not.", notApplicable);
}
