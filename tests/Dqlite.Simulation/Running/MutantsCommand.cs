using System.Diagnostics;
using System.Globalization;
using Dqlite.Simulation.Mutants;

namespace Dqlite.Simulation.Running;

/// <summary>
/// <c>mutants</c>: each mutant against up to 10,000 seeds, a table, and how many were killed. Those of the shim that the first seeds do not kill
/// meet the shim's own tests before the rest of the seeds.
/// </summary>
internal static class MutantsCommand
{
    /// <summary>Of the full tier, before the shim's own tests.</summary>
    private const int FirstSeeds = 100;

    private static readonly string[] Known = ["--only", "--seeds", "--tier", "--jobs"];

    /// <summary>Runs them.</summary>
    public static int Run(IReadOnlyList<string> arguments)
    {
        var options = new CommandOptions(arguments, Known);
        var only = options.Find("--only")?.Split(',');
        var seeds = CommandOptions.Ranges(options.Find("--seeds") ?? "1-10000").ToArray();
        var jobs = (int)options.Number("--jobs", Environment.ProcessorCount);
        var mutants = MutantCatalog.All.Where(mutant => only is null || only.Contains(mutant.Id)).ToArray();
        var nativeKillers = new Lazy<IReadOnlyDictionary<int, string>>(() => NativeTests.Kill(mutants.Select(mutant => mutant.NativeNumber).OfType<int>()));
        var (killed, survived) = (0, 0);
        foreach (var mutant in mutants)
        {
            if (mutant is { NotApplicable: { } reason, IsNative: false })
            {
                Console.WriteLine($"{mutant.Id,-6} not applicable  {reason}");
                continue;
            }

            var began = Stopwatch.GetTimestamp();
            var killer = mutant.IsNative ? KillNative(mutant, seeds, jobs, nativeKillers) : Kill(mutant, seeds, jobs);
            (killed, survived) = killer is null ? (killed, survived + 1) : (killed + 1, survived);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{mutant.Id,-6} {(killer is null ? "SURVIVED" : "killed"),-8} {Stopwatch.GetElapsedTime(began).TotalSeconds,6:0.0} s  {Shorten(killer ?? mutant.Rule)}"));
        }

        Console.WriteLine($"{killed} killed, {survived} survived");
        return survived == 0 ? 0 : 1;
    }

    private static string? KillNative(KnownMutant mutant, ulong[] seeds, int jobs, Lazy<IReadOnlyDictionary<int, string>> nativeKillers)
    {
        var isSimulated = mutant.NotApplicable is null;
        return (isSimulated ? Kill(mutant, seeds[..Math.Min(FirstSeeds, seeds.Length)], jobs) : null)
            ?? (nativeKillers.Value.TryGetValue(mutant.NativeNumber!.Value, out var test) ? "native/tests: " + test : null)
            ?? (isSimulated && seeds.Length > FirstSeeds ? Kill(mutant, seeds[FirstSeeds..], jobs) : null);
    }

    private static string? Kill(KnownMutant mutant, ulong[] seeds, int jobs)
    {
        string? killer = null;
        WorkerPool.Run(seeds, jobs, RunCommand.WorkerArguments(mutant.Tier == MutantTier.Full, mutant.Id, null), answer =>
        {
            killer ??= answer.Failure is null ? null : $"seed {answer.Seed}: {answer.Failure}";
            return killer is null;
        });
        return killer;
    }

    private static string Shorten(string text)
    {
        var line = text.ReplaceLineEndings(" ");
        return line.Length <= 160 ? line : line[..160] + "...";
    }
}
