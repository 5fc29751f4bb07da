using Dqlite.Simulation.Running;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Faults;

/// <summary>Draws the faults of a run, all of them before it begins.</summary>
internal static class FaultPlan
{
    private const long FirstNs = 2 * SimShape.Second;

    /// <summary>The faults in the order of their times.</summary>
    public static IReadOnlyList<Fault> Draw(SimShape shape, SeededRandom random)
    {
        var count = (int)Math.Round((shape.HealAtNs - FirstNs) / (double)SimShape.Second * shape.FaultsPerSecond);
        if (shape.FaultKinds.Count == 0)
        {
            return [];
        }

        var times = new long[Math.Max(count, 1)];
        for (var i = 0; i < times.Length; i++)
        {
            times[i] = random.Between(FirstNs, shape.HealAtNs - (SimShape.Second / 2));
        }

        Array.Sort(times);
        return [.. times.Select((atNs, i) => DrawOne(shape, random, i, atNs))];
    }

    private static Fault DrawOne(SimShape shape, SeededRandom random, int number, long atNs)
    {
        var kind = random.Pick(shape.FaultKinds);
        var node = random.Chance(0.4) ? 0 : random.Between(1, shape.Voters + random.Between(0, 1));
        var other = random.Between(1, shape.Voters);
        var durationNs = kind switch
        {
            // Around the lease, around the election timeout, and far beyond both.
            FaultKind.Pause or FaultKind.PauseInStep => random.Pick([shape.LeaseNs + 1, shape.ElectionTimeoutNs, 3 * shape.ElectionTimeoutNs, 6 * SimShape.Second, 30 * SimShape.Second]),
            FaultKind.Clog or FaultKind.SlowLink or FaultKind.StuckDisk => shape.ElectionTimeoutNs * 3,
            _ => random.Pick([shape.ElectionTimeoutNs, 3 * shape.ElectionTimeoutNs, 3 * SimShape.Second, 8 * SimShape.Second]),
        };
        durationNs = random.Between(durationNs / 4, durationNs);
        return new Fault(number, atNs, kind, node, other, Math.Min(durationNs, shape.HealAtNs - atNs), random.NextBits());
    }
}
