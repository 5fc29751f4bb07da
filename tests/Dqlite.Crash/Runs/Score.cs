namespace Dqlite.Crash.Runs;

/// <summary>What the cases of a command came to. Each case is one line on standard output.</summary>
internal sealed class Score
{
    public int Passed { get; private set; }

    public int Failed { get; private set; }

    public void Pass(string line)
    {
        Passed++;
        Console.WriteLine(line);
    }

    public void Fail(string line)
    {
        Failed++;
        Console.WriteLine("FAILED: " + line);
    }

    /// <summary>A case that passes unless there is a problem.</summary>
    public void Case(string line, IReadOnlyCollection<string> problems)
    {
        if (problems.Count == 0)
        {
            Pass(line);
        }
        else
        {
            Fail($"{line}: {string.Join("; ", problems)}");
        }
    }

    public void Add(Score other)
    {
        Passed += other.Passed;
        Failed += other.Failed;
    }

    public override string ToString() => $"{Passed} passed, {Failed} failed";
}
