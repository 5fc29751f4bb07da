namespace Dqlite.Raft;

/// <summary>A membership: immutable, ordered by node id.</summary>
public sealed class ClusterConfiguration
{
    /// <summary>Creates a membership.</summary>
    /// <param name="members">The members; ids must be positive and distinct.</param>
    /// <exception cref="ArgumentException">An id is not positive or stands twice.</exception>
    public ClusterConfiguration(IEnumerable<ClusterMember> members)
    {
        ArgumentNullException.ThrowIfNull(members);
        var sorted = members.OrderBy(member => member.Id.Value).ToArray();
        for (var i = 0; i < sorted.Length; i++)
        {
            if (sorted[i].Id.Value <= 0 || (i > 0 && sorted[i].Id == sorted[i - 1].Id))
            {
                throw new ArgumentException($"Node id {sorted[i].Id} is not positive or stands twice.", nameof(members));
            }
        }

        Members = sorted;
        Voters = sorted.Where(member => member.Role == MemberRole.Voter).Select(member => member.Id).ToArray();
    }

    /// <summary>A membership without members.</summary>
    public static ClusterConfiguration Empty { get; } = new([]);

    /// <summary>The members, ascending by id.</summary>
    public IReadOnlyList<ClusterMember> Members { get; }

    /// <summary>The ids of the voters, ascending.</summary>
    public IReadOnlyList<NodeId> Voters { get; }

    /// <summary>How many voters make a majority.</summary>
    public int Majority => (Voters.Count / 2) + 1;

    /// <summary>The member with this id, or null.</summary>
    /// <param name="id">The id.</param>
    public ClusterMember? Find(NodeId id)
    {
        foreach (var member in Members)
        {
            if (member.Id == id)
            {
                return member;
            }
        }

        return null;
    }

    /// <summary>Whether this id votes.</summary>
    /// <param name="id">The id.</param>
    public bool IsVoter(NodeId id) => Find(id) is { Role: MemberRole.Voter };

    /// <summary>This membership with one member added or replaced.</summary>
    /// <param name="member">The member.</param>
    public ClusterConfiguration With(ClusterMember member) => new(Members.Where(other => other.Id != member.Id).Append(member));

    /// <summary>This membership without one member.</summary>
    /// <param name="id">Its id.</param>
    public ClusterConfiguration Without(NodeId id) => new(Members.Where(other => other.Id != id));
}
