namespace Dqlite.Simulation.Tests.Checking;

/// <summary>What a generated history is like.</summary>
internal sealed record Shape
{
    public int Clients { get; init; } = 4;

    public int Operations { get; init; } = 200;

    public int Keys { get; init; } = 3;

    public int Accounts { get; init; } = 4;

    public bool HasUniqueValues { get; init; } = true;

    public double CasShare { get; init; } = 0.2;

    public double WriteShare { get; init; } = 0.4;

    public double InfoShare { get; init; } = 0.05;

    public double FailShare { get; init; } = 0.05;

    public double WeakShare { get; init; }

    /// <summary>Steps of a transaction at most.</summary>
    public int MaxSteps { get; init; } = 4;

    /// <summary>How long an operation takes at most; thinking takes as long.</summary>
    public int MaxNs { get; init; } = 1000;
}
