namespace Dqlite.Raft;

/// <summary>
/// What the core knows of its log: terms, kinds and sizes of the entries FirstIndex..LastIndex, and how far they are durable. Payloads
/// stay with the caller. Entries up to <see cref="PersistedIndex"/> are on this node's disk.
/// </summary>
internal sealed class RaftLog
{
    private readonly TermTable _terms = new();
    private readonly DiscardedWrites _discarded = new();
    private EntryInfo[] _ring = new EntryInfo[64];
    private int _head;
    private int _count;

    public RaftLog(RaftInitialState initial)
    {
        ArgumentNullException.ThrowIfNull(initial);
        Invariant.Check(initial.FirstIndex.Value >= 1, $"the log starts at {initial.FirstIndex}");
        FirstIndex = initial.FirstIndex;
        _terms.Replace(initial.TermStarts, FirstIndex.Previous);
        Invariant.Check(
            _terms.LastTerm == initial.PreviousTerm,
            $"the table of term starts ends with term {_terms.LastTerm}, but the entry before {FirstIndex} has term {initial.PreviousTerm}");
        foreach (var entry in initial.Entries)
        {
            Append(entry);
        }

        PersistedIndex = LastIndex;
    }

    public LogIndex FirstIndex { get; private set; }

    public LogIndex LastIndex => new(FirstIndex.Value + _count - 1);

    public Term LastTerm => _terms.LastTerm;

    public LogIndex PersistedIndex { get; private set; }

    public IReadOnlyList<TermStart> TermStarts => _terms.Starts;

    public EntryInfo this[LogIndex index]
    {
        get
        {
            Invariant.Check(index >= FirstIndex && index <= LastIndex, $"entry {index} is outside of the log {FirstIndex}..{LastIndex}");
            return _ring[Slot(index)];
        }
    }

    /// <summary>The term at an index, also of entries that were compacted; null above LastIndex, zero at zero.</summary>
    public Term? TermAt(LogIndex index) =>
        index.Value == 0 ? Term.Zero : index.Value < 0 || index > LastIndex ? null : _terms.TermAt(index);

    public bool Matches(LogIndex index, Term term) => TermAt(index) == term;

    /// <summary>Raft section 5.4.1: whether a log that ends so is at least as up to date as this one.</summary>
    public bool IsUpToDate(LogIndex lastIndex, Term lastTerm) =>
        lastTerm > LastTerm || (lastTerm == LastTerm && lastIndex >= LastIndex);

    public LogIndex LastWithTermAtMost(LogIndex index, Term term) =>
        _terms.LastWithTermAtMost(index < LastIndex ? index : LastIndex, term);

    public void Append(EntryInfo entry)
    {
        if (_count == _ring.Length)
        {
            Grow();
        }

        _terms.Append(LastIndex.Next, entry.Term);
        _ring[(_head + _count) & (_ring.Length - 1)] = entry;
        _count++;
    }

    /// <summary>Drops the entries from here on (Raft section 5.3: the whole tail goes).</summary>
    public void TruncateFrom(LogIndex index)
    {
        Invariant.Check(index >= FirstIndex && index <= LastIndex, $"cannot cut the log {FirstIndex}..{LastIndex} at {index}");
        _discarded.Add(index, PersistedIndex.Next, LastIndex, _terms);
        _count = (int)(index.Value - FirstIndex.Value);
        _terms.TruncateFrom(index);
        PersistedIndex = PersistedIndex < index ? PersistedIndex : index.Previous;
    }

    /// <summary>A write of entries was reported as durable up to (index, term). Returns whether <see cref="PersistedIndex"/> advanced.</summary>
    public bool Persisted(LogIndex index, Term term)
    {
        var upTo = index;
        var isCut = !_discarded.IsEmpty;
#if MUTANTS
        isCut &= !Mutant.Is("R16");
#endif
        if (isCut && _discarded.Match(index, term) is { } limit)
        {
            upTo = limit;
        }
#if MUTANTS
        else if (Mutant.Is("R16"))
        {
            upTo = index < LastIndex ? index : LastIndex;
        }
#endif
        else if (!Matches(index, term))
        {
            return false;
        }

        if (upTo <= PersistedIndex)
        {
            return false;
        }

        PersistedIndex = upTo;
        return true;
    }

    /// <summary>Drops the entries up to here from the front; their terms stay known.</summary>
    public void Compact(LogIndex upTo)
    {
        if (upTo < FirstIndex)
        {
            return;
        }

        Invariant.Check(upTo <= LastIndex, $"cannot compact up to {upTo}, the log ends at {LastIndex}");
        var dropped = (int)(upTo.Value - FirstIndex.Value + 1);
        _head = (_head + dropped) & (_ring.Length - 1);
        _count -= dropped;
        FirstIndex = upTo.Next;
    }

    /// <summary>A snapshot up to here replaces the log.</summary>
    public void Reset(LogIndex lastIncluded, Term term, IReadOnlyList<TermStart> termStarts)
    {
        _discarded.Add(lastIncluded.Next, PersistedIndex.Next, LastIndex, _terms);
        _head = 0;
        _count = 0;
        FirstIndex = lastIncluded.Next;
        PersistedIndex = lastIncluded;
        _terms.Replace(termStarts, lastIncluded);
        Invariant.Check(_terms.LastTerm == term, $"the snapshot at {lastIncluded} has term {term}, its table of term starts ends with {_terms.LastTerm}");
    }

    /// <summary>The last entry of a message that starts at <paramref name="first"/>: as many as fit into the bytes, at least one.</summary>
    public LogIndex BatchEnd(LogIndex first, int maxBytes, out long sizeBytes)
    {
        sizeBytes = 0;
        var last = first.Previous;
        while (last < LastIndex)
        {
            var size = this[last.Next].SizeBytes;
            if (last >= first && sizeBytes + size > maxBytes)
            {
                break;
            }

            sizeBytes += size;
            last = last.Next;
        }

        return last;
    }

    private int Slot(LogIndex index) => (int)((_head + (index.Value - FirstIndex.Value)) & (_ring.Length - 1));

    private void Grow()
    {
        var larger = new EntryInfo[_ring.Length * 2];
        for (var i = 0; i < _count; i++)
        {
            larger[i] = _ring[(_head + i) & (_ring.Length - 1)];
        }

        _ring = larger;
        _head = 0;
    }
}
