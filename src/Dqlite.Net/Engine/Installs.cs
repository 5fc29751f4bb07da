using System.Buffers.Binary;
using Dqlite.Net.Storage;
using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>Snapshots to and from peers. Belongs to the loop.</summary>
internal sealed class Installs(NodeContext node)
{
    private readonly List<InstallSender> _senders = [];
    private InstallReceiver? _receiver;
    private readonly List<InstallReceiver> _receivers = [];
    private bool _isInstalling;
    private (InstallReceiver Receiver, InstallManifest Manifest)? _waiting;

    /// <summary>What is said to those who stream to this node.</summary>
    public InstallAcks Acks { get; } = new(node);

    /// <summary>The log must keep everything above this: a running stream needs it afterwards.</summary>
    public LogIndex? Pin => _senders.Count == 0 ? null : _senders.Min(sender => sender.Index);

    /// <summary>A follower needs more than the log holds.</summary>
    public void SendTo(NodeId peer)
    {
        if (_senders.Any(sender => sender.Peer == peer))
        {
            return;
        }

        var index = SnapshotIndex();
        if (node.Databases.HasDropBehind(index)
            || node.Databases.All.Any(database => database.AppliedIndex > node.Applier.LastApplied.Value))
        {
            // The log is still replayed after a start, or a database was dropped within the parts of a transaction: files and index do not belong together.
            // The core asks again.
            node.Call((nowNs, outputs) => node.Core.SnapshotSent(peer, false, LogIndex.Zero, nowNs, outputs));
            return;
        }

        var databases = node.Databases.All.ToArray();
        var snapshots = databases.Select(database => database.Pages.OpenSnapshot()).ToArray();
        var (configurationIndex, configuration) = node.ConfigurationAt(index);
        var manifest = new InstallManifest(
            index,
            node.Core.TermAt(index) ?? Term.Zero,
            ConfigurationCodec.Encode(configuration),
            configurationIndex,
            node.Core.TermStarts.Where(start => start.FirstIndex <= index).ToArray(),
            databases.Zip(snapshots, (database, snapshot) => new InstallDatabase(database.Id, database.Name, database.Meta.PageSize, database.Meta.AutoVacuum,
                database.IsPublished, database.AppliedIndex, snapshot.PageCount, snapshot.Checksum)).ToArray());
        var sender = new InstallSender(node, peer, node.NowNs, manifest, snapshots);
        _senders.Add(sender);
        node.Log.SnapshotSending(peer.Value, index.Value);
        node.Observer?.OnSnapshotSending(peer, index);
        sender.Start(node.Threads);
    }

    /// <summary>
    /// Everything that is applied, but for the parts of transactions whose last part is not: the peer gets those from the log. It cannot be waited for, since
    /// the peer may be needed to commit it. Databases may be ahead of this index: entries that they have already are passed over, as after a restart.
    /// </summary>
    private LogIndex SnapshotIndex()
    {
        var index = node.Applier.LastApplied;
        foreach (var database in node.Databases.All.Where(database => database.FirstPartIndex > 0 && database.FirstPartIndex <= index.Value))
        {
            index = new LogIndex(database.FirstPartIndex - 1);
        }

        return index;
    }

    /// <summary>A stream to a peer has ended.</summary>
    public void OnSent(InstallSender sender, bool success, long nowNs, RaftOutputs outputs)
    {
        _senders.Remove(sender);
        sender.Dispose();
        node.Log.SnapshotSent(sender.Peer.Value, sender.Index.Value, success);
        node.Core.SnapshotSent(sender.Peer, success, sender.Index, nowNs, outputs);
    }

    /// <summary>A peer acknowledged.</summary>
    public void OnAck(NodeId from, NodeMessage message)
    {
        if (message.Body.Length != 17)
        {
            return;
        }

        var body = message.Body.Span;
        var stream = BinaryPrimitives.ReadInt64LittleEndian(body);
        _senders.Find(sender => sender.Stream == stream && sender.Peer == from)?.OnAck(BinaryPrimitives.ReadInt64LittleEndian(body[8..]), body[16]);
    }

    /// <summary>A connection to a peer ended: its streams are void.</summary>
    public void OnDisconnected(NodeId peer)
    {
        _senders.Find(sender => sender.Peer == peer)?.Abort();
        if (_receiver?.From == peer)
        {
            _receiver.Abort();
            _receiver.Ack(0, 2);
        }
    }

