using Dqlite.Sqlite.Native;

namespace Dqlite.Sqlite;

/// <summary>The shim's clock (CLOCK_BOOTTIME): monotonic, and it goes on while the process or the machine is stopped, so that a lease
/// does not outlive a pause.</summary>
public static class MonotonicClock
{
    /// <summary>Nanoseconds since an arbitrary start.</summary>
    public static long NowNs => NativeMethods.NowNs();
}
