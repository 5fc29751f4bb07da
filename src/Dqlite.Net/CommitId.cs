using System.Globalization;

namespace Dqlite.Net;

/// <summary>Identifies a commit across nodes and restarts: the log decides by it whether the commit took effect.</summary>
/// <param name="Database">Name of the database.</param>
/// <param name="Index">Log index at which it was proposed.</param>
/// <param name="Term">Raft term in which it was proposed.</param>
public readonly record struct CommitId(string Database, long Index, long Term)
{
    /// <summary>Formats the id as <c>database/index/term</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Database}/{Index}/{Term}");

    /// <summary>Reads what <see cref="ToString"/> wrote.</summary>
    /// <param name="text">The text.</param>
    /// <exception cref="FormatException">The text is not such an id.</exception>
    public static CommitId Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var parts = text.Split('/');
        if (parts.Length == 3 && parts[0].Length > 0
            && long.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var index)
            && long.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out var term))
        {
            return new CommitId(parts[0], index, term);
        }

        throw new FormatException($"'{text}' is not a commit id: expected database/index/term.");
    }
}

/// <summary>What became of a commit.</summary>
public enum CommitOutcome
{
    /// <summary>The log has not decided yet; ask again.</summary>
    Undecided = 0,

    /// <summary>It took effect, and is durable on a majority.</summary>
    Committed,

    /// <summary>It never took effect and never will; safe to repeat.</summary>
    NotCommitted,
}

/// <summary>How fresh a read must be.</summary>
public enum ReadConsistency
{
    /// <summary>A read that starts after a commit was acknowledged anywhere sees it (the default).</summary>
    Linearizable = 0,

    /// <summary>At least what this session has written or read.</summary>
    Session,

    /// <summary>Whatever this node has applied.</summary>
    Local,

    /// <summary>At most a given time behind the leader.</summary>
    Bounded,
}