    /// <summary>A piece of a stream to this node.</summary>
    public void OnChunk(NodeId from, StreamChunk chunk)
    {
        var isBusy = _isInstalling;
#if MUTANTS
        isBusy &= !Mutant.Is("R31");
#endif
        if (chunk.Sequence == 0 && isBusy)
        {
            // Until the manifest of the last installation is gone, new files under these names would be taken for its own after a crash.
            Acks.Begin(from, chunk.StreamId);
            Acks.Send(from, chunk.StreamId, 0, 2);
            return;
        }

        if (chunk.Sequence == 0)
        {
            // The files of a stream that waits to be installed would be overwritten: it is void.
#if MUTANTS
            var waiting = _waiting;
#endif
            _waiting?.Receiver.Ack(0, 2);
            _waiting = null;
#if MUTANTS
            _waiting = Mutant.Is("R31") ? waiting : null;
#endif
            _receiver?.Abort();
            _receiver?.Ack(0, 2);
            Acks.Begin(from, chunk.StreamId);
            _receiver = new InstallReceiver(node, from, chunk.StreamId, _receivers.LastOrDefault());
            _receivers.Add(_receiver);
            _receiver.Start(node.Threads);
        }

        if (_receiver is not null && _receiver.Stream == chunk.StreamId)
        {
            _receiver.Add(chunk);
        }
    }

    /// <summary>A receiver has ended.</summary>
    public void OnReceiverEnded(InstallReceiver receiver)
    {
        _receivers.Remove(receiver);
        if (_receiver == receiver)
        {
            _receiver = null;
        }
    }

    /// <summary>Everything has arrived and was verified.</summary>
    public void OnReceived(InstallReceiver receiver, InstallManifest manifest, long nowNs, RaftOutputs outputs)
    {
        if (receiver == _receiver)
        {
            Install(receiver, manifest, nowNs, outputs);
        }
    }

    private void Install(InstallReceiver receiver, InstallManifest manifest, long nowNs, RaftOutputs outputs)
    {
        var isInLog = manifest.Index <= node.Core.LastIndex && node.Core.TermAt(manifest.Index) == manifest.Term;
        var isStale = isInLog || manifest.Index <= node.Core.CommitIndex || manifest.Index <= node.Applier.LastApplied;
#if MUTANTS
        isStale &= !Mutant.Is("R30");
#endif
        if (isStale)
        {
            // The log has caught up meanwhile, from this leader or another one: what it holds behind the index may be acknowledged already, and stays.
            receiver.Ack(long.MaxValue, 1);
            return;
        }

        if (node.Databases.IsAnyClosing || node.Databases.All.Any(database => database.IsCheckpointing))
        {
            _waiting = (receiver, manifest);
            return;
        }

        node.Core.CanCampaign = false;
        _isInstalling = true;
#if MUTANTS
        if (Mutant.Is("R32"))
        {
            ReplaceDatabases(manifest);
        }
#endif
        InstallFiles.Commit(node.Files, node.Options.DataDirectory, manifest);
        ReplaceDatabases(manifest);
        var logBase = InstallFiles.BaseOf(manifest, node.Address);
        node.LogWriter.Call(log =>
        {
            LogBaseFile.Write(node.Files, node.LogBasePath, logBase);
            log.Reset(manifest.Index, manifest.Term);
            node.Files.Delete(InstallFiles.ManifestPath(node.Options.DataDirectory));
            node.Files.SyncDirectory(node.Options.DataDirectory);
            receiver.Ack(long.MaxValue, 1);
            node.Call((_, _) => _isInstalling = false);
        });
        node.Cache.Clear();
        node.Observer?.OnSnapshotInstalling(receiver.From, manifest.Index, manifest.Term);
        node.Core.SnapshotInstalled(manifest.Index, manifest.Term, logBase.Configuration, manifest.ConfigurationIndex, manifest.TermStarts, nowNs, outputs);
        node.Core.CanCampaign = true;
        foreach (var database in node.Databases.All)
        {
            database.DecideUpTo(manifest.Index, node.Core.TermAt);
        }

        node.Applier.OnInstalled(manifest.Index);
        node.OnInstalled(logBase, nowNs, outputs);
    }

    /// <summary>A checkpoint has ended: an installation may have waited for it.</summary>
    public void OnCheckpointed(long nowNs, RaftOutputs outputs)
    {
        if (_waiting is var (receiver, manifest))
        {
            _waiting = null;
            Install(receiver, manifest, nowNs, outputs);
        }
    }

    /// <summary>The node stops.</summary>
    public void Stop()
    {
        _receivers.ForEach(receiver => receiver.Dispose());
        _senders.ForEach(sender => sender.Dispose());
    }

    private void ReplaceDatabases(InstallManifest manifest)
    {
        var gone = new DqliteException("The database was dropped while this node was away.", 14, false, null);
        foreach (var database in node.Databases.All.Where(database => manifest.Databases.All(other => other.Id != database.Id)).ToArray())
        {
            node.Databases.Remove(database, gone);
            node.Databases.Delete(database.Files);
        }

        InstallFiles.Switch(node.Files, node.Databases.Directory, manifest);
        foreach (var installed in manifest.Databases)
        {
            var files = installed.FilesIn(node.Databases.Directory);
            var metaFile = DatabaseMetaFile.Open(node.Files, files.MetaPath);
            var existing = node.Databases.All.FirstOrDefault(database => database.Id == installed.Id);
            if (existing is not null)
            {
                existing.OnInstalled(metaFile);
                node.Databases.Show(existing);
            }
            else
            {
                node.Databases.Add(ReplicatedDatabase.Open(node, node.Options, files, metaFile));
            }
        }
    }
}
