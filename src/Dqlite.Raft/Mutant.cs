#if MUTANTS
namespace Dqlite.Raft;

/// <summary>
/// Known bugs that can be switched on, to measure how many of them the simulator finds. Not part of the shipped assemblies: only the
/// simulator defines MUTANTS.
/// </summary>
internal static class Mutant
{
    /// <summary>The one that is on, or an empty text.</summary>
    internal static string Active { get; set; } = "";

    /// <summary>Whether a mutant is on.</summary>
    internal static bool Is(string id) => (object)Active == id || (Active.Length == id.Length && Active == id);
}
#endif
