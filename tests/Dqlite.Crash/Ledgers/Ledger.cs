namespace Dqlite.Crash.Ledgers;

/// <summary>What a writer knows of a row.</summary>
internal enum TagState
{
    /// <summary>Its insert was begun. It stays so when its process dies: nobody knows what became of it.</summary>
    Intended,

    /// <summary>The commit was acknowledged.</summary>
    Acknowledged,

    /// <summary>The commit's outcome was reported as unknown.</summary>
    Unknown,

    /// <summary>An error said that it had no effect.</summary>
    Failed,
}

/// <summary>
/// What every writer was told about its rows, kept outside of the processes that are killed. Each row has a tag that is never used for another.
/// <code>
///   Intended ──► Acknowledged | Unknown | Failed        each once
/// </code>
/// Thread-safe.
/// </summary>
internal sealed class Ledger
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, TagState> _tags = new(StringComparer.Ordinal);
    private readonly long[] _counts = new long[Enum.GetValues<TagState>().Length];
    private readonly List<string> _contradictions = [];

    public bool IsEmpty
    {
        get
        {
            lock (_lock)
            {
                return _tags.Count == 0;
            }
        }
    }

    /// <summary>A writer says something about a tag.</summary>
    public void Record(TagState state, string tag)
    {
        lock (_lock)
        {
            var isKnown = _tags.TryGetValue(tag, out var before);
            if (state == TagState.Intended ? isKnown : !isKnown || before != TagState.Intended)
            {
                _contradictions.Add($"tag {tag} became {state} after {(isKnown ? before : "nothing")}");
                return;
            }

            if (isKnown)
            {
                _counts[(int)before]--;
            }

            _counts[(int)state]++;
            _tags[tag] = state;
        }
    }

    /// <summary>Holds what a node stores against what was said.</summary>
    /// <param name="stored">The tags in its table.</param>
    /// <param name="duplicated">How many rows stand there more than once.</param>
    /// <returns>What is wrong; empty when nothing is.</returns>
    public IReadOnlyList<string> Compare(IReadOnlySet<string> stored, long duplicated)
    {
        lock (_lock)
        {
            var problems = new List<string>(_contradictions);
            AddProblem(problems, "acknowledged rows are lost", _tags.Where(tag => tag.Value == TagState.Acknowledged && !stored.Contains(tag.Key)).Select(tag => tag.Key));
            AddProblem(problems, "rows exist whose insert failed without effect", _tags.Where(tag => tag.Value == TagState.Failed && stored.Contains(tag.Key)).Select(tag => tag.Key));
            AddProblem(problems, "rows exist that nobody wrote", stored.Where(tag => !_tags.ContainsKey(tag)));
            if (duplicated > 0)
            {
                problems.Add($"{duplicated} rows stand more than once");
            }

            return problems;
        }
    }

    public override string ToString()
    {
        lock (_lock)
        {
            return $"acknowledged {_counts[(int)TagState.Acknowledged]}, unknown {_counts[(int)TagState.Unknown] + _counts[(int)TagState.Intended]}, failed {_counts[(int)TagState.Failed]}";
        }
    }

    private static void AddProblem(List<string> problems, string what, IEnumerable<string> tags)
    {
        const int Shown = 5;
        var all = tags.Order(StringComparer.Ordinal).ToArray();
        if (all.Length > 0)
        {
            problems.Add($"{all.Length} {what} ({string.Join(", ", all.Take(Shown))}{(all.Length > Shown ? ", ..." : "")})");
        }
    }
}
