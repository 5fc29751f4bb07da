using System.Globalization;
using Dqlite.Crash.Processes;
using Dqlite.Crash.Runs;

namespace Dqlite.Crash.Calls;

/// <summary>
/// Walks through the storage system calls of a scenario: counts them, then plays it once for each call that is hit. Calls of several threads
/// come in another order each time, so a number means "about there", and what was hit is told by the child.
/// </summary>
internal static class WalkCommand
{
    /// <summary>Its options: each K-th call; only one size of cluster; only one call; only one action.</summary>
    public static readonly string[] Options = ["every", "nodes", "call", "action"];

    private static readonly CallAction[] Kills = [CallAction.Before, CallAction.After, CallAction.Half];
    private static readonly CallAction[] Failures = [CallAction.Eio, CallAction.Enospc, CallAction.Short];
    private static readonly int[] Sizes = [1, 3];

    public static Task KillAsync(CrashRun run) => RunAsync(run, "syscalls", Kills);

    public static Task FailAsync(CrashRun run) => RunAsync(run, "errors", Failures);

    private static async Task RunAsync(CrashRun run, string command, CallAction[] actions)
    {
        var every = run.Options.Number("every", 7, 1, int.MaxValue);
        var only = run.Options.Number("call", 0, 0, int.MaxValue);
        var chosen = run.Options.Find("action") is { } action ? [Enum.Parse<CallAction>(action, ignoreCase: true)] : actions;
        foreach (var nodes in run.Options.Has("nodes") ? [run.Options.Number("nodes", 1, 1, 5)] : Sizes)
        {
            var counted = await HitAsync(run, command, nodes, 0, CallAction.None);
            var total = counted.Calls.Values.Sum();
            var hit = new SortedDictionary<CallPhase, int>();
            for (long call = only > 0 ? only : 1; call <= (only > 0 ? only : total); call += every)
            {
                var result = await HitAsync(run, command, nodes, call, run.Chance.Pick(chosen));
                if (result.HitPhase is { } phase)
                {
                    hit[phase] = hit.GetValueOrDefault(phase) + 1;
                }
            }

            Console.WriteLine($"calls hit with {Nodes(nodes)}: {string.Join(", ", counted.Calls.Select(phase => $"{phase.Key} {hit.GetValueOrDefault(phase.Key)} of {phase.Value}"))}");
        }
    }

    /// <summary>One case.</summary>
    private static async Task<ScenarioRun> HitAsync(CrashRun run, string command, int nodes, long call, CallAction action)
    {
        var data = Path.Combine(run.Data, string.Create(CultureInfo.InvariantCulture, $"{nodes}-{call}"));
        var result = new ScenarioRun(data, Loopback.Reserve(nodes));
        await result.RunAsync(call, action, run.Stop);
        var name = call == 0 ? $"{Nodes(nodes)}, counted {result.Calls.Values.Sum()} calls" : $"{Nodes(nodes)}, call {call} {action}, {result.Hit}";
        run.Score.Case($"{name}; {result.Ledger}{(result.Ended.Length > 0 ? $"; {result.Ended}" : "")}", result.Problems);
        if (result.Problems.Count > 0)
        {
            Console.WriteLine($"again: {command} --nodes {nodes} --call {call} --action {action} --data {run.Data} --keep");
        }
        else
        {
            Directory.Delete(data, recursive: true);
        }

        return result;
    }

    private static string Nodes(int count) => count == 1 ? "1 node" : $"{count} nodes";
}
