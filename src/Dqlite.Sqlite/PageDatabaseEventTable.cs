using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Dqlite.Sqlite;

/// <summary>
/// Leads the shim's callbacks to their receivers. The context that native code holds is a number that is never used twice, not a
/// pointer: a callback that another thread began before <c>dq_db_close</c> may arrive after it, and then finds nobody, whereas a
/// freed GCHandle would be undefined behaviour.
/// </summary>
internal sealed class PageDatabaseEventTable
{
    private static readonly PageDatabaseEventTable Shared = new();

    private readonly ConcurrentDictionary<nint, Receiver> _receivers = new();
    private long _lastId;

    /// <summary>Where the events of one database go.</summary>
    internal sealed class Receiver(IPageDatabaseEvents events)
    {
        private Exception? _failure;

        internal nint Id { get; init; }

        internal Exception? Failure => Volatile.Read(ref _failure);

        internal IPageDatabaseEvents Events => events;

        internal void Fail(Exception exception) => Interlocked.CompareExchange(ref _failure, exception, null);
    }

    internal static Receiver Add(IPageDatabaseEvents events)
    {
        var receiver = new Receiver(events) { Id = (nint)Interlocked.Increment(ref Shared._lastId) };
        Shared._receivers[receiver.Id] = receiver;
        return receiver;
    }

    internal static void Remove(Receiver receiver) => Shared._receivers.TryRemove(receiver.Id, out _);

    private static unsafe Receiver? Find(void* context) => Shared._receivers.GetValueOrDefault((nint)context);

    [UnmanagedCallersOnly]
    internal static unsafe void OnDraft(void* context)
    {
        var receiver = Find(context);
        try
        {
            receiver?.Events.OnDraft();
        }
        catch (Exception exception)
        {
            receiver?.Fail(exception);
        }
    }

    [UnmanagedCallersOnly]
    internal static unsafe void OnSlot(void* context, ulong ticket, int resultCode)
    {
        var receiver = Find(context);
        try
        {
            receiver?.Events.OnSlot(ticket, resultCode);
        }
        catch (Exception exception)
        {
            receiver?.Fail(exception);
        }
    }

    [UnmanagedCallersOnly]
    internal static unsafe int ReadBarrier(void* context)
    {
        var receiver = Find(context);
        try
        {
            return receiver?.Events.ReadBarrier() ?? ShimResult.NotLeader;
        }
        catch (Exception exception)
        {
            receiver?.Fail(exception);
            return ShimResult.NotLeader;
        }
    }

    [UnmanagedCallersOnly]
    internal static unsafe void OnRot(void* context, uint pageNumber)
    {
        var receiver = Find(context);
        try
        {
            receiver?.Events.OnRot(pageNumber);
        }
        catch (Exception exception)
        {
            receiver?.Fail(exception);
        }
    }
}
