using System.Globalization;

namespace Dqlite.Crash.Histories;

/// <summary>
/// Checks registers in which no value is written twice, by zones (Gibbons and Korach, Testing Shared Memories, 1997, section 4.1). The
/// operations on one value are a cluster. Its zone lies between the earliest end and the latest start in it: forward when that end comes
/// first (the value must have been in the register for all of the zone), else backward (any one moment in the zone is enough). A history of
/// reads and writes is linearizable exactly when no value is read before it is written, no two forward zones overlap and no backward zone lies
/// inside a forward one. A cas counts as a read and a write at one time, which finds most of what may be wrong with it but not all; two that
/// replaced the same value are found as well.
/// </summary>
internal sealed class ZoneChecker : IHistoryChecker
{
    private const long Before = long.MinValue;
    private const int MaxViolations = 5;

    public IReadOnlyList<string> FindViolations(IReadOnlyList<HistoryEvent> events) =>
        [.. RegisterOperation.Pair(events).GroupBy(operation => operation.Key).OrderBy(register => register.Key).SelectMany(CheckRegister).Take(MaxViolations)];

    private static IEnumerable<string> CheckRegister(IGrouping<int, RegisterOperation> register)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"register {register.Key}");
        var writes = register.Where(operation => operation.MayWrite).ToDictionary(operation => operation.Value!.Value);
        var seen = register.Where(operation => operation.Sees).ToLookup(operation => operation.Seen);
        return seen.SelectMany(reads => CheckReads(name, reads, writes))
            .Concat(seen.SelectMany(reads => CheckReplacements(name, reads)))
            .Concat(CheckZones(name, ZonesOf(writes, seen)));
    }

    private static IEnumerable<string> CheckReads(string register, IGrouping<long?, RegisterOperation> reads, Dictionary<long, RegisterOperation> writes)
    {
        if (reads.Key is not { } value)
        {
            yield break;
        }

        if (!writes.TryGetValue(value, out var write))
        {
            yield return $"{register}: value {value} was read, and nobody wrote it or its write failed";
        }
        else if (reads.Any(read => read.EndNs < write.StartNs))
        {
            yield return $"{register}: value {value} was read before its write began at {write.StartNs}";
        }
    }

    private static IEnumerable<string> CheckReplacements(string register, IGrouping<long?, RegisterOperation> reads)
    {
        if (reads.Count(read => read.Function == RegisterFunction.Cas) > 1)
        {
            yield return $"{register}: value {reads.Key} was replaced by more than one cas";
        }
    }

    private static List<Zone> ZonesOf(Dictionary<long, RegisterOperation> writes, ILookup<long?, RegisterOperation> seen)
    {
        var zones = new List<Zone>();
        if (seen.Contains(null))
        {
            zones.Add(new Zone(null, Before, seen[null].Max(read => read.StartNs)));
        }

        foreach (var (value, write) in writes)
        {
            // What nobody saw and nobody was promised may have happened at any time, or never.
            if (write.Outcome == EventType.Ok || seen.Contains(value))
            {
                var cluster = seen[value].Append(write).ToArray();
                zones.Add(new Zone(value, cluster.Min(operation => operation.EndNs), cluster.Max(operation => operation.StartNs)));
            }
        }

        return zones;
    }

    private static IEnumerable<string> CheckZones(string register, List<Zone> zones)
    {
        var forward = zones.Where(zone => zone.IsForward).OrderBy(zone => zone.FirstEndNs).ToArray();
        for (var i = 1; i < forward.Length; i++)
        {
            if (forward[i].FirstEndNs < forward[i - 1].LastStartNs)
            {
                yield return $"{register}: {forward[i - 1]} and {forward[i]} were both there at the same time";
            }
        }

        var begun = 0;
        foreach (var zone in zones.Where(zone => !zone.IsForward).OrderBy(zone => zone.LastStartNs))
        {
            while (begun < forward.Length && forward[begun].FirstEndNs < zone.LastStartNs)
            {
                begun++;
            }

            if (begun > 0 && zone.FirstEndNs < forward[begun - 1].LastStartNs)
            {
                yield return $"{register}: {zone} falls into the time when {forward[begun - 1]} was there";
            }
        }
    }

    /// <summary>The time between the earliest end and the latest start of the operations on one value.</summary>
    private readonly record struct Zone(long? Value, long FirstEndNs, long LastStartNs)
    {
        public bool IsForward => FirstEndNs < LastStartNs;

        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"value {Value?.ToString(CultureInfo.InvariantCulture) ?? "null"} ({Math.Min(FirstEndNs, LastStartNs)} to {Math.Max(FirstEndNs, LastStartNs)})");
    }
}
