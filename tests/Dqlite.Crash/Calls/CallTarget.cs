namespace Dqlite.Crash.Calls;

/// <summary>A call that is to be hit. Threads take turns otherwise in each run, so the number of a call is the same only about.</summary>
/// <param name="Phase">What it is made for.</param>
/// <param name="Number">Its number among the calls of that phase, from 1.</param>
/// <param name="Action">What happens there.</param>
internal readonly record struct CallTarget(CallPhase Phase, int Number, CallAction Action)
{
    /// <summary>No call is hit.</summary>
    public static CallTarget None { get; }

    public override string ToString() => $"{Phase} {Number} {Action}";
}
