using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

// Transactions of several entries (docs/decisions/0012): parts that take effect with the last one.
internal sealed partial class ReplicatedDatabase
{
    /// <summary>Those of which some part is not applied, oldest first; the last one may be <see cref="_cut"/>.</summary>
    private readonly Queue<CutTransaction> _cuts = new();

    /// <summary>The one of which not all parts are proposed.</summary>
    private CutTransaction? _cut;
    private StagedParts? _staged;

    /// <summary>Loop: index of the first part of a transaction whose last part is not applied, or 0. Neither checkpoint, nor compaction, nor a snapshot's
    /// index may pass it.</summary>
    public long FirstPartIndex => _staged?.FirstIndex ?? (_cuts.TryPeek(out var cut) ? cut.FirstIndex : 0);

    /// <summary>Loop: the term of the drafts that are cut.</summary>
    public Term CutTerm => _cut?.Term ?? Term.Zero;

    /// <summary>Loop: drafts that are too large for one entry. No others are taken before their last part is proposed.</summary>
    public void BeginCut(IDraftBatch batch)
    {
        _cut = new CutTransaction(batch);
        _cuts.Enqueue(_cut);
    }

    /// <summary>Loop: the next part of the transaction that is cut, or null when there is none.</summary>
    public byte[]? NextPart(int maxBytes) => _cut is { } cut && !IsDropProposed ? cut.NextPart(Id, ProposedIndex, maxBytes) : null;

    /// <summary>Loop: it was appended to the log.</summary>
    /// <returns>Whether it was the last one.</returns>
    public bool OnPartProposed(LogIndex index, Term term)
    {
        var cut = _cut!;
        cut.OnProposed(index);
        ProposedIndex = index.Value;
        if (cut.IsProposed)
        {
            OnProposed(cut.Batch, index, term);
            _cut = null;
        }

        return cut.IsProposed;
    }

    /// <summary>Loop: a committed part. Void ones are passed over: their last part never comes.</summary>
    public void ApplyPart(LogEntry entry, in PartHeader header)
    {
        var index = entry.Index.Value;
        if (index <= _lastIndex)
        {
            return;
        }

        if (header.FirstIndex == 0)
        {
            RequireBase(index, header.PreviousIndex);
        }

        if (_cuts.TryPeek(out var cut) && cut.TryApply(entry))
        {
            if (header.IsLast)
            {
                var own = _inflight.Dequeue();
                Pages.Commit(own.Last);
                _cuts.Dequeue().Dispose();
                OnTookEffect(index, cut.FirstIndex, cut.AppliedBytes, own.Last);
            }
        }
        else if (Stage(entry, header) is { } staged && header.IsLast)
        {
            var lsn = staged.Apply(header.Checksum);
            DropStage();
            OnTookEffect(index, staged.FirstIndex, staged.Bytes, lsn);
        }
    }

    /// <summary>Loop: an entry of this term is applied. Parts of another one are void: their last part can no longer follow.</summary>
    public void VoidParts(Term term)
    {
        if (_staged is not { } staged || staged.Term == term)
        {
            return;
        }

#if MUTANTS
        if (Mutant.Is("D7"))
        {
            staged.Apply(0);
        }
#endif
        DropStage();
    }

    private StagedParts? Stage(LogEntry entry, in PartHeader header)
    {
        if (header.FirstIndex == 0)
        {
            DropStage();
            _staged = new StagedParts(Pages.OpenStage(), entry.Term, entry.Index.Value, header.PageCount);
        }
        else if (_staged is not { } staged || !staged.IsFollowedBy(entry.Term, header))
        {
            // The log was compacted behind the first of some void parts. One that is the last cannot be among them.
            return !header.IsLast ? null : throw new RaftInvariantException(
                $"Entry {entry.Index} of database '{Name}' ends a transaction that began at entry {header.FirstIndex}, of which parts are missing.");
        }

        _staged!.Add(entry, header, Pages);
        return _staged;
    }

    /// <summary>Leadership is lost. A last part that is in the log may still be committed, on top of those that were applied here already.</summary>
    private void FenceCuts()
    {
        if (_cuts.TryPeek(out var cut))
        {
            _staged = cut.ToStage(Pages);
            EndCuts();
        }
    }

    private void EndCuts()
    {
        while (_cuts.TryDequeue(out var cut))
        {
            cut.Dispose();
        }

        _cut = null;
    }

    private void DropStage()
    {
        _staged?.Dispose();
        _staged = null;
    }
}
