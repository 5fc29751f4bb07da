using Dqlite.Simulation.Checking;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Workload;

/// <summary>The histories of a run: one for each database that ever was.</summary>
internal sealed class DatabaseHistories(Scheduler scheduler)
{
    private readonly SortedDictionary<long, History> _histories = [];

    /// <summary>Operations in all.</summary>
    public int Operations
    {
        get
        {
            var count = 0;
            foreach (var history in _histories.Values)
            {
                count += history.Entries.Count;
            }

            return count;
        }
    }

    /// <summary>By database id.</summary>
    public IReadOnlyDictionary<long, History> All => _histories;

    /// <summary>The history of a database.</summary>
    public History Of(long databaseId)
    {
        if (!_histories.TryGetValue(databaseId, out var history))
        {
            _histories.Add(databaseId, history = new History(() => scheduler.NowNs));
        }

        return history;
    }
}
