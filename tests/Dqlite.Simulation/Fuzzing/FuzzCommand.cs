using System.Globalization;
using Dqlite.Simulation.Running;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>The command <c>fuzz [--target NAME] [--seeds 1-1000] [--corpus DIR]</c>, or for one kept input <c>fuzz --target NAME --input FILE</c>.</summary>
internal static class FuzzCommand
{
    private const int MisuseExit = 2;
    private const int MaxFindsPerTarget = 5;

    /// <summary>Tries the inputs of all seeds, prints a line for each target and each find, and ends with <c>N passed, N failed</c>.</summary>
    public static int Run(IReadOnlyList<string> arguments) => Run(arguments, Console.Out, Console.Error);

    /// <summary>The same, with other places to print to.</summary>
    public static int Run(IReadOnlyList<string> arguments, TextWriter output, TextWriter errors)
    {
        try
        {
            var options = new CommandOptions(arguments, ["--target", "--seeds", "--corpus", "--input"]);
            var targets = FuzzTargets.Find(options.Find("--target") ?? "all");
            if (options.Find("--input") is { } path)
            {
                return RunFile(targets, path, output);
            }

            var seeds = CommandOptions.Ranges(options.Find("--seeds") ?? "1-1000").ToArray();
            return Run(targets, seeds, options.Find("--corpus"), output);
        }
        catch (Exception misuse) when (misuse is ArgumentException or IOException)
        {
            errors.WriteLine(misuse.Message);
            return MisuseExit;
        }
    }

    /// <summary>The input of a seed.</summary>
    public static byte[] InputOf(FuzzTarget target, ulong seed) => target.Generate(new SeededRandom(seed).Stream(target.Name));

    private static int RunFile(IReadOnlyList<FuzzTarget> targets, string path, TextWriter output)
    {
        if (targets is not [var target])
        {
            throw new ArgumentException("--input needs --target: the file does not say what it is.");
        }

        var result = FuzzRunner.Try(target, File.ReadAllBytes(path));
        output.WriteLine($"{result.Verdict}: {result.Text}");
        var isFind = result.Verdict == FuzzVerdict.Find;
        output.WriteLine(isFind ? "0 passed, 1 failed" : "1 passed, 0 failed");
        return isFind ? 1 : 0;
    }

    private static int Run(IReadOnlyList<FuzzTarget> targets, ulong[] seeds, string? corpus, TextWriter output)
    {
        var (passed, failed) = (0L, 0L);
        using var watchdog = new Watchdog(hang => ReportHang(hang, corpus, output));
        foreach (var target in targets)
        {
            var counts = new long[Enum.GetValues<FuzzVerdict>().Length];
            foreach (var seed in seeds)
            {
                var input = InputOf(target, seed);
                watchdog.Begin(new RunningInput(target, seed, input));
                var result = FuzzRunner.Try(target, input);
                watchdog.End();
                if (result.Verdict == FuzzVerdict.Find && counts[(int)FuzzVerdict.Find] < MaxFindsPerTarget)
                {
                    Report(new RunningInput(target, seed, input), result.Text, corpus, output);
                }

                counts[(int)result.Verdict]++;
            }

            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{target.Name}: {counts[(int)FuzzVerdict.Accepted]} accepted, {counts[(int)FuzzVerdict.Refused]} refused, {counts[(int)FuzzVerdict.Find]} finds"));
            failed += counts[(int)FuzzVerdict.Find];
            passed += seeds.Length - counts[(int)FuzzVerdict.Find];
        }

        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{passed} passed, {failed} failed"));
        return failed == 0 ? 0 : 1;
    }

    private static void Report(RunningInput input, string text, string? corpus, TextWriter output)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{input.Target.Name} seed {input.Seed}: {text}"));
        if (corpus is not null)
        {
            var directory = Directory.CreateDirectory(Path.Combine(corpus, input.Target.Name));
            File.WriteAllBytes(Path.Combine(directory.FullName, string.Create(CultureInfo.InvariantCulture, $"seed-{input.Seed}.bin")), input.Bytes);
        }
    }

    /// <summary>A parser that never ends cannot be stopped: the find is written, and the process ends.</summary>
    private static void ReportHang(RunningInput input, string? corpus, TextWriter output)
    {
        Report(input, "it does not end", corpus, output);
        output.WriteLine("0 passed, 1 failed");
        output.Flush();
        Environment.Exit(1);
    }
}
