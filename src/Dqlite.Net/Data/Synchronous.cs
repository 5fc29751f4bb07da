using System.Diagnostics;

namespace Dqlite.Net.Data;

/// <summary>Ends of the synchronous path: everything below was told to block by itself, so nothing is left to wait for.</summary>
internal static class Synchronous
{
    public static void Result(ValueTask task)
    {
        Debug.Assert(task.IsCompleted, "A synchronous call must never wait for an asynchronous one.");
        task.AsTask().GetAwaiter().GetResult();
    }

    public static T Result<T>(ValueTask<T> task)
    {
        Debug.Assert(task.IsCompleted, "A synchronous call must never wait for an asynchronous one.");
        return task.IsCompleted ? task.Result : task.AsTask().GetAwaiter().GetResult();
    }
}
