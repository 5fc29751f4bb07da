using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Dqlite.Simulation.Running;

/// <summary>What a worker says of a seed.</summary>
internal sealed record WorkerAnswer(ulong Seed, string? Failure, long SimulatedNs, int Operations);

/// <summary>
/// Runs seeds in processes of their own: one for each core, and a crash of native code - a mutant may do anything - costs one seed, not the
/// campaign.
/// </summary>
internal static class WorkerPool
{
    private const int SeedsPerProcess = 200;

    /// <summary>Runs all seeds, or until the handler answers false.</summary>
    public static void Run(ulong[] seeds, int jobs, bool isFull, string? mutant, string? like, Func<WorkerAnswer, bool> onAnswer)
    {
        var next = 0;
        var goesOn = true;
        var gate = new object();
        var threads = Enumerable.Range(0, Math.Max(1, jobs)).Select(_ => new Thread(() =>
        {
            while (true)
            {
                ulong[] mine;
                lock (gate)
                {
                    var size = mutant is null ? Math.Clamp((seeds.Length - next) / (2 * jobs), 1, SeedsPerProcess) : 25;
                    mine = goesOn ? seeds.Skip(next).Take(size).ToArray() : [];
                    next += mine.Length;
                }

                if (mine.Length == 0)
                {
                    return;
                }

                RunProcess(mine, isFull, mutant, like, answer =>
                {
                    lock (gate)
                    {
                        return goesOn = goesOn && onAnswer(answer);
                    }
                });
            }
        })).ToArray();
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
    }

    /// <summary>A line for a result.</summary>
    public static string Encode(RunResult result) => string.Create(CultureInfo.InvariantCulture,
        $"{result.Seed} {result.SimulatedNs} {result.Operations} {(result.Failure is null ? "-" : Convert.ToBase64String(Encoding.UTF8.GetBytes(result.Failure)))}");

    private static void RunProcess(ulong[] seeds, bool isFull, string? mutant, string? like, Func<WorkerAnswer, bool> onAnswer)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(typeof(WorkerPool).Assembly.Location);
        }

        foreach (var argument in new[] { "run", "--worker", "--seeds", string.Join(',', seeds), "--tier", isFull ? "full" : "core" })
        {
            start.ArgumentList.Add(argument);
        }

        if (mutant is not null)
        {
            start.ArgumentList.Add("--mutant");
            start.ArgumentList.Add(mutant);
        }

        if (like is not null)
        {
            start.ArgumentList.Add("--like");
            start.ArgumentList.Add(like);
        }

        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var done = 0;
        while (process.StandardOutput.ReadLine() is { } line)
        {
            if (Decode(line) is not { } answer)
            {
                continue;
            }

            done++;
            if (!onAnswer(answer))
            {
                process.Kill();
                process.WaitForExit();
                return;
            }
        }

        process.WaitForExit();
        if (done < seeds.Length)
        {
            // The process died: of the seed that it was at.
            var text = errors.Result.Trim();
            var goesOn = onAnswer(new WorkerAnswer(seeds[done], $"the process ended with code {process.ExitCode}: {text[..Math.Min(text.Length, 2000)]}", 0, 0));
            if (goesOn && done + 1 < seeds.Length)
            {
                RunProcess(seeds[(done + 1)..], isFull, mutant, like, onAnswer);
            }
        }
    }

    private static WorkerAnswer? Decode(string line)
    {
        var parts = line.Split(' ');
        return parts.Length == 4 && ulong.TryParse(parts[0], CultureInfo.InvariantCulture, out var seed) && long.TryParse(parts[1], CultureInfo.InvariantCulture, out var ns)
            && int.TryParse(parts[2], CultureInfo.InvariantCulture, out var operations)
            ? new WorkerAnswer(seed, parts[3] == "-" ? null : Encoding.UTF8.GetString(Convert.FromBase64String(parts[3])), ns, operations)
            : null;
    }
}
