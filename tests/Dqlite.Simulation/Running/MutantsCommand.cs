using System.Diagnostics;
using System.Globalization;
using Dqlite.Simulation.Mutants;

namespace Dqlite.Simulation.Running;

/// <summary><c>mutants</c>: each mutant against up to 10,000 seeds, a table, and how many were killed.</summary>
internal static class MutantsCommand
{
    private static readonly string[] Known = ["--only", "--seeds", "--tier", "--jobs"];

    /// <summary>Runs them.</summary>
    public static int Run(IReadOnlyList<string> arguments)
    {
        var options = new CommandOptions(arguments, Known);
        var only = options.Find("--only")?.Split(',');
        var seeds = CommandOptions.Ranges(options.Find("--seeds") ?? "1-10000").ToArray();
        var jobs = (int)options.Number("--jobs", Environment.ProcessorCount);
        var (killed, survived) = (0, 0);
        foreach (var mutant in MutantCatalog.All.Where(mutant => only is null || only.Contains(mutant.Id)))
        {
            if (mutant.NotApplicable is { } reason)
            {
                Console.WriteLine($"{mutant.Id,-6} not applicable  {reason}");
                continue;
            }

            var began = Stopwatch.GetTimestamp();
            var killer = Kill(mutant, seeds, jobs);
            (killed, survived) = killer is null ? (killed, survived + 1) : (killed + 1, survived);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{mutant.Id,-6} {(killer is null ? "SURVIVED" : "killed"),-8} {Stopwatch.GetElapsedTime(began).TotalSeconds,6:0.0} s  {(killer is null ? mutant.Rule : $"seed {killer.Seed}: {Shorten(killer.Failure!)}")}"));
        }

        Console.WriteLine($"{killed} killed, {survived} survived");
        return survived == 0 ? 0 : 1;
    }

    private static WorkerAnswer? Kill(KnownMutant mutant, ulong[] seeds, int jobs)
    {
        WorkerAnswer? killer = null;
        WorkerPool.Run(seeds, jobs, RunCommand.WorkerArguments(mutant.Tier == MutantTier.Full, mutant.Id, null), answer =>
        {
            killer ??= answer.Failure is null ? null : answer;
            return killer is null;
        });
        return killer;
    }

    private static string Shorten(string text)
    {
        var line = text.ReplaceLineEndings(" ");
        return line.Length <= 140 ? line : line[..140] + "...";
    }
}
