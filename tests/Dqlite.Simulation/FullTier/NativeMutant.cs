using System.Runtime.InteropServices;

namespace Dqlite.Simulation.FullTier;

/// <summary>Known bugs of the shim that can be switched on; native/dq_mutant.h.</summary>
internal static partial class NativeMutant
{
    /// <summary>Switches one on, for the whole process; 0: none.</summary>
    public static void Set(int number) => SetNative(number);

    [LibraryImport("dqlite_shim", EntryPoint = "dq_mutant_set")]
    private static partial void SetNative(int number);
}
