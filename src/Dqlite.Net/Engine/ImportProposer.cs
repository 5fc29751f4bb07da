using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>
/// Proposes the entries of one import, all in the term of its create entry: when leadership is lost nothing of it is proposed any more, by
/// this node in a later term or by another one, and the next leader drops what has arrived.
/// </summary>
internal sealed class ImportProposer
{
    private readonly NodeContext _node;
    private readonly Term _term;

    private ImportProposer(NodeContext node, Term term, long databaseId)
    {
        _node = node;
        _term = term;
        DatabaseId = databaseId;
    }

    /// <summary>The database: index of its create entry.</summary>
    public long DatabaseId { get; }

    /// <summary>Creates the database, not visible yet.</summary>
    /// <exception cref="DqliteException">The name is taken, or (transient) this node does not lead.</exception>
    public static async Task<ImportProposer> CreateAsync(NodeContext node, string name, byte[] payload, CancellationToken cancellationToken)
    {
        var created = new TaskCompletionSource<ImportProposer>(TaskCreationOptions.RunContinuationsAsynchronously);
        node.Call((nowNs, outputs) =>
        {
            if (node.Databases.FindByName(name) is not null)
            {
                created.TrySetException(NameTaken(name));
                return;
            }

            var term = node.Core.CurrentTerm;
            var result = node.Replicator.IsOpen ? node.Core.Propose(term, payload, nowNs, outputs) : default;
            if (result.Index == LogIndex.Zero)
            {
                created.TrySetException(DqliteErrors.NotLeader(node.LeaderAddress));
                return;
            }

            node.Applier.WhenApplied(result.Index, result.Term, own =>
            {
                // Another create entry of that name may have come first: then this one is void.
                if (!own)
                {
                    created.TrySetException(DqliteErrors.NotLeader(node.LeaderAddress));
                }
                else if (!node.Databases.Exists(result.Index.Value))
                {
                    created.TrySetException(NameTaken(name));
                }
                else
                {
                    created.TrySetResult(new ImportProposer(node, term, result.Index.Value));
                }
            });
        });
        try
        {
            return await node.UntilEndedAsync(created.Task).WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Nobody will fill it.
            _ = created.Task.ContinueWith(static task => task.Result.Drop(), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
            throw;
        }
    }

    /// <summary>Proposes an entry. Its index is known at once, long before it is committed: the next entry can name it.</summary>
    public async Task<(long Index, Task Committed)> ProposeAsync(byte[] payload, CancellationToken cancellationToken)
    {
        var proposed = new TaskCompletionSource<(long, Task)>(TaskCreationOptions.RunContinuationsAsynchronously);
        _node.Call((nowNs, outputs) =>
        {
            if (!_node.Databases.IsOpenForImport(DatabaseId))
            {
                proposed.TrySetException(new DqliteException("The database was dropped while it was imported.", 14, false, null));
                return;
            }

            var committed = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            var result = _node.Core.Propose(_term, payload, nowNs, outputs);
            if (result.Refusal != RefusalReason.None)
            {
                proposed.TrySetException(DqliteErrors.NotLeader(_node.LeaderAddress));
                return;
            }

            _node.Applier.WhenApplied(result.Index, result.Term, own =>
            {
                if (own)
                {
                    committed.TrySetResult(true);
                }
                else
                {
                    committed.TrySetException(DqliteErrors.NotLeader(_node.LeaderAddress));
                }
            });
            proposed.TrySetResult((result.Index.Value, _node.UntilEndedAsync(committed.Task)));
        });
        return await _node.UntilEndedAsync(proposed.Task).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Takes back what has arrived.</summary>
    public void Drop() => _node.Call((nowNs, outputs) => _node.Databases.DropUnpublished(DatabaseId, nowNs, outputs));

    private static DqliteException NameTaken(string name) => new($"A database named '{name}' exists already, or is being imported; choose another name or drop it first.", 1, false, null);
}
