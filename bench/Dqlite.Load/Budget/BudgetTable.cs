using System.Diagnostics;
using System.Globalization;

namespace Dqlite.Load.Budget;

/// <summary>The steps of a commit, and the median of what each takes.</summary>
internal static class BudgetTable
{
    private static readonly (string Name, Func<CommitPath, long> From, Func<CommitPath, long> To)[] Way =
    [
        ("client: the statement, up to the commit point", Leader(CommitStep.Begun), Leader(CommitStep.DraftQueued)),
        ("leader: its loop wakes, makes an entry of the draft", Leader(CommitStep.DraftQueued), Leader(CommitStep.Proposed)),
        ("leader: sends it to the follower that answers first", Leader(CommitStep.Proposed), Follower(CommitStep.AppendReceived)),
        ("follower: its loop takes the entry", Follower(CommitStep.AppendReceived), Follower(CommitStep.LogOrdered)),
        ("follower: its log's thread wakes", Follower(CommitStep.LogOrdered), Follower(CommitStep.LogBegun)),
        ("follower: writes", Follower(CommitStep.LogBegun), Follower(CommitStep.LogWritten)),
        ("follower: flushes", Follower(CommitStep.LogWritten), Follower(CommitStep.LogFlushed)),
        ("follower: its loop acknowledges", Follower(CommitStep.LogFlushed), Follower(CommitStep.AckSent)),
        ("leader: receives the acknowledgement", Follower(CommitStep.AckSent), Leader(CommitStep.AckReceived)),
        ("leader: its loop moves the commit index", Leader(CommitStep.AckReceived), Leader(CommitStep.Committed)),
        ("leader: applies", Leader(CommitStep.Committed), Leader(CommitStep.Applied)),
        ("client: whoever waits wakes", Leader(CommitStep.Applied), Leader(CommitStep.WaiterCompleted)),
        ("client: the statement ends", Leader(CommitStep.WaiterCompleted), Leader(CommitStep.Ended)),
    ];

    private static readonly (string Name, Func<CommitPath, long> From, Func<CommitPath, long> To)[] Beside =
    [
        ("leader: sends it to all, gives it to its log", Leader(CommitStep.Proposed), Leader(CommitStep.LogOrdered)),
        ("leader: its log's thread wakes", Leader(CommitStep.LogOrdered), Leader(CommitStep.LogBegun)),
        ("leader: writes", Leader(CommitStep.LogBegun), Leader(CommitStep.LogWritten)),
        ("leader: flushes", Leader(CommitStep.LogWritten), Leader(CommitStep.LogFlushed)),
    ];

    /// <summary>What the follower that answers first must have done.</summary>
    public static IReadOnlyList<CommitStep> FollowerSteps { get; } =
        [CommitStep.AppendReceived, CommitStep.LogOrdered, CommitStep.LogBegun, CommitStep.LogWritten, CommitStep.LogFlushed, CommitStep.AckSent];

    public static void Print(IReadOnlyList<CommitPath> paths, double undisturbedP50Us)
    {
        Console.WriteLine($"medians of {paths.Count} commits, one client, microseconds");
        var sum = PrintSteps(paths, Way);
        PrintLine("sum of the steps", sum);
        PrintLine("p50 with the events on", MedianUs(paths, Leader(CommitStep.Begun), Leader(CommitStep.Ended)));
        PrintLine("p50 with the events off", undisturbedP50Us);
        Console.WriteLine("beside it, from the moment when the log has its order:");
        PrintSteps(paths, Beside);
        PrintLine("the own flush ends before the acknowledgement comes by", MedianUs(paths, Leader(CommitStep.LogFlushed), Leader(CommitStep.AckReceived)));
    }

    private static double PrintSteps(IReadOnlyList<CommitPath> paths, (string Name, Func<CommitPath, long> From, Func<CommitPath, long> To)[] steps)
    {
        var sum = 0.0;
        foreach (var (name, from, to) in steps)
        {
            var us = MedianUs(paths, from, to);
            PrintLine(name, us);
            sum += us;
        }

        return sum;
    }

    private static void PrintLine(string name, double us) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {name,-58}{us,8:0.0}"));

    private static double MedianUs(IReadOnlyList<CommitPath> paths, Func<CommitPath, long> from, Func<CommitPath, long> to) =>
        paths.Select(path => to(path) - from(path)).Order().ElementAt(paths.Count / 2) * 1e6 / Stopwatch.Frequency;

    private static Func<CommitPath, long> Leader(CommitStep step) => path => path.At(step);

    private static Func<CommitPath, long> Follower(CommitStep step) => path => path.AtFollower(step);
}
