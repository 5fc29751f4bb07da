using System.Globalization;
using Dqlite.Crash.Processes;
using Dqlite.Crash.Runs;

namespace Dqlite.Crash.Calls;

/// <summary>
/// Walks through the storage system calls of a scenario: counts them by what they are for, then plays the scenario once for each call that is hit.
/// </summary>
internal static class WalkCommand
{
    /// <summary>Its options: each K-th call; only one size of cluster, one phase, calls of a range in it, one action.</summary>
    public static readonly string[] Options = ["every", "nodes", "phase", "from", "to", "action"];

    private static readonly CallAction[] Kills = [CallAction.Before, CallAction.After, CallAction.Half];
    private static readonly CallAction[] Failures = [CallAction.Eio, CallAction.Enospc, CallAction.Short];
    private static readonly int[] Sizes = [1, 3];

    public static Task KillAsync(CrashRun run) => RunAsync(run, "syscalls", Kills);

    public static Task FailAsync(CrashRun run) => RunAsync(run, "errors", Failures);

    private static async Task RunAsync(CrashRun run, string command, CallAction[] actions)
    {
        var only = run.Options.Find("phase") is { } phase ? Enum.Parse<CallPhase>(phase, ignoreCase: true) : (CallPhase?)null;
        var chosen = run.Options.Find("action") is { } action ? [Enum.Parse<CallAction>(action, ignoreCase: true)] : actions;
        foreach (var nodes in run.Options.Has("nodes") ? [run.Options.Number("nodes", 1, 1, 5)] : Sizes)
        {
            var counted = await HitAsync(run, command, nodes, CallTarget.None);
            var covered = new List<string>();
            foreach (var (walked, count) in counted.Calls.Where(calls => calls.Value > 0 && (only is null || calls.Key == only)))
            {
                covered.Add($"{walked} {await WalkAsync(run, command, nodes, walked, count, chosen)} of {count}");
            }

            Console.WriteLine($"calls hit with {Nodes(nodes)}: {string.Join(", ", covered)}");
        }
    }

    /// <returns>How many calls were hit.</returns>
    private static async Task<int> WalkAsync(CrashRun run, string command, int nodes, CallPhase phase, int count, CallAction[] actions)
    {
        var every = run.Options.Number("every", 7, 1, int.MaxValue);
        var last = run.Options.Number("to", count, 1, int.MaxValue);
        var hits = 0;
        for (var number = run.Options.Number("from", 1, 1, int.MaxValue); number <= last; number += every)
        {
            var result = await HitAsync(run, command, nodes, new CallTarget(phase, number, run.Chance.Pick(actions)));
            hits += result.Hit is null ? 0 : 1;
        }

        return hits;
    }

    /// <summary>One case.</summary>
    private static async Task<ScenarioRun> HitAsync(CrashRun run, string command, int nodes, CallTarget target)
    {
        var data = Path.Combine(run.Data, string.Create(CultureInfo.InvariantCulture, $"{nodes}-{target.Phase}-{target.Number}"));
        var result = new ScenarioRun(data, Loopback.Reserve(nodes));
        await result.RunAsync(target, run.Stop);
        var name = target == CallTarget.None ? $"counted {result.Calls.Values.Sum()} calls" : $"{target}, {result.Hit ?? "not reached"}";
        run.Score.Case($"{Nodes(nodes)}, {name}; {result.Ledger}{(result.Ended.Length > 0 ? $"; {result.Ended}" : "")}", result.Problems);
        if (result.Problems.Count == 0)
        {
            Directory.Delete(data, recursive: true);
        }
        else if (target != CallTarget.None)
        {
            Console.WriteLine($"again: {command} --nodes {nodes} --phase {target.Phase} --from {target.Number} --to {target.Number} --action {target.Action} --keep");
        }

        return result;
    }

    private static string Nodes(int count) => count == 1 ? "1 node" : $"{count} nodes";
}
