using System.Diagnostics;

namespace Dqlite.Simulation.Running;

/// <summary>Delta debugging (Zeller, 1999): leaves faults out of a failing run as long as it still fails.</summary>
internal static class Shrinker
{
    /// <summary>The faults that are left.</summary>
    /// <param name="options">The run.</param>
    /// <param name="all">Numbers of the faults that happened.</param>
    /// <param name="limit">When to be content.</param>
    public static IReadOnlyList<int> Shrink(RunOptions options, IReadOnlyList<int> all, TimeSpan limit)
    {
        var began = Stopwatch.GetTimestamp();
        var kept = all.ToList();
        var parts = 2;
        while (kept.Count > 0 && Stopwatch.GetElapsedTime(began) < limit)
        {
            var smaller = Reduce(options, kept, parts, began, limit);
            if (smaller is not null)
            {
                kept = smaller;
                parts = Math.Max(2, parts - 1);
            }
            else if (parts >= kept.Count)
            {
                break;
            }
            else
            {
                parts = Math.Min(kept.Count, parts * 2);
            }
        }

        return kept;
    }

    /// <summary>Leaves one part out, whichever can be.</summary>
    private static List<int>? Reduce(RunOptions options, List<int> kept, int parts, long began, TimeSpan limit)
    {
        var size = (kept.Count + parts - 1) / parts;
        for (var start = 0; start < kept.Count; start += size)
        {
            if (Stopwatch.GetElapsedTime(began) >= limit)
            {
                return null;
            }

            var rest = kept.Where((_, i) => i < start || i >= start + size).ToList();
            if (SimulationRun.Run(options with { Faults = rest.ToHashSet(), TracePath = null, HistoryPath = null, Sink = null }).Failure is not null)
            {
                return rest;
            }
        }

        return null;
    }
}
