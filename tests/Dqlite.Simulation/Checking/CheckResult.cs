using System.Text;

namespace Dqlite.Simulation.Checking;

/// <summary>What a checker found.</summary>
internal enum Verdict : byte
{
    /// <summary>The history keeps the promise.</summary>
    Valid,

    /// <summary>The checker gave up, or cannot judge such a history. Never to be taken for valid.</summary>
    Unknown,

    /// <summary>The history breaks the promise.</summary>
    Invalid,
}

/// <summary>A verdict with its reason.</summary>
/// <param name="Checker">Who judged.</param>
/// <param name="Verdict">The verdict.</param>
/// <param name="Anomaly">What is wrong in one word, such as <c>G1c</c> or <c>stale-read</c>: stable, to compare two failures; empty when valid.</param>
/// <param name="Summary">What is wrong, in a sentence.</param>
/// <param name="Details">What shows it: operations with their times, one a line.</param>
internal sealed record CheckResult(string Checker, Verdict Verdict, string Anomaly, string Summary, IReadOnlyList<string> Details)
{
    /// <summary>Nothing is wrong.</summary>
    public static CheckResult Valid(string checker, string summary) => new(checker, Verdict.Valid, "", summary, []);

    /// <summary>A promise is broken.</summary>
    public static CheckResult Invalid(string checker, string anomaly, string summary, params IReadOnlyList<string> details) =>
        new(checker, Verdict.Invalid, anomaly, summary, details);

    /// <summary>No judgement.</summary>
    public static CheckResult Unknown(string checker, string anomaly, string summary, params IReadOnlyList<string> details) =>
        new(checker, Verdict.Unknown, anomaly, summary, details);

    /// <summary>The worst of them: invalid before unknown before valid, the first among equals.</summary>
    public static CheckResult Worst(IReadOnlyList<CheckResult> results)
    {
        var worst = results[0];
        foreach (var result in results)
        {
            worst = result.Verdict > worst.Verdict ? result : worst;
        }

        return worst;
    }

    public override string ToString()
    {
        var text = new StringBuilder($"{Checker}: {Verdict.ToString().ToLowerInvariant()}");
        text.Append(Anomaly.Length > 0 ? $" ({Anomaly}): {Summary}" : $": {Summary}");
        foreach (var detail in Details)
        {
            text.Append("\n  ").Append(detail);
        }

        return text.ToString();
    }
}
