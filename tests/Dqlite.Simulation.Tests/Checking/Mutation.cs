using Dqlite.Simulation.Checking;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Tests.Checking;

/// <summary>Changes what clients were told, or what happened, in a generated history. Each returns false when the history has no place for it.</summary>
internal static class Mutation
{
    /// <summary>Any small change, for comparison with brute force: it may or may not break the history.</summary>
    public static void Any(GeneratedHistory history, SeededRandom random)
    {
        var planned = random.Pick(history.Plan);
        switch (random.Next(5))
        {
            case 0:
                SwapReads(history, random);
                break;
            case 1 when planned.Operation.IsWrite && planned.Outcome == Outcome.Ok:
                planned.Outcome = Outcome.Fail;
                break;
            case 2 when planned.Outcome == Outcome.Fail:
                planned.Outcome = Outcome.Ok;
                planned.Lists = Array.ConvertAll(planned.Operation.Steps, step => step.Appended is null ? Array.Empty<long>() : null);
                break;
            case 3:
                ChangeLists(planned, random);
                break;
            default:
                planned.Value = random.Pick(history.Plan).Value;
                break;
        }
    }

    /// <summary>Two reads of one key, far apart in time, with different results, get each other's.</summary>
    public static bool SwapReads(GeneratedHistory history, SeededRandom random)
    {
        var reads = history.Plan.Where(planned => planned.Outcome == Outcome.Ok && planned.Operation.Kind == OperationKind.Read).ToArray();
        for (var attempt = 0; attempt < 50 && reads.Length > 1; attempt++)
        {
            var (first, second) = (random.Pick(reads), random.Pick(reads));
            if (first.Operation.Key == second.Operation.Key && first.Value != second.Value && first.CompletedNs < second.InvokedNs)
            {
                (first.Value, second.Value) = (second.Value, first.Value);
                return true;
            }
        }

        return false;
    }

    /// <summary>A read gets the value that another one saw before it, after one in between had seen something else.</summary>
    public static bool MakeStale(GeneratedHistory history, SeededRandom random)
    {
        var reads = history.Plan.Where(planned => planned.Outcome == Outcome.Ok && planned.Operation.Kind == OperationKind.Read).ToArray();
        for (var attempt = 0; attempt < 500 && reads.Length > 2; attempt++)
        {
            var (old, between, late) = (random.Pick(reads), random.Pick(reads), random.Pick(reads));
            var areOrdered = old.CompletedNs < between.InvokedNs && between.CompletedNs < late.InvokedNs;
            if (areOrdered && Keys(old, between, late) == 1 && old.Value != between.Value && late.Value != old.Value)
            {
                late.Value = old.Value;
                return true;
            }
        }

        return false;
    }

    /// <summary>A write was acknowledged, but the read that was next to begin after it saw what a read before it had seen.</summary>
    public static bool LoseWrite(GeneratedHistory history, SeededRandom random)
    {
        var writes = history.Plan.Where(planned => planned.Outcome == Outcome.Ok && planned.Operation.Kind == OperationKind.Write).ToArray();
        for (var attempt = 0; attempt < 200 && writes.Length > 0; attempt++)
        {
            var write = random.Pick(writes);
            var readers = history.Plan.Where(planned => planned.Operation.Kind == OperationKind.Read && planned.Outcome == Outcome.Ok &&
                planned.Operation.Key == write.Operation.Key).ToArray();
            var before = readers.Where(planned => planned.CompletedNs < write.InvokedNs).MaxBy(planned => planned.CompletedNs);
            var after = readers.Where(planned => planned.Value == write.Operation.Value).ToArray();
            if (before is not null && after.Any(planned => planned.InvokedNs > write.CompletedNs))
            {
                Array.ForEach(after, planned => planned.Value = before.Value);
                return true;
            }
        }

        return false;
    }

    /// <summary>A list that was read loses its end, although its appends had been acknowledged.</summary>
    public static bool MakeListStale(GeneratedHistory history, SeededRandom random)
    {
        for (var attempt = 0; attempt < 500; attempt++)
        {
            var planned = random.Pick(history.Plan);
            var step = random.Next(Math.Max(1, planned.Operation.Steps.Length));
            if (planned.Outcome == Outcome.Ok && !planned.Operation.IsWrite && planned.Lists.Length > 0 && planned.Lists[step] is { Length: > 0 } list &&
                history.Plan.Any(other => other.Outcome == Outcome.Ok && other.CompletedNs < planned.InvokedNs && Appends(other, list[^1])))
            {
                planned.Lists[step] = list[..^1];
                return true;
            }
        }

        return false;
    }

    private static void ChangeLists(Planned planned, SeededRandom random)
    {
        if (planned.Lists.Length == 0 || planned.Outcome != Outcome.Ok)
        {
            return;
        }

        var step = random.Next(planned.Lists.Length);
        if (planned.Lists[step] is not { Length: > 0 } list)
        {
            return;
        }

        planned.Lists[step] = random.Next(4) switch
        {
            0 => list[..^1],
            1 => list[1..],
            2 => [.. list, list[0]],
            _ => list.Reverse().ToArray(),
        };
    }

    private static int Keys(params Planned[] planned) => planned.Select(one => one.Operation.Key).Distinct().Count();

    private static bool Appends(Planned planned, long value) => Array.Exists(planned.Operation.Steps, step => step.Appended == value);
}
