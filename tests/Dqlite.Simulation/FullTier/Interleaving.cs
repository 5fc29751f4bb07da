using Dqlite.Simulation.World;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.FullTier;

/// <summary>
/// Lets other things of the world happen in the middle of the shim's calls, where threads would: in the system calls that it makes without a
/// lock. What happens there is not interleaved further. The action gets the name of the system call that comes next:
/// <code>
/// pread                       a connection reads a page of the file, having decided that the file has the version of its snapshot; or a
///                             checkpoint reads what an old snapshot will still need (dq_db.c, dq_checkpoint.c)
/// pwrite, ftruncate,          a checkpoint is on its way between "target" and "done", with any part of the file written; or an install
///   fsync, fdatasync          builds new files, which nobody else knows
/// </code>
/// No lock is held at any of them, so that other connections may read, write, open and close, and the engine may apply, commit, fence, poll, lead,
/// open snapshots and close the database. What may not:
/// <list type="bullet">
/// <item>use or close the connection that is inside the call (<see cref="ReentryGuard"/> notices);</item>
/// <item>in <c>pread</c>: run a checkpoint of the same database, whose grace period waits for exactly this read, which lies below it on the
/// stack (noticed, and ends the process: the shim could only spin);</item>
/// <item>in a checkpoint: run another of the same database, or install over it; the engine has them exclude each other.</item>
/// </list>
/// Nothing is offered in <c>now_ns</c>, which the shim asks under its lock (dq_slot.c, dq_handle.c), nor in reads of less than a page, which it
/// does while a database is opened or, under its lock, replaced (dq_lead.c). In a <c>wait</c> everything may happen but the use of that connection.
/// </summary>
internal sealed class Interleaving : IDisposable
{
    private const int SmallestPage = 512;

    private bool _isInside;
    private bool _isInRead;

    public Interleaving()
    {
        ShimDisk.SystemCall = OnSystemCall;
        ShimDisk.Yield = OnYield;
    }

    /// <summary>What happens; null: nothing. Gets the name of the system call.</summary>
    public Action<string>? Action { get; set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        ShimDisk.SystemCall = null;
        ShimDisk.Yield = null;
    }

    private void OnSystemCall(ShimOperation operation, long size)
    {
        if (_isInside || Action is not { } action || NameOf(operation, size) is not { } name)
        {
            return;
        }

        _isInside = true;
        _isInRead = operation == ShimOperation.Read;
        try
        {
            action(name);
        }
        finally
        {
            _isInside = false;
            _isInRead = false;
        }
    }

    private void OnYield()
    {
        if (_isInRead)
        {
            Environment.FailFast("A checkpoint waits for a page read in the middle of which it was begun.");
        }
    }

    private static string? NameOf(ShimOperation operation, long size) => operation switch
    {
        ShimOperation.Read when size >= SmallestPage => "pread",
        ShimOperation.Write => "pwrite",
        ShimOperation.Truncate => "ftruncate",
        ShimOperation.Sync => "fsync",
        ShimOperation.DataSync => "fdatasync",
        _ => null,
    };
}
