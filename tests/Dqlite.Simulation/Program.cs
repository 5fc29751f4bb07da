using Dqlite.Simulation.Checking;

namespace Dqlite.Simulation;

/// <summary>The command line: <c>run</c>, <c>replay</c>, <c>mutants</c>, <c>drive</c>, <c>fuzz</c>.</summary>
internal static class Program
{
    private static readonly SortedDictionary<string, Func<IReadOnlyList<string>, int>> Commands = new(StringComparer.Ordinal)
    {
        ["check-history"] = CheckHistoryCommand.Run,
        ["fuzz"] = Fuzzing.FuzzCommand.Run,
        ["mutants"] = Running.MutantsCommand.Run,
        ["replay"] = Running.RunCommand.Replay,
        ["run"] = Running.RunCommand.Run,
        ["drive"] = Drive.DriveProgram.Run,
    };

    private static int Main(string[] arguments)
    {
        if (arguments.Length > 0 && Commands.TryGetValue(arguments[0], out var command))
        {
            return command(arguments[1..]);
        }

        Console.Error.WriteLine($"Give one of these commands: {string.Join(", ", Commands.Keys)}.");
        return 2;
    }
}
