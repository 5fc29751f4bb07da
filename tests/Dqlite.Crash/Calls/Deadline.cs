using System.Diagnostics;

namespace Dqlite.Crash.Calls;

/// <summary>Ends attempts that never succeed.</summary>
/// <param name="patience">From now on.</param>
/// <param name="what">What is attempted, as "it did not happen that ...".</param>
internal sealed class Deadline(TimeSpan patience, string what)
{
    private readonly long _began = Stopwatch.GetTimestamp();

    /// <summary>Throws when the time is over.</summary>
    /// <param name="last">Why the last attempt failed.</param>
    public void ThrowIfOver(Exception? last = null)
    {
        if (Stopwatch.GetElapsedTime(_began) > patience)
        {
            throw new TimeoutException($"it did not happen in {patience.TotalSeconds:0} s that {what}{(last is null ? "" : $"; the last attempt: {last.Message}")}");
        }
    }
}
