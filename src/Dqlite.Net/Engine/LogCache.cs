using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>The newest entries of the log in memory: what goes to followers and what is applied. Belongs to the loop.</summary>
internal sealed class LogCache(long maxBytes)
{
    private const int EntryOverheadBytes = 64;

    private LogEntry?[] _ring = new LogEntry?[1024];
    private long _first = 1;
    private int _count;
    private long _bytes;

    /// <summary>Index of the oldest cached entry, or null in an empty cache. Entries that the log has not written yet are all cached.</summary>
    public LogIndex? FirstIndex => _count == 0 ? null : new LogIndex(_first);

    /// <summary>Adds the entry that follows the last one (or, in an empty cache, any entry).</summary>
    public void Add(LogEntry entry)
    {
        if (_count == 0)
        {
            _first = entry.Index.Value;
        }
        else if (entry.Index.Value != _first + _count)
        {
            throw new RaftInvariantException($"Entry {entry.Index} was added to a cache that ends at {_first + _count - 1}.");
        }

        if (_count == _ring.Length)
        {
            Grow();
        }

        _ring[Slot(entry.Index.Value)] = entry;
        _count++;
        _bytes += entry.Payload.Length + EntryOverheadBytes;
    }

    /// <summary>The entry, or null when it is not cached.</summary>
    public LogEntry? Find(LogIndex index)
    {
        var offset = index.Value - _first;
        return offset >= 0 && offset < _count ? _ring[Slot(index.Value)] : null;
    }

    /// <summary>Drops the entries from this index on.</summary>
    public void TruncateFrom(LogIndex index)
    {
        while (_count > 0 && _first + _count - 1 >= index.Value)
        {
            Remove(_first + _count - 1);
        }
    }

    /// <summary>Drops the oldest entries while the cache is too large, but none above <paramref name="keepAbove"/> (not yet durable or applied).</summary>
    public void Trim(LogIndex keepAbove)
    {
        while (_bytes > maxBytes && _count > 0 && _first <= keepAbove.Value)
        {
            Remove(_first);
            _first++;
        }
    }

    /// <summary>Empties the cache.</summary>
    public void Clear()
    {
        Array.Clear(_ring);
        _count = 0;
        _bytes = 0;
    }

    private void Remove(long index)
    {
        var slot = Slot(index);
        _bytes -= _ring[slot]!.Payload.Length + EntryOverheadBytes;
        _ring[slot] = null;
        _count--;
    }

    private void Grow()
    {
        var larger = new LogEntry?[_ring.Length * 2];
        for (var i = _first; i < _first + _count; i++)
        {
            larger[i & (larger.Length - 1)] = _ring[Slot(i)];
        }

        _ring = larger;
    }

    private int Slot(long index) => (int)(index & (_ring.Length - 1));
}
