using System.Globalization;
using Dqlite.Crash.Nodes;
using Dqlite.Sqlite;

namespace Dqlite.Crash.Calls;

/// <summary>Stands between the shim and the system in a child: counts the storage calls by what they are for, and does something at one of them. Any thread.</summary>
/// <param name="hit">For which purpose the call is made that is hit.</param>
/// <param name="number">Its number among those.</param>
/// <param name="action">What happens there.</param>
internal sealed class CallHook(CallPhase hit, long number, CallAction action)
{
    public const string HitWord = "hit ";
    public const string CallsWord = "calls ";
    private readonly long[] _byPhase = new long[Enum.GetValues<CallPhase>().Length];
    private volatile int _step;

    /// <summary>What the scenario does now.</summary>
    public ScenarioStep Step
    {
        get => (ScenarioStep)_step;
        set => _step = (int)value;
    }

    /// <summary>Decides about a call; says which it is before it is hit.</summary>
    public ShimFate OnCall(ShimCall call)
    {
        var phase = CallPhases.Of(Step, Thread.CurrentThread.Name, call);
        if (Interlocked.Increment(ref _byPhase[(int)phase]) != number || phase != hit)
        {
            return default;
        }

        ChildReport.Line($"{HitWord}{call.Operation} of {call.Path ?? "a file"}");
        return CallActions.Apply(action, call);
    }

    /// <summary>Says how many calls there were for each purpose.</summary>
    public void SayCounts()
    {
        foreach (var phase in Enum.GetValues<CallPhase>())
        {
            ChildReport.Line(string.Create(CultureInfo.InvariantCulture, $"{CallsWord}{phase} {Interlocked.Read(ref _byPhase[(int)phase])}"));
        }
    }
}
