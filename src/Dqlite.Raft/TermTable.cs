namespace Dqlite.Raft;

/// <summary>
/// The table of term starts: which term each index of the log has. Terms never decrease along a log (Raft figure 7), so the first
/// index of each term says everything. Never compacted, so that (index, term) stays decidable for ever.
/// </summary>
internal sealed class TermTable
{
    private readonly List<TermStart> _starts = [];

    public IReadOnlyList<TermStart> Starts => _starts;

    public Term LastTerm => _starts.Count == 0 ? Term.Zero : _starts[^1].Term;

    /// <summary>Records that the entry at <paramref name="index"/> has this term; indexes arrive ascending.</summary>
    public void Append(LogIndex index, Term term)
    {
        if (term == LastTerm)
        {
            return;
        }

        Invariant.Check(term > LastTerm, $"entry {index} has term {term} behind an entry of term {LastTerm}");
        Invariant.Check(_starts.Count == 0 || index > _starts[^1].FirstIndex, $"term {term} starts at {index}, not behind term {LastTerm}");
        _starts.Add(new TermStart(term, index));
    }

    public void TruncateFrom(LogIndex index)
    {
        while (_starts.Count > 0 && _starts[^1].FirstIndex >= index)
        {
            _starts.RemoveAt(_starts.Count - 1);
        }
    }

    public void Replace(IReadOnlyList<TermStart> starts, LogIndex lastIndex)
    {
        _starts.Clear();
        foreach (var start in starts)
        {
            if (start.FirstIndex <= lastIndex)
            {
                Append(start.FirstIndex, start.Term);
            }
        }
    }

    /// <summary>The term at an index that the log has reached; null before the first known start.</summary>
    public Term? TermAt(LogIndex index)
    {
        // Nearly every question is about the newest entries, so the search runs from the end.
        for (var i = _starts.Count - 1; i >= 0; i--)
        {
            if (_starts[i].FirstIndex <= index)
            {
                return _starts[i].Term;
            }
        }

        return null;
    }

    /// <summary>
    /// The last position at or before <paramref name="index"/> whose term is at most <paramref name="term"/>; zero when there is none.
    /// One step of the fast back-off of Raft section 5.3: everything between cannot match.
    /// </summary>
    public LogIndex LastWithTermAtMost(LogIndex index, Term term)
    {
        for (var i = _starts.Count - 1; i >= 0; i--)
        {
            if (_starts[i].FirstIndex > index)
            {
                continue;
            }

            if (_starts[i].Term <= term)
            {
                return index;
            }

            index = _starts[i].FirstIndex.Previous;
        }

        return LogIndex.Zero;
    }
}
