using Dqlite.Net.Data;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>Applies committed entries to the databases, in order. Belongs to the loop.</summary>
internal sealed class Applier(NodeContext node, LogIndex applied)
{
    private readonly List<Waiter> _waiters = [];
    private LogEntry? _held;

    /// <summary>What Raft has committed.</summary>
    public LogIndex CommitIndex { get; set; } = applied;

    /// <summary>What has been applied.</summary>
    public LogIndex LastApplied { get; private set; } = applied;

    /// <summary>Whether committed entries can be applied now.</summary>
    public bool HasMore => LastApplied < CommitIndex && !(_held is { } held && MustWait(held));

    /// <summary>Calls back when the log has decided about a proposal: true when it was committed and applied.</summary>
    public void WhenApplied(LogIndex index, Term term, Action<bool> callback) => _waiters.Add(new Waiter(index, term, callback));

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
            _held = MustWait(entry) ? entry : null;
            if (_held is not null)
            {
                break;
            }

            ApplyEntry(entry);
            LastApplied = entry.Index;
            CommitEvents.Log.Applied(node.Core.Id.Value, entry.Index.Value);
            node.Checkpoints.OnApplied(entry.Index, entry.Payload.Length);
            maxBytes -= entry.Payload.Length + 64;
            Decide(entry.Index, entry.Term);
        }

        node.Cache.Trim(LogIndexMin(LastApplied, node.Core.PersistedIndex));
        node.OnApplied(nowNs, outputs);
    }

    /// <summary>An install has put everything up to this index in place.</summary>
    public void OnInstalled(LogIndex index)
    {
        _held = null;
        LastApplied = index;
        CommitIndex = index;
        foreach (var waiter in _waiters.Where(waiter => waiter.Index <= index).ToArray())
        {
            _waiters.Remove(waiter);
            waiter.Callback(node.Core.TermAt(waiter.Index) == waiter.Term);
        }

        Decide(index, node.Core.TermAt(index) ?? Term.Zero);
    }

    private void Decide(LogIndex index, Term term)
    {
        for (var i = _waiters.Count - 1; i >= 0; i--)
        {
            var waiter = _waiters[i];
            if (LogDecision.IsDecided(waiter.Index, waiter.Term, index, term))
            {
                _waiters.RemoveAt(i);
                waiter.Callback(waiter.Index == index && waiter.Term == term);
            }
        }
    }

    /// <summary>
    /// A create entry makes files that say "everything up to here is in this node's own log", so the log must be durable first; and its name must be
    /// free: a dropped database of that name may still be under a checkpoint.
    /// </summary>
    private bool MustWait(LogEntry entry) =>
        entry.Kind == EntryKind.Application && EntryCodec.KindOf(entry.Payload.Span) == DatabaseEntryKind.Create
        && (entry.Index > node.Core.PersistedIndex || node.Databases.IsClosing(EntryCodec.ReadCreate(entry.Payload.Span).Name));

    private static LogIndex LogIndexMin(LogIndex left, LogIndex right) => left < right ? left : right;

    private void ApplyEntry(LogEntry entry)
    {
        node.Databases.VoidParts(entry.Term);
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
            case DatabaseEntryKind.Part:
                var part = PartCodec.Read(payload);
                node.Databases.Find(part.DatabaseId, entry.Index)?.ApplyPart(entry, part);
                break;
            default:
                throw new RaftInvariantException($"Entry {entry.Index} has an unknown application kind.");
        }
    }

    private sealed record Waiter(LogIndex Index, Term Term, Action<bool> Callback);
}
