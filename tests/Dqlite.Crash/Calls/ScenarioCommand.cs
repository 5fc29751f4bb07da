using System.Globalization;
using Dqlite.Net;
using Dqlite.Sqlite;
using Quickstart;

namespace Dqlite.Crash.Calls;

/// <summary>A child: plays the scenario, and does something at one of its storage calls. It says "hit CALL", "calls PHASE COUNT", and "ended REASON" when a node could not go on.</summary>
internal static class ScenarioCommand
{
    public const string Name = "scenario";

    public static IEnumerable<string> Words(string data, IReadOnlyList<string> addresses, CallTarget target) =>
    [
        Name, "--data", data, "--addresses", string.Join(',', addresses),
        "--phase", target.Phase.ToString(), "--call", target.Number.ToString(CultureInfo.InvariantCulture), "--action", target.Action.ToString(),
    ];

    public static async Task<int> RunAsync(string[] words)
    {
        var arguments = Arguments.Parse(words, "data", "addresses", "phase", "call", "action");
        var hook = new CallHook(Enum.Parse<CallPhase>(arguments.Get("phase")), arguments.Number("call", 0, 0, int.MaxValue), Enum.Parse<CallAction>(arguments.Get("action")));
        using var faults = ShimFaults.Install(hook.OnCall); // taken out at the end, which fails while anything of a node is open
        await using (var nodes = new ScenarioNodes(arguments.Get("data"), arguments.Get("addresses").Split(',')))
        {
            var scenario = new Scenario(nodes, "");
            try
            {
                await scenario.PlayAsync(hook);
            }
            catch (ScenarioEndedException exception)
            {
                exception.Say();
                await GoOnWithoutAsync(nodes, scenario);
            }

            hook.Step = ScenarioStep.Stop;
        }

        hook.SayCounts();
        return 0;
    }

    /// <summary>A majority that runs takes writes without the node that stopped; only a cluster that is not founded yet needs every node.</summary>
    private static async Task GoOnWithoutAsync(ScenarioNodes nodes, Scenario scenario)
    {
        if (nodes.IsPrepared && 2 * nodes.Running.Count(node => node.Failure is null) > nodes.Count)
        {
            nodes.EndsWithFailure = false;
            await scenario.WriteOneAsync(withBlob: false);
        }
    }
}
