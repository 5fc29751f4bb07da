using Dqlite.Net.Data;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>
/// Turns drafts into proposals, and opens and closes drafting with leadership. Belongs to the loop.
///
///   closed --(leads, its no-op is committed, everything up to it is applied)--> open(term)
///   open(term) --(no longer leads, or leads another term)--> closed, every database fenced
/// </summary>
internal sealed class Replicator(NodeContext node)
{
    /// <summary>Parts that are proposed without a look at anything else: they read the old images of their pages.</summary>
    private const int MaxPartsAtOnce = 16;

    private readonly PartWindow _window = new(node.Options.MaxBatchBytes);
    private Term _draftTerm = Term.Zero;
    private volatile bool _isOpen;
#if MUTANTS
    private readonly List<byte[]> _kept = [];
#endif

    /// <summary>Whether drafts are taken. Any thread.</summary>
    public bool IsOpen => _isOpen;

    /// <summary>Opens drafting once the own no-op is committed and everything up to it is applied (design: "Lead").</summary>
    public void TryOpenDrafting()
    {
        var core = node.Core;

        // Not "nothing can be applied now": what waits (a create entry, for the checkpoint of a dropped database of its name) is not in the state.
        var knowsState = core.IsTermCommitted && node.Applier.LastApplied >= node.Applier.CommitIndex;
#if MUTANTS
        knowsState |= Mutant.Is("D4") || (Mutant.Is("D4b") && core.IsTermCommitted && !node.Applier.HasMore);
#endif
        if (_isOpen || core.Role != RaftRole.Leader || !knowsState || node.IsStopping)
        {
            return;
        }

        _draftTerm = core.CurrentTerm;
        node.Databases.DropAbandonedImports(_draftTerm);
        foreach (var database in node.Databases.All.Where(database => database.IsPublished))
        {
            database.Lead(_draftTerm);
        }

        _isOpen = true;
        node.OnDraftingChanged();
    }

    /// <summary>Leadership may have gone.</summary>
    public void OnStateChanged()
    {
        if (_isOpen && (node.Core.Role != RaftRole.Leader || node.Core.CurrentTerm != _draftTerm))
        {
            Close();
        }
    }

    /// <summary>Fences every database: nothing is drafted any more, and what was not proposed is gone.</summary>
    public void Close()
    {
        if (!_isOpen)
        {
            return;
        }

        _isOpen = false;
        _window.Clear();
        node.OnDraftingChanged();
        foreach (var database in node.Databases.All)
        {
#if MUTANTS
            if (Mutant.Is("R47"))
            {
                continue;
            }

            KeepQueued(database);
#endif
            database.Fence();
        }
    }

    /// <summary>A database that appeared while this node leads. One under import takes no drafts: its pages come as entries.</summary>
    public void OnVisible(ReplicatedDatabase database)
    {
        if (_isOpen && database.IsPublished)
        {
            database.Lead(_draftTerm);
            node.ForgetPublishedLease();
        }
    }

    /// <summary>Proposes what is queued: all drafts of a database share one entry while others are on their way.</summary>
    public void ProposeDrafts(long nowNs, RaftOutputs outputs)
    {
        if (!_isOpen || node.Core.IsTransferInProgress)
        {
            return;
        }

#if MUTANTS
        _kept.ForEach(payload => node.Core.Propose(node.Core.CurrentTerm, payload, nowNs, outputs));
        _kept.Clear();
#endif
        _window.OnCommitted(node.Core.CommitIndex);
        foreach (var database in node.Databases.All)
        {
            try
            {
                ProposeDrafts(database, nowNs, outputs);
            }
            catch (ShimException exception) when (exception.ResultCode is ShimResult.PageRot or ShimResult.ReadError)
            {
                // What was drafted cannot be read again, so it goes, with all that was drafted on top of it: by a fence.
                node.Log.DraftLost(database.Name, exception);
                node.Core.StepDown(nowNs, outputs);
                return;
            }
        }
    }

    private void ProposeDrafts(ReplicatedDatabase database, long nowNs, RaftOutputs outputs)
    {
        ProposeParts(database, nowNs, outputs);
        while (database.Poll(node.Options.MaxPipelinedEntries, node.Options.MaxBatchBytes) is { } batch)
        {
            if (Encode(database, batch) is { } payload)
            {
                Propose(database, batch, payload, nowNs, outputs);
            }
            else
            {
                database.BeginCut(batch);
                ProposeParts(database, nowNs, outputs);
            }
        }
    }

    /// <summary>One entry, or null when it would be too large. Reading the drafts may fail: they may lie in a file.</summary>
    private byte[]? Encode(ReplicatedDatabase database, IDraftBatch batch)
    {
        try
        {
            return EntryCodec.Pages(database.Id, database.ProposedIndex, batch, node.Options.MaxEntryBytes);
        }
        catch
        {
            batch.Dispose();
            throw;
        }
    }

    private void Propose(ReplicatedDatabase database, IDraftBatch batch, byte[] payload, long nowNs, RaftOutputs outputs)
    {
        using (batch)
        {
            var result = Propose(database, new Term(batch.Term), payload, nowNs, outputs);
            database.OnProposed(batch, result.Index, result.Term);
            node.Telemetry.OnProposed(batch.Drafts, payload.Length);
            CommitEvents.Log.Proposed(node.Core.Id.Value, result.Index.Value);
        }
    }

    /// <summary>Proposes parts of a large transaction, as many as may be on their way: neither log, cache nor peers ever hold all of it. When one of them is committed there are more.</summary>
    private void ProposeParts(ReplicatedDatabase database, long nowNs, RaftOutputs outputs)
    {
        for (var i = 0; i < MaxPartsAtOnce && _window.HasRoom && database.NextPart(node.Options.MaxEntryBytes) is { } payload; i++)
        {
            var result = Propose(database, database.CutTerm, payload, nowNs, outputs);
            _window.Add(result.Index, payload.Length);
            node.Telemetry.OnProposed(database.OnPartProposed(result.Index, result.Term) ? 1 : 0, payload.Length);
            CommitEvents.Log.Proposed(node.Core.Id.Value, result.Index.Value);
        }
    }

    private ProposalResult Propose(ReplicatedDatabase database, Term term, byte[] payload, long nowNs, RaftOutputs outputs)
    {
        var result = node.Core.Propose(term, payload, nowNs, outputs);
        return result.Refusal == RefusalReason.None
            ? result
            : throw new RaftInvariantException($"The core refused drafts of term {term} of database '{database.Name}': {result.Refusal}.");
    }

#if MUTANTS
    /// <summary>D3: what is queued when leadership is lost waits for the next one.</summary>
    private void KeepQueued(ReplicatedDatabase database)
    {
        while (Mutant.Is("D3") && database.Poll(int.MaxValue, node.Options.MaxBatchBytes) is { } batch)
        {
            using (batch)
            {
                _kept.Add(EntryCodec.Pages(database.Id, database.ProposedIndex, batch, int.MaxValue)!);
            }
        }
    }
#endif
}
