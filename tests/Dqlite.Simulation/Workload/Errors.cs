namespace Dqlite.Simulation.Workload;

/// <summary>Which result codes a client may see although nothing is wrong.</summary>
internal static class Errors
{
    /// <summary>Whether an error means that something is broken.</summary>
    public static bool IsUnexpected(int code) => (code & 0xff) switch
    {
        // Interrupted, busy, locked, I/O (not leader, lost, revoked, gone), full, cannot open, schema changed, constraint.
        9 or 5 or 6 or 10 or 13 or 14 or 17 or 19 => code is 8458 or 12042,
        _ => true,
    };
}
