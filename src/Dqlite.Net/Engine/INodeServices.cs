using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>What a database asks of the node that it belongs to. Members may be called from any thread and do not block.</summary>
internal interface INodeServices
{
    /// <summary>Makes page stores.</summary>
    IPageStoreFactory PageStores { get; }

    /// <summary>Whether drafting is open.</summary>
    bool CanWrite { get; }

    /// <summary>Address of the current leader, or null.</summary>
    string? LeaderAddress { get; }

    /// <summary>Highest log index that this node has applied.</summary>
    long AppliedIndex { get; }

    /// <summary>The monotonic clock, in nanoseconds.</summary>
    long NowNs { get; }

    /// <summary>Blocks until a task has completed; see <see cref="INodeThreads.Wait"/>.</summary>
    void Wait(Task task);

    /// <summary>Drafts wait to be proposed.</summary>
    void OnDraftsQueued();

    /// <summary>A page of a database file failed its checksum.</summary>
    void OnRot(string database, uint pageNumber);

    /// <summary>See <see cref="IDatabaseEngine.BeginReadAsync"/>.</summary>
    Task BeginReadAsync(ReadConsistency level, long sessionIndex, TimeSpan maxStaleness);

    /// <summary>See <see cref="IDatabaseEngine.GetOutcomeAsync"/>.</summary>
    Task<CommitOutcome> GetOutcomeAsync(CommitId commit, CancellationToken cancellationToken);
}
