namespace Dqlite.Net.Engine;

/// <summary>
/// Work that goes on beside other work of the node, one run at a time. It never waits: it does what can be done, and says when it wants to
/// run again. So the same code runs on a thread of its own, or step by step under a simulator.
/// </summary>
internal interface INodeWork
{
    /// <summary>Does what can be done now.</summary>
    /// <returns>When to run again although nobody wakes it, in nanoseconds of the monotonic clock; or <see cref="NodeWork.Idle"/>, or
    /// <see cref="NodeWork.Ended"/>.</returns>
    long RunOnce();
}

/// <summary>Work that any thread of the node may do a run of, when nobody else does.</summary>
internal interface ISharedNodeWork : INodeWork
{
    /// <summary>As <see cref="INodeWork.RunOnce"/>, but never its end: that belongs to the work's own thread.</summary>
    long RunShared();
}

/// <summary>What <see cref="INodeWork.RunOnce"/> may answer beside a time.</summary>
internal static class NodeWork
{
    /// <summary>Again at once, after whatever else waits.</summary>
    public const long Again = 0;

    /// <summary>Not before somebody wakes it.</summary>
    public const long Idle = long.MaxValue;

    /// <summary>Never again.</summary>
    public const long Ended = long.MinValue;
}

/// <summary>Somebody who does a piece of <see cref="INodeWork"/>.</summary>
internal interface INodeWorker
{
    /// <summary>Any thread: there is something to do.</summary>
    void Wake();

    /// <summary>
    /// A thread of the node: there is something to do, and this thread has nothing better to do. Of <see cref="ISharedNodeWork"/> it does a run itself,
    /// unless somebody else does: waking another thread takes longer than most runs. Otherwise as <see cref="Wake"/>.
    /// </summary>
    void Assist();

    /// <summary>The work runs no more. Waits for the run that is under way, unless that calls.</summary>
    void Stop();
}

/// <summary>Where a node's work is done.</summary>
internal interface INodeThreads
{
    /// <summary>Begins: the first run comes without a wake.</summary>
    INodeWorker Start(string name, INodeWork work);

    /// <summary>Blocks a thread of the application, which is inside SQLite, until a task has completed, well or not.</summary>
    void Wait(Task task);
}
