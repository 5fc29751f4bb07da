using System.Diagnostics;
using System.Globalization;
using Dqlite.Raft;
using Dqlite.Simulation.Mutants;

namespace Dqlite.Simulation.Running;

/// <summary>
/// <c>run --seeds 1-500 [--tier core|full] [--mutant R12]</c> and <c>replay --seed N</c>. With <c>--like R12</c> runs are drawn as for that
/// mutant, which stays off: they must pass.
/// </summary>
internal static class RunCommand
{
    private static readonly string[] Known = ["--seeds", "--seed", "--tier", "--mutant", "--faults", "--trace", "--history", "--jobs", "--like"];
    private static readonly TimeSpan ShrinkLimit = TimeSpan.FromSeconds(45);

    /// <summary>Runs seeds.</summary>
    public static int Run(IReadOnlyList<string> arguments) => Guard(() =>
    {
        var options = new CommandOptions(arguments, Known, "--worker", "--verbose", "--no-shrink");
        var mutant = options.Find("--mutant");
        if (mutant is not null && !TryActivate(mutant, options, out var code))
        {
            return code;
        }

        if (options.Has("--worker"))
        {
            return Work(options, NeedsOf(mutant ?? options.Find("--like")));
        }

        var seeds = CommandOptions.Ranges(options.Find("--seeds") ?? "1-100").ToArray();
        return mutant is not null ? RunMutant(mutant, seeds, options)
            : seeds.Length == 1 ? RunOne(seeds[0], options)
            : RunAll(seeds, options);
    });

    /// <summary>Runs one seed and prints all that happens.</summary>
    public static int Replay(IReadOnlyList<string> arguments) => Guard(() =>
    {
        var options = new CommandOptions(arguments, Known, "--quiet", "--log");
        if (options.Find("--mutant") is { } mutant && !TryActivate(mutant, options, out var code))
        {
            return code;
        }

        var run = OptionsOf((ulong)options.Number("--seed", 1), options) with { Sink = options.Has("--quiet") ? null : Console.WriteLine, HasNodeLogs = options.Has("--log"), Needs = NeedsOf(options.Find("--mutant") ?? options.Find("--like")) };
        var result = SimulationRun.Run(run);
        Print(result);
        PrintHash(result.Hash);
        return End(result.Failure is null ? 1 : 0, result.Failure is null ? 0 : 1);
    });

    /// <summary>Switches a mutant on; false when there is nothing to run.</summary>
    internal static bool TryActivate(string id, CommandOptions options, out int code)
    {
        code = 0;
        var mutant = MutantCatalog.Find(id) ?? throw new ArgumentException($"There is no mutant {id}; known are {string.Join(" ", MutantCatalog.All.Select(known => known.Id))}.");
        if (mutant.Tier != MutantTier.Both)
        {
            options.SetDefault("--tier", mutant.Tier == MutantTier.Full ? "full" : "core");
        }

        if (mutant.NotApplicable is not null || (mutant.Tier == MutantTier.Full && !options.IsFull) || (mutant.Tier == MutantTier.Core && options.IsFull))
        {
            Console.WriteLine(mutant.NotApplicable ?? $"{id} shows in the other tier only.");
            Console.WriteLine("not applicable");
            code = 3;
            return false;
        }

        mutant.Activate();
        return true;
    }

    private static MutantNeeds NeedsOf(string? mutant) => mutant is null ? MutantNeeds.None : MutantCatalog.Find(mutant)!.Needs;

    private static RunOptions OptionsOf(ulong seed, CommandOptions options) => new()
    {
        Seed = seed,
        IsFull = options.IsFull,
        Faults = options.Find("--faults") is { } faults ? CommandOptions.Ranges(faults).Select(number => (int)number).ToHashSet() : null,
        Needs = NeedsOf(options.Find("--like")),
        TracePath = options.Find("--trace"),
        HistoryPath = options.Find("--history"),
        Sink = options.Has("--verbose") ? Console.WriteLine : null,
    };

    private static int RunOne(ulong seed, CommandOptions options)
    {
        var run = OptionsOf(seed, options);
        var result = SimulationRun.Run(run);
        Print(result);
        if (result.Failure is not null && !options.Has("--no-shrink"))
        {
            PrintShrunk(run, result);
        }

        PrintHash(result.Hash);
        return End(result.Failure is null ? 1 : 0, result.Failure is null ? 0 : 1);
    }

