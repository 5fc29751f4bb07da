using System.Globalization;

namespace Dqlite.Simulation.Checking;

/// <summary>Why the operations on one register have no linear order.</summary>
/// <param name="Anomaly">The kind, in one word.</param>
/// <param name="Culprit">The operation that cannot be placed.</param>
/// <param name="Reason">Why, in a sentence.</param>
/// <param name="Witnesses">Operations that the reason is about, besides the culprit; <see cref="KeyHistory.None"/> is passed over.</param>
internal sealed record RegisterFault(string Anomaly, int Culprit, string Reason, params int[] Witnesses)
{
    /// <summary>Concurrent operations that are listed.</summary>
    private const int MaxListed = 16;

    /// <summary>The fault in words: the culprit, the witnesses, and what else was under way on this key at that time.</summary>
    public CheckResult ToResult(string checker, KeyHistory key)
    {
        var lines = new List<string> { Describe(key, Culprit) + "   <- cannot be placed" };
        for (var i = 0; i < Witnesses.Length; i++)
        {
            var isNew = Array.IndexOf(Witnesses, Witnesses[i]) == i && Witnesses[i] != Culprit;
            if (isNew && Witnesses[i] != KeyHistory.None)
            {
                lines.Add(Describe(key, Witnesses[i]));
            }
        }

        AddConcurrent(key, lines);
        var summary = string.Create(CultureInfo.InvariantCulture, $"key {key.Key}: {Reason}");
        return CheckResult.Invalid(checker, Anomaly, summary, lines);
    }

    /// <summary>Operations whose time overlaps that of the culprit and the witnesses, writes first since they explain more.</summary>
    private void AddConcurrent(KeyHistory key, List<string> lines)
    {
        var start = EarliestStart(key);
        var listed = 0;
        for (var pass = 0; pass < 2; pass++)
        {
            for (var operation = key.Count - 1; operation >= 0 && listed < MaxListed; operation--)
            {
                var isWrite = key.Written[operation] != KeyHistory.None;
                var overlaps = key.Start[operation] < key.Finish[Culprit] && key.Finish[operation] > start;
                if (isWrite == (pass == 0) && overlaps && operation != Culprit && Array.IndexOf(Witnesses, operation) < 0)
                {
                    lines.Add($"{Describe(key, operation)}   (in the same window)");
                    listed++;
                }
            }
        }
    }

    private int EarliestStart(KeyHistory key)
    {
        var start = key.Start[Culprit];
        foreach (var witness in Witnesses)
        {
            start = witness == KeyHistory.None ? start : Math.Min(start, key.Start[witness]);
        }

        return start;
    }

    private static string Describe(KeyHistory key, int operation) => HistoryText.Describe(key.Entry(operation));
}
