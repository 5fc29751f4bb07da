using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>Parts that were proposed and are not committed: a bound on what a large transaction keeps in memory at once. Belongs to the loop.</summary>
internal sealed class PartWindow(long maxBytes)
{
    private readonly Queue<(LogIndex Index, int Bytes)> _parts = new();
    private long _bytes;

    /// <summary>Whether another part may be proposed; one may always be on its way.</summary>
    public bool HasRoom => _bytes < maxBytes;

    /// <summary>A part was proposed.</summary>
    public void Add(LogIndex index, int bytes)
    {
        _parts.Enqueue((index, bytes));
        _bytes += bytes;
    }

    /// <summary>Everything up to here is committed.</summary>
    public void OnCommitted(LogIndex index)
    {
        while (_parts.TryPeek(out var part) && part.Index <= index)
        {
            _bytes -= part.Bytes;
            _parts.Dequeue();
        }
    }

    /// <summary>Nothing is on its way any more.</summary>
    public void Clear()
    {
        _parts.Clear();
        _bytes = 0;
    }
}
