namespace Dqlite.Load.Budget;

/// <summary>One commit: when each step of it was taken.</summary>
internal sealed class CommitPath
{
    private readonly Dictionary<(CommitStep Step, long Node), long> _times = [];
    private readonly long _leader;

    private CommitPath(long leader) => _leader = leader;

    /// <summary>The follower whose acknowledgement came first; with the leader's own flush it makes the majority of three.</summary>
    public long Follower { get; private set; }

    /// <summary>Finds the commits of one client, which come one after the other.</summary>
    /// <param name="events">In the order of their times.</param>
    /// <param name="leader">Id of the leader.</param>
    public static IReadOnlyList<CommitPath> Find(IReadOnlyList<CommitEvent> events, long leader)
    {
        var paths = new List<CommitPath>();
        var ofIndex = events.Where(one => one.Index > 0).ToLookup(one => one.Index);
        var begun = 0;
        for (var i = 0; i < events.Count; i++)
        {
            if (events[i].Step == CommitStep.Begun)
            {
                begun = i;
            }
            else if (events[i].Step == CommitStep.Ended && Between(events, begun, i, ofIndex, leader) is { } path)
            {
                paths.Add(path);
            }
        }

        return paths;
    }

    /// <summary>When the leader or the client took a step.</summary>
    public long At(CommitStep step) => _times[(step, _leader)];

    /// <summary>When the deciding follower took a step.</summary>
    public long AtFollower(CommitStep step) => _times[(step, Follower)];

    private static CommitPath? Between(IReadOnlyList<CommitEvent> events, int first, int last, ILookup<long, CommitEvent> ofIndex, long leader)
    {
        var path = new CommitPath(leader);
        var index = 0L;
        for (var i = first; i <= last; i++)
        {
            if (events[i].Node is var node && (node == 0 || (events[i].Step == CommitStep.DraftQueued && node == leader)))
            {
                path._times.TryAdd((events[i].Step, leader), events[i].At);
                index = Math.Max(index, events[i].Index);
            }
        }

        foreach (var one in ofIndex[index].Where(one => one.Node != 0))
        {
            if (path._times.TryAdd((one.Step, one.Node), one.At) && one.Step == CommitStep.AckSent)
            {
                path.Follower = path.Follower == 0 ? one.Node : path.Follower;
            }
        }

        return path.IsComplete() ? path : null;
    }

    private bool IsComplete() =>
        Enum.GetValues<CommitStep>().Except([CommitStep.AppendReceived, CommitStep.AckSent]).All(step => _times.ContainsKey((step, _leader)))
        && BudgetTable.FollowerSteps.All(step => _times.ContainsKey((step, Follower)));
}
