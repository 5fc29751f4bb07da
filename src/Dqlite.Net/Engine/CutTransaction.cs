using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>
/// Drafts of this node that are too large for one entry, on their way to the log in parts. They hold references to the pages in the version
/// store, never a copy of all of them. Belongs to the loop.
///
///   queued --(room in flight)--> part proposed --(committed)--> applied, without effect
///   last part applied: the draft is committed, as one
///   leadership lost before the last part was proposed: the draft is gone
///   leadership lost after it: the parts that were applied go to a stage, and the log decides about the others
/// </summary>
internal sealed class CutTransaction(IDraftBatch batch) : IDisposable
{
    private readonly Queue<(LogIndex Index, int Pages)> _inFlight = new();
    private int _proposedPages;
    private int _nextPages;
    private int _appliedPages;
    private LogIndex _lastApplied;

    /// <summary>The drafts.</summary>
    public IDraftBatch Batch => batch;

    /// <summary>The term that the drafts carry.</summary>
    public Term Term { get; } = new(batch.Term);

    /// <summary>Index of the first part, or 0 before it is proposed.</summary>
    public long FirstIndex { get; private set; }

    /// <summary>Whether the last part is in the log.</summary>
    public bool IsProposed => _proposedPages == batch.Pages;

    /// <summary>Payload bytes of the parts that were applied.</summary>
    public long AppliedBytes { get; private set; }

    /// <summary>The next part.</summary>
    /// <param name="databaseId">Of which database.</param>
    /// <param name="previousIndex">The last entry that was proposed for it.</param>
    /// <param name="maxBytes">Of pages and changes; one page always fits.</param>
    public byte[] NextPart(long databaseId, long previousIndex, int maxBytes)
    {
        var bytes = PageBodies.Encode(batch, _proposedPages, maxBytes, PartCodec.HeaderSize, out _nextPages);
        var isLast = _proposedPages + _nextPages == batch.Pages;
        PartCodec.WriteHeader(bytes, new PartHeader(databaseId, previousIndex, FirstIndex, batch.PageSize, batch.PageCount, _nextPages, isLast ? batch.Checksum : 0, isLast));
        return bytes;
    }

    /// <summary>It was appended to the log.</summary>
    public void OnProposed(LogIndex index)
    {
        FirstIndex = FirstIndex == 0 ? index.Value : FirstIndex;
        _proposedPages += _nextPages;
        _inFlight.Enqueue((index, _nextPages));
    }

    /// <summary>Whether an entry of the own term is the part of it that is applied next; then it is noted.</summary>
    public bool TryApply(LogEntry entry)
    {
        if (!_inFlight.TryPeek(out var part) || part.Index != entry.Index || entry.Term != Term)
        {
            return false;
        }

        _inFlight.Dequeue();
        _appliedPages += part.Pages;
        _lastApplied = part.Index;
        AppliedBytes += entry.Payload.Length;
        return true;
    }

    /// <summary>Leadership was lost: what was applied of it goes on as parts of anybody, or null when nothing was.</summary>
    public StagedParts? ToStage(IPageStore pages)
    {
        if (_appliedPages == 0)
        {
            return null;
        }

        var stage = pages.OpenStage();
        stage.AddBatch(batch, 0, _appliedPages);
        return new StagedParts(stage, Term, FirstIndex, batch.PageCount) { LastIndex = _lastApplied.Value, Bytes = AppliedBytes };
    }

    /// <inheritdoc/>
    public void Dispose() => batch.Dispose();
}
