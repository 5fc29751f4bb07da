using Dqlite.Net.Storage;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>
/// Decides when a database is checkpointed, and what the log may drop afterwards: what every database has in its file, less a tail for
/// followers that were away. Belongs to the loop.
/// </summary>
internal sealed class CheckpointPlan(NodeContext node)
{
    /// <summary>The version store of one database may grow to this before it is checkpointed.</summary>
    private const ulong MaxVersionBytes = 6 << 20;

    private const int LookEveryTicks = 4;

    /// <summary>So many applied bytes are reason to look sooner: the version store grows with them.</summary>
    private const long LookEveryBytes = 2 << 20;

    /// <summary>The log is cut at marks: so fine that the tail is what was asked for, so coarse that they cost nothing.</summary>
    private readonly long _sizeMarkBytes = Math.Clamp(node.Options.RetainedLogBytes / 16, 1 << 10, 1 << 20);
    private readonly Queue<(LogIndex Index, long Bytes)> _sizeMarks = new();
    private readonly List<CheckpointJob> _begun = [];
    private LogIndex _lastPersisted;
    private long _persistedAtNs;
    private long _bytes;
    private long _markedBytes;
    private long _lookedBytes;
    private LogIndex _sized = node.Applier.LastApplied;
    private LogIndex _base = node.Applier.LastApplied;
    private int _ticks;

    /// <summary>The thread that does the work.</summary>
    public Checkpointer? Worker { get; set; }

    /// <summary>Entries are on their way to the disk, or have been applied since the last look at what is due.</summary>
    public bool NeedsTicks => _begun.Count > 0 || _bytes != _lookedBytes || node.Core.PersistedIndex < node.Core.LastIndex;

    /// <summary>Every tick.</summary>
    public void OnTick()
    {
        OrderDurable();
        WatchDisk();
        var isTime = ++_ticks % LookEveryTicks == 0 || _bytes - _lookedBytes >= LookEveryBytes;
        if (!isTime || node.IsStopping)
        {
            return;
        }

        _lookedBytes = _bytes;
        foreach (var database in node.Databases.All)
        {
            if (IsDue(database) && database.BeginCheckpoint() is { } job)
            {
                _begun.Add(job);
            }
        }

        Compact();
    }

    /// <summary>An applied entry's size, for the length of the tail.</summary>
    public void OnApplied(LogIndex index, int sizeBytes)
    {
        _bytes += sizeBytes + 64;
        _sized = index;
        if (_bytes - _markedBytes >= _sizeMarkBytes)
        {
            _markedBytes = _bytes;
            _sizeMarks.Enqueue((index, _bytes));
        }
    }

    /// <summary>A checkpoint ended, or its database was dropped under it.</summary>
    public void OnCheckpointed(ReplicatedDatabase database, long nowNs, RaftOutputs outputs)
    {
        database.IsCheckpointing = false;
        if (database.IsStopped)
        {
            node.Databases.DeleteDropped(database);
        }
        else
        {
            database.OnCheckpointed();
            node.Databases.SavePublication(database);
            node.Log.Checkpointed(database.Name, database.DoneIndex);
        }

        node.Installs.OnCheckpointed(nowNs, outputs);
        Compact();
    }

    /// <summary>The node stops: what was begun is not written.</summary>
    public void Stop()
    {
        _begun.ForEach(job => job.View.Dispose());
        _begun.Clear();
    }

    /// <summary>A snapshot was installed.</summary>
    public void OnInstalled(LogIndex index)
    {
        _sizeMarks.Clear();
        _base = index;
        _sized = index;
    }

    /// <summary>
    /// A disk that hangs - entries wait, and none has become durable for two election timeouts - is no disk to
    /// lead with (R20): the others have a majority without it, and what it has not written would pile up in memory.
    /// </summary>
    private void WatchDisk()
    {
        var nowNs = node.NowNs;
        if (node.Core.PersistedIndex != _lastPersisted || node.Core.PersistedIndex >= node.Core.LastIndex || node.LogWriter.IsFull)
        {
            _lastPersisted = node.Core.PersistedIndex;
            _persistedAtNs = nowNs;
        }
        else if (node.Core.Role == RaftRole.Leader && nowNs - _persistedAtNs > 2 * node.Options.ElectionTimeout.TotalNanoseconds)
        {
            _persistedAtNs = nowNs;
            node.Call((atNs, outputs) => node.Core.StepDown(atNs, outputs));
        }
    }

    /// <summary>A checkpoint never passes what this node's own log has made durable.</summary>
    private void OrderDurable()
    {
        for (var i = _begun.Count - 1; i >= 0; i--)
        {
            var isDurable = _begun[i].Index <= node.Core.PersistedIndex;
#if MUTANTS
            isDurable |= Mutant.Is("D6");
#endif
            if (isDurable)
            {
                Worker!.Order(_begun[i]);
                _begun.RemoveAt(i);
            }
        }
    }

    private bool IsDue(ReplicatedDatabase database) =>
        database.FirstPendingIndex > 0
        && (database.PendingBytes >= node.Options.CheckpointLogBytes
            || _bytes - BytesAt(new LogIndex(database.FirstPendingIndex)) >= node.Options.CheckpointLogBytes
            || database.Pages.State.VersionBytes >= MaxVersionBytes);

    private long BytesAt(LogIndex index)
    {
        var bytes = 0L;
        foreach (var mark in _sizeMarks)
        {
            if (mark.Index > index)
            {
                break;
            }

            bytes = mark.Bytes;
        }

        return bytes != 0 ? bytes : _sizeMarks.TryPeek(out var first) ? first.Bytes - _sizeMarkBytes : _markedBytes;
    }

    /// <summary>Drops what no database, no running stream and no retained tail needs.</summary>
    private void Compact()
    {
        var keep = node.Applier.LastApplied;
        foreach (var database in node.Databases.All)
        {
            if (database.HasUnsavedPublication)
            {
                return;
            }

            var pending = database.FirstPendingIndex;
#if MUTANTS
            pending = Mutant.Is("D7b") ? database.FirstPendingEnd : pending;
#endif
            if (pending > 0)
            {
                keep = Min(keep, new LogIndex(pending - 1));
            }
        }

        keep = Min(keep, node.Installs.Pin ?? keep);
        keep = Min(keep, node.Core.PersistedIndex);
        LogIndex? cut = null;
        while (_sizeMarks.TryPeek(out var mark) && mark.Index <= keep && _bytes - mark.Bytes >= node.Options.RetainedLogBytes)
        {
            cut = mark.Index;
            _sizeMarks.Dequeue();
        }

        if (cut is { } index && index > _base)
        {
            CompactTo(index);
        }
    }

    private void CompactTo(LogIndex index)
    {
        _base = index;
        var (configurationIndex, configuration) = node.ConfigurationAt(index);
        var logBase = new LogBase
        {
            Index = index,
            Term = node.Core.TermAt(index) ?? throw new RaftInvariantException($"The term of index {index} is unknown."),
            Configuration = configuration,
            ConfigurationIndex = configurationIndex,
            TermStarts = node.Core.TermStarts.Where(start => start.FirstIndex <= index).ToArray(),
            OwnAddress = node.Address,
        };
        node.Core.Compact(index);
        node.OnCompacted(index);
        node.LogWriter.Call(log =>
        {
            LogBaseFile.Write(node.Files, node.LogBasePath, logBase);
            log.Compact(index);
            node.Call((_, _) => node.Databases.ForgetDropped(index));
        });
    }

    private static LogIndex Min(LogIndex left, LogIndex right) => left < right ? left : right;
}