    private static void Print(RunResult result)
    {
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"seed {result.Seed}: {result.Operations} operations, {result.Succeeded} succeeded, {result.Leaders} leaders, {result.Faults.Count} faults, {result.SimulatedNs / 1e9:0.0} simulated seconds"));
        if (result.Failure is not null)
        {
            Console.WriteLine($"seed {result.Seed} FAILED: {result.Failure}");
        }
    }

    private static void PrintShrunk(RunOptions run, RunResult result)
    {
        var kept = Shrinker.Shrink(run, [.. run.Faults ?? result.Faults.Select(fault => fault.Number).ToHashSet()], ShrinkLimit);
        Console.WriteLine($"{kept.Count} faults are enough:");
        foreach (var number in kept.Order())
        {
            Console.WriteLine("  " + result.Faults[number]);
        }

        var list = kept.Count == 0 ? "" : string.Join(',', kept.Order());
        var mutant = Mutant.Active.Length > 0 ? " --mutant " + Mutant.Active : "";
        Console.WriteLine($"replay with: dotnet run -c Release --project tests/Dqlite.Simulation -- replay --seed {run.Seed}{(run.IsFull ? " --tier full" : "")}{mutant} --faults \"{list}\"");
    }

    /// <summary>Many seeds: in processes of their own, one for each core.</summary>
    private static int RunAll(ulong[] seeds, CommandOptions options)
    {
        var began = Stopwatch.GetTimestamp();
        var jobs = (int)Math.Min(seeds.Length, options.Number("--jobs", Environment.ProcessorCount));
        var (passed, failed, simulatedNs, operations) = (0, 0, 0.0, 0L);
        var failures = new List<(ulong Seed, string Text)>();
        WorkerPool.Run(seeds, jobs, WorkerArguments(options.IsFull, null, options.Find("--like")), answer =>
        {
            passed += answer.Failure is null ? 1 : 0;
            failed += answer.Failure is null ? 0 : 1;
            simulatedNs += answer.SimulatedNs;
            operations += answer.Operations;
            if (answer.Failure is not null)
            {
                failures.Add((answer.Seed, answer.Failure));
                Console.WriteLine($"seed {answer.Seed} FAILED: {answer.Failure}");
            }

            if ((passed + failed) % 500 == 0)
            {
                Console.WriteLine(Progress(passed + failed, seeds.Length, simulatedNs, began));
            }

            return true;
        });

        // What the first failures need is looked for one after the other.
        foreach (var (seed, _) in failures.OrderBy(failure => failure.Seed).Take(options.Has("--no-shrink") ? 0 : 2))
        {
            var run = OptionsOf(seed, options);
            var result = SimulationRun.Run(run);
            Print(result);
            if (result.Failure is not null)
            {
                PrintShrunk(run, result);
            }
        }

        Console.WriteLine(Progress(passed + failed, seeds.Length, simulatedNs, began) + string.Create(CultureInfo.InvariantCulture, $", {operations} operations"));
        return End(passed, failed);
    }

    private static string Progress(int done, int all, double simulatedNs, long began)
    {
        var seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        return string.Create(CultureInfo.InvariantCulture, $"{done} of {all} seeds, {simulatedNs / 3.6e12:0.00} simulated hours in {seconds:0} s: {done / seconds:0.0} seeds a second");
    }

    /// <summary>Stops at the first kill.</summary>
    private static int RunMutant(string mutant, ulong[] seeds, CommandOptions options)
    {
        var passed = 0;
        ulong? killer = null;
        var jobs = (int)Math.Min(seeds.Length, options.Number("--jobs", Environment.ProcessorCount));
        WorkerPool.Run(seeds, jobs, WorkerArguments(options.IsFull, mutant, null), answer =>
        {
            if (answer.Failure is not null && killer is null)
            {
                killer = answer.Seed;
                Console.WriteLine($"{mutant} killed by seed {answer.Seed}: {answer.Failure}");
            }

            if (seeds.Length == 1 && answer.Hash is { } hash)
            {
                PrintHash(hash);
            }

            passed += answer.Failure is null ? 1 : 0;
            return killer is null;
        });
        return End(passed, killer is null ? 0 : 1);
    }

    /// <summary>What starts one of the processes of a run.</summary>
    internal static IReadOnlyList<string> WorkerArguments(bool isFull, string? mutant, string? like) =>
        ["run", "--worker", "--tier", isFull ? "full" : "core", .. mutant is null ? (string[])[] : ["--mutant", mutant], .. like is null ? (string[])[] : ["--like", like]];

    /// <summary>One of the processes of a run: seeds in, a line for each out.</summary>
    private static int Work(CommandOptions options, MutantNeeds needs)
    {
        while (Console.ReadLine() is { } line)
        {
            var seed = ulong.Parse(line, CultureInfo.InvariantCulture);
            Console.WriteLine(WorkerPool.Encode(SimulationRun.Run(new RunOptions { Seed = seed, IsFull = options.IsFull, Needs = needs })));
        }

        return 0;
    }

    /// <summary>Every run of a single seed says what happened in it.</summary>
    private static void PrintHash(string hash) => Console.WriteLine("hash: " + hash);

    private static int End(int passed, int failed)
    {
        Console.WriteLine($"{passed} passed, {failed} failed");
        return failed == 0 ? 0 : 1;
    }

    private static int Guard(Func<int> command)
    {
        try
        {
            return command();
        }
        catch (ArgumentException exception)
        {
            Console.Error.WriteLine(exception.Message);
            return 2;
        }
    }
}
