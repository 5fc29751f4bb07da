using System.Buffers.Binary;
using Dqlite.Net.Engine;
using Dqlite.Net.Storage;
using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Cluster;

/// <summary>What leaves a node: nothing that depends on what its disk may forget.</summary>
internal sealed partial class Invariants
{
    /// <summary>A node hands a message over.</summary>
    public void OnSent(NodeId from, NodeId to, PeerMessage message)
    {
        if (message is not RaftPeerMessage { Message: var raft } || cluster.Find(from) is not { } node)
        {
            return;
        }

        cluster.Log.Add('m', (from.Value << 32) | to.Value, ((long)raft.Kind << 48) | raft.Term.Value);
        var view = ViewOf(node);
        if (raft is not PreVoteRequest && raft.Term.Value > view.DurableTerm)
        {
            view.DurableTerm = DurableState(node).CurrentTerm.Value;
            if (raft.Term.Value > view.DurableTerm)
            {
                Fail($"durable before send: node {node.Number} sent {raft.Kind} of term {raft.Term}, its disk holds term {view.DurableTerm}");
            }
        }

        switch (raft)
        {
            case VoteRequest request:
                OnVote(node, request.Term, request.From);
                break;
            case VoteResponse { Granted: true } response:
                OnVote(node, response.Term, response.To);
                break;
            case AppendEntriesResponse { Success: true } response:
                OnAcknowledgement(node, view, response);
                break;
            case PreVoteRequest request:
                OnPreVoteRequest(request);
                break;
            case PreVoteResponse response:
                OnPreVote(node, response);
                break;
            case TimeoutNow order:
                OnTimeoutNow(node, order);
                break;
            default:
                break;
        }
    }

    private void OnVote(SimNode node, Term term, NodeId candidate)
    {
        var key = (node.Machine.NodeId.Value, term.Value);
        if (!_votes.TryAdd(key, candidate.Value) && _votes[key] != candidate.Value)
        {
            Fail($"one vote per term: node {node.Number} voted for {_votes[key]} and for {candidate} in term {term}");
        }

        var durable = DurableState(node);
        if (durable.CurrentTerm == term && durable.VotedFor != candidate)
        {
            Fail($"durable before send: node {node.Number} votes for {candidate} in term {term}, its disk holds a vote for {durable.VotedFor}");
        }
    }

    private void OnAcknowledgement(SimNode node, NodeView view, AppendEntriesResponse response)
    {
        var match = response.MatchIndex.Value;
        view.OnAcknowledged(response.Term.Value, match);
        for (var index = Math.Max(view.Durable + 1, node.Node!.Core.FirstIndex.Value); index <= match; index++)
        {
            if (!IsDurable(node, index))
            {
                Fail($"durable before send: node {node.Number} acknowledges {match}, entry {index} is not on its disk");
                return;
            }
        }

        view.Durable = Math.Max(view.Durable, match);
        if (view.Rot is { IsProven: false } rot && match > rot.LogEnd)
        {
            view.Rot = rot with { IsProven = true };
        }
    }

    /// <summary>A snapshot takes the place of the log: what conflicts with it is gone, and what it holds need not be in the log.</summary>
    public void OnInstalling(SimNode node, LogIndex index)
    {
        var view = ViewOf(node);
        if (index.Value <= view.Commit)
        {
            Fail($"node {node.Number} installs a snapshot of index {index}, committed is {view.Commit}");
        }

        view.MustHold = Math.Min(view.MustHold, index.Value);
        view.Durable = Math.Min(view.Durable, index.Value);
        view.Rot = null;
    }

    /// <summary>Bits of a file have changed: an entry of the log may have gone, and later records may say that it was durable.</summary>
    public void OnRot(SimNode node, string path)
    {
        if (node.Node is not { } context)
        {
            return;
        }

        var store = context.Store;
        var view = ViewOf(node);
        if (view.Rot is { } earlier)
        {
            // This time it may have hit the records that prove something.
            view.Rot = earlier with { LogEnd = store.LastIndex.Value, IsProven = false };
            return;
        }

        for (var index = store.FirstIndex.Value; index <= store.DurableIndex.Value; index++)
        {
            if (store.Locate(new LogIndex(index)) is { } place && place.Path == path && node.Disk.HasRot(path, place.Offset, place.Length))
            {
                view.Rot = new RottenEntry(index, store.LastIndex.Value, false);
                return;
            }
        }
    }

    /// <summary>Whether a power cut now would leave the entry.</summary>
    private static bool IsDurable(SimNode node, long index)
    {
        var store = node.Node!.Store;
        if (index < node.Node.Core.FirstIndex.Value)
        {
            return true;
        }

        // The log may still hold another entry there, which the core has cut.
        return store.TermAt(new LogIndex(index)) == node.Node.Core.TermAt(new LogIndex(index)) && store.Locate(new LogIndex(index)) is { } place
            && !node.Disk.HasPending(place.Path, place.Offset, place.Length);
    }

    /// <summary>Term and vote that a power cut now would leave.</summary>
    private static HardState DurableState(SimNode node)
    {
        var path = Path.Combine(node.Options.DataDirectory, MetadataFile.FileName);
        if (node.Disk.DurableImage(path) is not { } image)
        {
            return default;
        }

        using var file = MetadataFile.Open(new ImageFileSystem(path, image), path);
        return file.HardState;
    }

    /// <summary>A node wrote to its log.</summary>
    public void OnAppended(SimNode node, RaftOutputs outputs)
    {
        if (outputs.TruncateFrom is { } from)
        {
            var view = ViewOf(node);
            view.Durable = Math.Min(view.Durable, from.Value - 1);
            view.MustHold = Math.Min(view.MustHold, from.Value - 1);
            view.Rot = view.Rot?.Index >= from.Value ? null : view.Rot;
            if (view.AcknowledgedIn(node.Node!.Core.CurrentTerm.Value) >= from.Value)
            {
                Fail($"log: node {node.Number} truncates from {from}, and it acknowledged {view.AcknowledgedIn(node.Node.Core.CurrentTerm.Value)} in the same term {node.Node.Core.CurrentTerm}");
            }

            if (from.Value <= view.Commit)
            {
                Fail($"node {node.Number} truncates from {from}, committed is {view.Commit}");
            }
        }

        foreach (var entry in outputs.Appends)
        {
            var previous = node.Node!.Core.TermAt(entry.Index.Previous)?.Value ?? 0;
            var value = (previous, Content(entry));
            var key = (entry.Index.Value, entry.Term.Value);
            if (!_entries.TryAdd(key, value) && _entries[key] != value)
            {
                Fail($"log matching: node {node.Number} appends another entry ({entry.Index}, {entry.Term}) than was appended elsewhere, or behind another one");
            }
        }
    }

    private static ulong Content(LogEntry entry)
    {
        var hash = 0xCBF29CE484222325UL ^ (ulong)entry.Kind;
        var payload = entry.Payload.Span;
        for (; payload.Length >= 8; payload = payload[8..])
        {
            hash = (hash ^ BinaryPrimitives.ReadUInt64LittleEndian(payload)) * 0x9E3779B97F4A7C15UL;
            hash ^= hash >> 32;
        }

        foreach (var value in payload)
        {
            hash = (hash ^ value) * 0x100000001B3UL;
        }

        return hash;
    }
}
