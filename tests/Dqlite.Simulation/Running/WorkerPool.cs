using System.Globalization;
using System.Text;

namespace Dqlite.Simulation.Running;

/// <summary>What a worker says of a seed; a run that came to no end has no hash.</summary>
internal sealed record WorkerAnswer(ulong Seed, string? Failure, long SimulatedNs, int Operations, string? Hash);

/// <summary>
/// Runs seeds in processes of their own: one for each core, and a crash of native code - a mutant may do anything - costs one seed, not the
/// campaign.
/// </summary>
internal static class WorkerPool
{
    /// <summary>Runs all seeds, or until the handler answers false; the handler is called by one thread at a time.</summary>
    public static void Run(IReadOnlyList<ulong> seeds, int jobs, IReadOnlyList<string> arguments, Func<WorkerAnswer, bool> onAnswer)
    {
        var next = 0;
        var goesOn = true;
        var gate = new object();
        var threads = Enumerable.Range(0, Math.Max(1, jobs)).Select(_ => new Thread(Work)).ToArray();
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());

        void Work()
        {
            using var worker = new Worker(arguments);
            while (TryTake(out var seed))
            {
                var answer = worker.Run(seed, () => Volatile.Read(ref goesOn));
                lock (gate)
                {
                    if (answer is not null && goesOn)
                    {
                        Volatile.Write(ref goesOn, onAnswer(answer));
                    }
                }
            }
        }

        bool TryTake(out ulong seed)
        {
            lock (gate)
            {
                seed = next < seeds.Count ? seeds[next] : 0;
                return goesOn && next++ < seeds.Count;
            }
        }
    }

    /// <summary>A line for a result.</summary>
    public static string Encode(RunResult result) => string.Create(CultureInfo.InvariantCulture,
        $"{result.Seed} {result.SimulatedNs} {result.Operations} {result.Hash} {(result.Failure is null ? "-" : Convert.ToBase64String(Encoding.UTF8.GetBytes(result.Failure)))}");

    /// <summary>The result of a line, or null.</summary>
    public static WorkerAnswer? Decode(string line)
    {
        var parts = line.Split(' ');
        return parts.Length == 5 && ulong.TryParse(parts[0], CultureInfo.InvariantCulture, out var seed) && long.TryParse(parts[1], CultureInfo.InvariantCulture, out var ns)
            && int.TryParse(parts[2], CultureInfo.InvariantCulture, out var operations)
            ? new WorkerAnswer(seed, parts[4] == "-" ? null : Encoding.UTF8.GetString(Convert.FromBase64String(parts[4])), ns, operations, parts[3])
            : null;
    }
}
