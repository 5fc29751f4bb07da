namespace Dqlite.Crash.Runs;

/// <summary>A command with its options.</summary>
/// <param name="Name">How it is called.</param>
/// <param name="Options">Its options beside those that all have; one that ends in '!' is a switch.</param>
/// <param name="Does">For the list of commands.</param>
/// <param name="RunAsync">Scores its cases.</param>
/// <param name="ShortForms">The options of its runs in 'all --short'.</param>
/// <param name="LongForms">The options of its runs in 'all'.</param>
internal sealed record CrashCommand(
    string Name, string[] Options, string Does, Func<CrashRun, Task> RunAsync, IReadOnlyList<string> ShortForms, IReadOnlyList<string> LongForms);
