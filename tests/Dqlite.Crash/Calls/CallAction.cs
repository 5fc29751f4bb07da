using Dqlite.Crash.Processes;
using Dqlite.Sqlite;

namespace Dqlite.Crash.Calls;

/// <summary>What happens at the call that is hit.</summary>
internal enum CallAction
{
    /// <summary>Nothing: calls are counted.</summary>
    None,

    /// <summary>The process kills itself before the call.</summary>
    Before,

    /// <summary>The process kills itself after the call.</summary>
    After,

    /// <summary>The process kills itself when half of a write is done; after a call that is no write.</summary>
    Half,

    /// <summary>The call fails with EIO.</summary>
    Eio,

    /// <summary>The call fails with ENOSPC.</summary>
    Enospc,

    /// <summary>Half of a write is done, and that is what the call says; another call fails with EIO.</summary>
    Short,
}

/// <summary>Carries a <see cref="CallAction"/> out.</summary>
internal static class CallActions
{
    private const int EioErrno = 5;
    private const int EnospcErrno = 28;
    private const int Granule = 8;

    /// <summary>Kills before the call, or says what is to become of it.</summary>
    public static ShimFate Apply(CallAction action, ShimCall call)
    {
        var half = call.Operation == ShimOperation.Write ? call.Bytes / 2 / Granule * Granule : 0;
        switch (action)
        {
            case CallAction.None:
                return default;
            case CallAction.Before:
                Signals.KillSelf();
                return default;
            case CallAction.After:
                return new ShimFate(After: Signals.KillSelf);
            case CallAction.Half:
                return new ShimFate(MaxBytes: half, After: Signals.KillSelf);
            case CallAction.Enospc:
                return new ShimFate(EnospcErrno);
            case CallAction.Short when half > 0:
                return new ShimFate(MaxBytes: half);
            case CallAction.Eio or CallAction.Short:
                return new ShimFate(EioErrno);
            default:
                throw new ArgumentOutOfRangeException(nameof(action), action, null);
        }
    }
}
