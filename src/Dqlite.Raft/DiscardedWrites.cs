namespace Dqlite.Raft;

/// <summary>
/// Entries that were cut from the log while their write was still under way (R16, the ABA case of asynchronous storage). By Figure 8
/// the very same (index, term) can be appended again later; a late report of the first write must not acknowledge the second one,
/// since the cut between them is still to reach the disk. Reports come in the order of the writes, so a report that fits a discarded
/// write is taken to be about it: acknowledging late is safe, early is not.
/// </summary>
internal sealed class DiscardedWrites
{
    private readonly List<Cut> _cuts = [];

    public bool IsEmpty => _cuts.Count == 0;

    /// <summary>Remembers one cut.</summary>
    /// <param name="from">Where the log was cut.</param>
    /// <param name="firstUnpersisted">The first entry whose write had not been reported.</param>
    /// <param name="last">The last entry before the cut.</param>
    /// <param name="terms">The terms before the cut.</param>
    public void Add(LogIndex from, LogIndex firstUnpersisted, LogIndex last, TermTable terms)
    {
        var first = from > firstUnpersisted ? from : firstUnpersisted;
        if (first > last && _cuts.Count == 0)
        {
            return;
        }

        // A cut of reported entries alone still bounds what a report about an earlier cut can say of the log.
        var starts = new List<TermStart>();
        for (var index = first; index <= last; index = index.Next)
        {
            var term = terms.TermAt(index) ?? Term.Zero;
            if (starts.Count == 0 || starts[^1].Term != term)
            {
                starts.Add(new TermStart(term, index));
            }
        }

        _cuts.Add(new Cut(from, last, starts));
    }

    /// <summary>Takes a report. Returns up to where the log as it stands may count as persisted by it, or null: as far as it says.</summary>
    public LogIndex? Match(LogIndex index, Term term)
    {
        for (var i = 0; i < _cuts.Count;)
        {
            var cut = _cuts[i];
            if (cut.Contains(index, term))
            {
                return Consume(i, index);
            }

            if (index < cut.From)
            {
                i++;
                continue;
            }

            // The report is about a write behind this cut: whatever came before it is over.
            _cuts.RemoveRange(0, i + 1);
            i = 0;
        }

        return null;
    }

    private LogIndex Consume(int position, LogIndex index)
    {
        var limit = index;
        foreach (var cut in _cuts)
        {
            limit = cut.From <= limit ? cut.From.Previous : limit;
        }

        if (index == _cuts[position].Last)
        {
            _cuts.RemoveRange(0, position + 1);
        }

        return limit;
    }

    private sealed record Cut(LogIndex From, LogIndex Last, List<TermStart> Starts)
    {
        public bool Contains(LogIndex index, Term term)
        {
            if (Starts.Count == 0 || index < Starts[0].FirstIndex || index > Last)
            {
                return false;
            }

            var found = Starts.FindLast(start => start.FirstIndex <= index);
            return found.Term == term;
        }
    }
}
