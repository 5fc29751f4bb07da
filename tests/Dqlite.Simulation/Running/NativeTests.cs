using System.Diagnostics;
using System.Globalization;

namespace Dqlite.Simulation.Running;

/// <summary>The shim's own tests (native/tests/run.sh mutants), which kill what no simulated client shows.</summary>
internal static class NativeTests
{
    /// <summary>Runs them against mutants.</summary>
    /// <param name="numbers">Of the switches.</param>
    /// <returns>The name of the test that killed each; those that survive are not in it.</returns>
    /// <exception cref="InvalidOperationException">They cannot be run here.</exception>
    public static IReadOnlyDictionary<int, string> Kill(IEnumerable<int> numbers)
    {
        var start = new ProcessStartInfo("bash") { RedirectStandardOutput = true };
        start.ArgumentList.Add(FindScript());
        start.ArgumentList.Add("mutants");
        foreach (var number in numbers)
        {
            start.ArgumentList.Add(number.ToString(CultureInfo.InvariantCulture));
        }

        using var process = Process.Start(start) ?? throw new InvalidOperationException("bash could not be started; install it to run native/tests.");
        var lines = process.StandardOutput.ReadToEnd().Split('\n');
        process.WaitForExit();
        if (!lines.Any(line => line.EndsWith(" survived", StringComparison.Ordinal)))
        {
            throw new InvalidOperationException($"native/tests/run.sh mutants ended with code {process.ExitCode} and without a result; install a C compiler, and run it by hand.");
        }

        return Parse(lines);
    }

    /// <summary>Two lines for each mutant: its id and rule, and the test that killed it or SURVIVES.</summary>
    internal static Dictionary<int, string> Parse(string[] lines)
    {
        var killers = new Dictionary<int, string>();
        for (var i = 0; i + 1 < lines.Length; i++)
        {
            var id = lines[i].Split(' ')[0];
            if (id.StartsWith('V') && int.TryParse(id.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && lines[i + 1].Trim() is var killer and not "SURVIVES")
            {
                killers[number] = killer;
            }
        }

        return killers;
    }

    private static string FindScript()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            var path = Path.Combine(directory.FullName, "native", "tests", "run.sh");
            if (File.Exists(path))
            {
                return path;
            }
        }

        throw new InvalidOperationException("native/tests/run.sh is not above this program: run it from a clone.");
    }
}
