using Dqlite.Sqlite;

namespace Dqlite.Crash.Calls;

/// <summary>What a storage system call was made for.</summary>
internal enum CallPhase
{
    /// <summary>A blank node starts, is founded and creates the database.</summary>
    Open,

    /// <summary>A record is appended to the log and flushed; term and vote are written.</summary>
    Commit,

    /// <summary>The next log segment is prepared.</summary>
    Segment,

    /// <summary>Pages go to the database file.</summary>
    Checkpoint,

    /// <summary>The log is cut.</summary>
    Compaction,

    /// <summary>A snapshot is sent, received or put in place.</summary>
    Install,

    /// <summary>A directory is opened after an abrupt end.</summary>
    Reopen,

    /// <summary>A node stops politely.</summary>
    Stop,
}

/// <summary>The steps of a scenario, as far as calls are told apart by them.</summary>
internal enum ScenarioStep
{
    Open,
    Work,
    Reopen,
    Stop,
}

/// <summary>Tells what a call was made for: by the thread that makes it, by the file, and by the step of the scenario.</summary>
internal static class CallPhases
{
    public static CallPhase Of(ScenarioStep step, string? thread, ShimCall call) => (step, thread ?? "") switch
    {
        (ScenarioStep.Stop, _) => CallPhase.Stop,
        var (_, name) when Is(name, "install") || Is(name, "send") || IsOfInstall(call) => CallPhase.Install,
        var (_, name) when Is(name, "checkpoint") => CallPhase.Checkpoint,
        var (_, name) when Is(name, "segments") => CallPhase.Segment,
        var (_, name) when Is(name, "log") => IsOfCompaction(call) ? CallPhase.Compaction : CallPhase.Commit,
        (ScenarioStep.Open, _) => CallPhase.Open,
        (ScenarioStep.Reopen, _) => CallPhase.Reopen,
        _ => CallPhase.Commit,
    };

    private static bool Is(string thread, string role) => thread.StartsWith("dqlite-" + role + "-", StringComparison.Ordinal);

    private static bool IsOfInstall(ShimCall call) => call.Path is { } path
        && (path.Contains("install.manifest", StringComparison.Ordinal) || path.EndsWith(".db.new", StringComparison.Ordinal) || path.EndsWith(".sums.new", StringComparison.Ordinal));

    private static bool IsOfCompaction(ShimCall call) =>
        call.Operation is ShimOperation.Rename or ShimOperation.Unlink || call.Path?.Contains("log.base", StringComparison.Ordinal) == true;
}
