using Dqlite.Simulation.Workload;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Running;

/// <summary>The tiers by name.</summary>
internal static class Tiers
{
    /// <summary>Makes one for a run.</summary>
    public static ITier Create(bool isFull, SeededRandom random) => isFull ? new FullTier.FullTier(random.Pick([512, 1024, 4096])) : new CoreTier.CoreTier();
}
