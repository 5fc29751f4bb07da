using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>Applies committed entries to the databases, in order. Belongs to the loop.</summary>
internal sealed class Applier(NodeContext node, LogIndex applied)
{
    private readonly Dictionary<long, Action<bool>> _waiters = [];
    private readonly Dictionary<long, Term> _waiterTerms = [];

    /// <summary>What Raft has committed.</summary>
    public LogIndex CommitIndex { get; set; } = applied;

    /// <summary>What has been applied.</summary>
    public LogIndex LastApplied { get; private set; } = applied;

    /// <summary>Whether committed entries wait.</summary>
    public bool HasMore => LastApplied < CommitIndex;

    /// <summary>Calls back when the entry at this index is applied: true when it is the one of this term.</summary>
    public void WhenApplied(LogIndex index, Term term, Action<bool> callback)
    {
        if (_waiters.Remove(index.Value, out var overtaken))
        {
            // A leader that appends at this index again has lost the entry of an earlier term there: it was never committed.
            _waiterTerms.Remove(index.Value);
            overtaken(false);
        }

        _waiters.Add(index.Value, callback);
        _waiterTerms.Add(index.Value, term);
    }

    /// <summary>Applies up to about so many bytes of entries.</summary>
    public void Apply(long maxBytes, long nowNs, RaftOutputs outputs)
    {
        if (!HasMore)
        {
            return;
        }

        while (HasMore && maxBytes > 0)
        {
            var entry = node.ReadEntry(LastApplied.Next);
            ApplyEntry(entry);
            LastApplied = entry.Index;
            node.Checkpoints.OnApplied(entry.Index, entry.Payload.Length);
            maxBytes -= entry.Payload.Length + 64;
            if (_waiters.Remove(entry.Index.Value, out var waiter))
            {
                _waiterTerms.Remove(entry.Index.Value, out var term);
                waiter(term == entry.Term);
            }
        }

        node.Cache.Trim(LogIndexMin(LastApplied, node.Core.PersistedIndex));
        node.OnApplied(nowNs, outputs);
    }

    /// <summary>An install has put everything up to this index in place.</summary>
    public void OnInstalled(LogIndex index)
    {
        LastApplied = index;
        CommitIndex = index;
        foreach (var waiting in _waiters.Keys.Where(waiting => waiting <= index.Value).ToArray())
        {
            _waiters.Remove(waiting, out var waiter);
            _waiterTerms.Remove(waiting, out var term);
            waiter!(node.Core.TermAt(new LogIndex(waiting)) == term);
        }
    }

    private static LogIndex LogIndexMin(LogIndex left, LogIndex right) => left < right ? left : right;

    private void ApplyEntry(LogEntry entry)
    {
        switch (entry.Kind)
        {
            case EntryKind.NoOp:
                break;
            case EntryKind.Configuration:
                node.OnConfigurationApplied(entry.Index, ConfigurationCodec.Decode(entry.Payload.Span));
                break;
            case EntryKind.Application:
                ApplyDatabaseEntry(entry);
                break;
            default:
                throw new RaftInvariantException($"Entry {entry.Index} has an unknown kind {entry.Kind}.");
        }

        node.Databases.Decide(entry.Index, entry.Term);
    }

    private void ApplyDatabaseEntry(LogEntry entry)
    {
        var payload = entry.Payload.Span;
        switch (EntryCodec.KindOf(payload))
        {
            case DatabaseEntryKind.Create:
                node.Databases.Create(entry.Index, EntryCodec.ReadCreate(payload));
                break;
            case DatabaseEntryKind.Drop:
                node.Databases.Drop(EntryCodec.ReadId(payload), entry.Index);
                break;
            case DatabaseEntryKind.Publish:
                node.Databases.Publish(EntryCodec.ReadId(payload), entry.Index);
                break;
            case DatabaseEntryKind.Pages:
                var header = EntryCodec.ReadPages(payload);
                node.Databases.Find(header.DatabaseId, entry.Index)?.ApplyPages(entry, header);
                break;
            default:
                throw new RaftInvariantException($"Entry {entry.Index} has an unknown application kind.");
        }
    }
}
