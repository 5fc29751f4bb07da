namespace Dqlite.Simulation.Checking;

/// <summary>How registers are checked.</summary>
/// <param name="Initial">What a register holds before the first write.</param>
/// <param name="MaxConfigurations">Per key; where the search would need more the verdict is <see cref="Verdict.Unknown"/>.</param>
/// <param name="AlwaysSearch">Takes the search even where values are unique: to compare the two ways.</param>
internal sealed record RegisterOptions(long? Initial = null, long MaxConfigurations = 200_000, bool AlwaysSearch = false);

/// <summary>
/// Linearizability of registers under read, write and cas, each key on its own, which is enough (Herlihy and Wing, "Linearizability", 1990,
/// theorem 1). Unique values make it fast: <see cref="ZoneCheck"/>; else <see cref="LinearizationSearch"/>.
///
/// A read of level Session or Local may be old, but what it saw was committed by the time when it completed. Sessions are not followed here: where
/// their order matters, use list transactions.
/// </summary>
internal static class RegisterLinearizability
{
    /// <summary>The name in results.</summary>
    public const string Name = "register linearizability";

    /// <summary>Checks all registers of a history.</summary>
    public static CheckResult Check(History history, RegisterOptions? options = null)
    {
        options ??= new RegisterOptions();
        var entries = history.Entries.ToArray();
        var groups = KeyGroups.Of(entries);
        var key = new KeyHistory(entries, new Timeline(history), options.Initial);
        CheckResult? unknown = null;
        for (var i = 0; i < groups.Count; i++)
        {
            key.Load(groups.Key(i), groups.Ids(i));
            var result = CheckKey(key, options);
            if (result is { Verdict: Verdict.Invalid })
            {
                return result;
            }

            unknown ??= result;
        }

        return unknown ?? CheckResult.Valid(Name, $"{groups.Operations} operations on {groups.Count} keys");
    }

    private static CheckResult? CheckKey(KeyHistory key, RegisterOptions options)
    {
        if (key.HasUniqueValues && !options.AlwaysSearch)
        {
            return ZoneCheck.Run(key)?.ToResult(Name, key);
        }

        var search = LinearizationSearch.Run(key, options.MaxConfigurations);
        return search.GaveUp
            ? CheckResult.Unknown(Name, "bound", $"key {key.Key}: gave up after {search.Visited} configurations; unique values make this check fast")
            : search.Fault?.ToResult(Name, key);
    }
}
