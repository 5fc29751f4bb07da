using Dqlite.Simulation.Mutants;

namespace Dqlite.Simulation.Running;

/// <summary>What one run of one seed is asked for.</summary>
internal sealed record RunOptions
{
    public required ulong Seed { get; init; }

    /// <summary>The tier with SQLite in it.</summary>
    public bool IsFull { get; init; }

    /// <summary>What the draw must contain.</summary>
    public MutantNeeds Needs { get; init; }

    /// <summary>Numbers of the faults that happen; null: all of them.</summary>
    public IReadOnlySet<int>? Faults { get; init; }

    /// <summary>Where every event goes, or null.</summary>
    public Action<string>? Sink { get; init; }

    /// <summary>Whether the sink gets the nodes' own logs, too.</summary>
    public bool HasNodeLogs { get; init; }

    /// <summary>File of the trace, or null.</summary>
    public string? TracePath { get; init; }

    /// <summary>File of the clients' history, or null.</summary>
    public string? HistoryPath { get; init; }
}

/// <summary>What one run gave.</summary>
/// <param name="Seed">The seed.</param>
/// <param name="Failure">What is wrong, or null.</param>
/// <param name="Hash">Of the event log: 64 hexadecimal digits.</param>
/// <param name="Faults">All faults of the seed.</param>
/// <param name="Operations">Operations of clients.</param>
/// <param name="Succeeded">Those that took effect, or read something.</param>
/// <param name="SimulatedNs">Simulated time.</param>
/// <param name="Leaders">Terms that had a leader.</param>
/// <param name="Tail">The last events, when somebody reads them.</param>
internal sealed record RunResult(ulong Seed, string? Failure, string Hash, IReadOnlyList<Faults.Fault> Faults, int Operations, int Succeeded, long SimulatedNs, int Leaders,
    IReadOnlyCollection<string> Tail);
