namespace Dqlite.Raft;

/// <summary>Arithmetic of majorities.</summary>
internal static class Quorum
{
    /// <summary>The largest value that a majority of the voters has reached (Raft figure 2, "if there exists an N").</summary>
    /// <param name="voters">The voters, at least one.</param>
    /// <param name="valueOf">The value of each.</param>
    public static long Reached(IReadOnlyList<NodeId> voters, Func<NodeId, long> valueOf)
    {
        Invariant.Check(voters.Count > 0, "a majority of no voters");
        Span<long> values = voters.Count <= 16 ? stackalloc long[voters.Count] : new long[voters.Count];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = valueOf(voters[i]);
        }

        values.Sort();
        return values[values.Length - ((values.Length / 2) + 1)];
    }
}

/// <summary>The distinct nodes that granted a vote or pre-vote in the current campaign (R4).</summary>
internal sealed class VoteTally
{
    private readonly SortedSet<NodeId> _granted = [];
#if MUTANTS
    private int _answers;
#endif

    public void Clear()
    {
        _granted.Clear();
#if MUTANTS
        _answers = 0;
#endif
    }

    public void Grant(NodeId voter)
    {
        _granted.Add(voter);
#if MUTANTS
        _answers++;
#endif
    }

    public bool HasGranted(NodeId voter) =>
#if MUTANTS
        !Mutant.Is("R4") &&
#endif
        _granted.Contains(voter);

    /// <summary>Whether the grants of this membership's voters are a majority of it.</summary>
    public bool IsWon(ClusterConfiguration configuration) =>
#if MUTANTS
        Mutant.Is("R4") ? _answers >= configuration.Majority :
        Mutant.Is("R4b") ? _granted.Count >= configuration.Majority :
#endif
        configuration.Voters.Count > 0 && configuration.Voters.Count(_granted.Contains) >= configuration.Majority;
}
