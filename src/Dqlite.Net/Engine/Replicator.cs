using Dqlite.Net.Data;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>
/// Turns drafts into proposals, and opens and closes drafting with leadership. Belongs to the loop.
///
///   closed --(leads, its no-op is committed, everything up to it is applied)--> open(term)
///   open(term) --(no longer leads, or leads another term)--> closed, every database fenced
/// </summary>
internal sealed class Replicator(NodeContext node)
{
    /// <summary>Page bytes of one entry, unless a single transaction is larger.</summary>
    private const long MaxEntryBytes = 4 << 20;

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
        foreach (var database in node.Databases.All)
        {
            while (database.Poll(node.Options.MaxPipelinedEntries, MaxEntryBytes) is { } batch)
            {
                using (batch)
                {
                    var payload = EntryCodec.Pages(database.Id, database.ProposedIndex, batch);
                    var result = node.Core.Propose(new Term((long)batch.Term), payload, nowNs, outputs);
                    if (result.Refusal != RefusalReason.None)
                    {
                        throw new RaftInvariantException($"The core refused drafts of term {batch.Term} of database '{database.Name}': {result.Refusal}.");
                    }

                    database.OnProposed(batch, result.Index, result.Term);
                    node.Telemetry.OnProposed(batch.Drafts, payload.Length);
                    CommitEvents.Log.Proposed(node.Core.Id.Value, result.Index.Value);
                }
            }
        }
    }

#if MUTANTS
    /// <summary>D3: what is queued when leadership is lost waits for the next one.</summary>
    private void KeepQueued(ReplicatedDatabase database)
    {
        while (Mutant.Is("D3") && database.Poll(int.MaxValue, MaxEntryBytes) is { } batch)
        {
            using (batch)
            {
                _kept.Add(EntryCodec.Pages(database.Id, database.ProposedIndex, batch));
            }
        }
    }
#endif
}
