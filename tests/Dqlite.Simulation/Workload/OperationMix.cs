using Dqlite.Simulation.Mutants;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Workload;

/// <summary>How often clients do what, in parts of their sum.</summary>
internal sealed record OperationMix(int RegisterReads, int RegisterWrites, int Cas, int ListTransactions, int Transfers, int AccountReads, int Blobs, int Schema)
{
    public int Sum => RegisterReads + RegisterWrites + Cas + ListTransactions + Transfers + AccountReads + Blobs + Schema;

    /// <summary>Draws one.</summary>
    public static OperationMix Draw(SeededRandom random, MutantNeeds needs)
    {
        int Weight(int usual) => random.Chance(0.15) ? 0 : random.Between(1, usual);

        return new OperationMix(
            needs.HasFlag(MutantNeeds.Reads) ? 30 : 1 + Weight(20), 4 + Weight(12), Weight(8), 2 + Weight(24), Weight(8), Weight(4), Weight(3), Weight(3));
    }
}
