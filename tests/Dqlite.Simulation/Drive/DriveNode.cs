using Dqlite.Raft;
using Dqlite.Simulation.Tracing;

namespace Dqlite.Simulation.Drive;

/// <summary>A core with what a node has around it: a log in memory, a disk with writes under way, a state machine, messages that wait to leave.</summary>
internal sealed class DriveNode
{
    private readonly DriveCluster _cluster;
    private readonly ICoreObserver? _observer;
    private readonly RaftOutputs _outputs = new();
    private readonly List<LogEntry> _log = [];
    private readonly Queue<DriveMessage> _outbox = new();
    private DriveDisk _disk;
    private ClusterConfiguration _appliedConfiguration = ClusterConfiguration.Empty;
    private LogIndex _appliedConfigurationIndex;
    private LogIndex _logFirst;

    public DriveNode(DriveCluster cluster, RaftOptions options, DriveDisk disk, LogIndex commit, ICoreObserver? observer)
    {
        _cluster = cluster;
        _observer = observer;
        _disk = disk;
        Options = options;
        Core = Load(commit);
        Start();
    }

    public NodeId Id => Options.Id;

    public RaftOptions Options { get; }

    /// <summary>The core; of a node that is down, the one that it would start with.</summary>
    public RaftCore Core { get; private set; }

    public bool IsUp { get; private set; }

    /// <summary>Why it stopped by itself.</summary>
    public string? Failure { get; private set; }

    /// <summary>The last entry that its state machine has.</summary>
    public LogIndex Applied { get; private set; }

    /// <summary>Whether what a step asks for is done within the step; else the command "process" does it.</summary>
    public bool AutoProcess { get; set; } = true;

    /// <summary>Which writes are durable as soon as they are processed.</summary>
    public PersistMode AutoPersist { get; set; } = PersistMode.Everything;

    public IReadOnlyList<LogEntry> Log => _log;

    public IReadOnlyList<LogEntry> DurableLog => _disk.Entries;

    public IReadOnlyList<DiskWrite> Writes => _disk.UnderWay;

    public IReadOnlyCollection<DriveMessage> Outbox => _outbox;

    public void Start()
    {
        IsUp = true;
        Failure = null;
        _observer?.OnStart(Core);
    }

    /// <summary>Gives the core one input and does what it asks for, unless that is left to commands.</summary>
    public T Input<T>(CoreInput input, Func<RaftCore, long, RaftOutputs, T> call)
    {
        var result = Step(input, call);
        if (AutoProcess)
        {
            Process(AutoPersist);
        }

        return result;
    }

    /// <summary>Gives the core one input and does what it asks for, unless that is left to commands.</summary>
    public void Input(CoreInput input, Action<RaftCore, long, RaftOutputs> call) => Input(input, Wrap(call));

    /// <summary>Whether <see cref="Process"/> would do anything.</summary>
    public bool HasWork(PersistMode persist) => _outbox.Count > 0 || _disk.CanFinish(persist);

    /// <summary>Lets messages leave and, if asked to, finishes writes, until the node has nothing more to do.</summary>
    public void Process(PersistMode persist)
    {
        do
        {
            while (_outbox.TryDequeue(out var message))
            {
                _cluster.Send(DriveCodec.Travel(message));
            }
        }
        while (PersistNext(persist));
    }

    /// <summary>The oldest write of the mode ends and is reported; returns false when there is none.</summary>
    public bool PersistNext(PersistMode mode)
    {
        if (!_disk.TryFinish(mode, out var write))
        {
            return false;
        }

        switch (write)
        {
            case DiskWrite.Vote vote:
                Step(CoreInput.HardStatePersisted(vote.State), Wrap((core, now, outputs) => core.HardStatePersisted(vote.State, now, outputs)));
                break;
            case DiskWrite.Log { Entries: [.., var last] }:
                Step(CoreInput.EntriesPersisted, Wrap((core, now, outputs) => core.EntriesPersisted(last.Index, last.Term, now, outputs)));
                break;
            default:
                break; // nothing that the core waits for
        }

        return true;
    }

    /// <summary>Puts the state of another node in place: behind all writes under way, durable, then told to the core, which ignores stale ones.</summary>
    public void Install(DriveMessage.InstallSnapshot message)
    {
        while (PersistNext(PersistMode.Everything))
        {
        }

        var snapshot = message.Snapshot;
        if (snapshot.Index > Core.CommitIndex && Core.TermAt(snapshot.Index) != snapshot.Term)
        {
            _disk.Install(snapshot);
            _log.Clear();
            _logFirst = _disk.FirstIndex;
            Applied = snapshot.Index;
            (_appliedConfiguration, _appliedConfigurationIndex) = (snapshot.Configuration, snapshot.ConfigurationIndex);
        }

        Input(CoreInput.SnapshotInstalled(message.From, snapshot.Index, message.LeaderTerm), (core, now, outputs) => core.SnapshotInstalled(
            snapshot.Index, snapshot.Term, snapshot.Configuration, snapshot.ConfigurationIndex, snapshot.TermStarts, now, outputs));
    }

    /// <summary>Lets go of the log up to here.</summary>
    public void Compact(LogIndex upTo)
    {
        Core.Compact(upTo);
        _log.RemoveAll(entry => entry.Index <= upTo);
        _logFirst = Core.FirstIndex;
        _disk.Begin(new DiskWrite.Compaction(upTo));
        if (AutoProcess)
        {
            Process(AutoPersist);
        }
    }

    /// <summary>Streams the state machine as it is.</summary>
    public void SendSnapshot(NodeId to)
    {
        var term = Core.TermAt(Applied) ?? throw new DriveException($"Node {Id} has no state to send.");
        var snapshot = new SnapshotState(Applied, term, _appliedConfiguration, _appliedConfigurationIndex, [.. Core.TermStarts]);
        _observer?.OnSnapshotSending(Core, to, Applied);
        _outbox.Enqueue(new DriveMessage.InstallSnapshot(Id, to, Core.CurrentTerm, snapshot));
    }

    /// <summary>Stops the node. Of the writes under way the first ones reach the disk, unreported; the others are lost.</summary>
    /// <param name="keptWrites">How many reach the disk.</param>
    /// <param name="keepCommit">Whether the state machine is durable up to the commit index, as far as the log's disk agrees; else only what was compacted is.</param>
    public void Crash(int keptWrites, bool keepCommit)
    {
        _disk.Crash(keptWrites);
        var commit = keepCommit ? Core.CommitIndex : LogIndex.Zero;
        while (!_disk.Agrees(Core, commit))
        {
            commit = commit.Previous;
        }

        Stop(commit);
    }

    /// <summary>Loses everything: an empty directory in the place of the old one.</summary>
    public void Wipe()
    {
        _disk = DriveDisk.Create(ClusterConfiguration.Empty);
        Stop(LogIndex.Zero);
    }

    private static Func<RaftCore, long, RaftOutputs, bool> Wrap(Action<RaftCore, long, RaftOutputs> call) => (core, now, outputs) =>
    {
        call(core, now, outputs);
        return true;
    };

    private T Step<T>(CoreInput input, Func<RaftCore, long, RaftOutputs, T> call)
    {
        if (!IsUp)
        {
            throw new DriveException($"Node {Id} is down.");
        }

        _observer?.OnInput(Core, input);
        try
        {
            var result = call(Core, _cluster.NowNs, _outputs);
            Collect();
            return result;
        }
        catch (RaftInvariantException broken)
        {
            Crash(0, keepCommit: true);
            Failure = broken.Message;
            throw new DriveException($"Node {Id} stops: {broken.Message}.");
        }
    }

    /// <summary>Takes over what the core asks for, in the order that <see cref="RaftOutputs"/> states.</summary>
    private void Collect()
    {
        _observer?.OnOutputs(Core, _outputs);
        if (_outputs.HardState is { } state)
        {
            _disk.Begin(new DiskWrite.Vote(state));
        }

        if (_outputs.TruncateFrom is { } from)
        {
            _log.RemoveAll(entry => entry.Index >= from);
        }

        if (_outputs.TruncateFrom is not null || _outputs.Appends.Count > 0)
        {
            _log.AddRange(_outputs.Appends);
            _disk.Begin(new DiskWrite.Log(_outputs.TruncateFrom, [.. _outputs.Appends]));
        }

        foreach (var message in _outputs.Messages)
        {
            _outbox.Enqueue(new DriveMessage.Raft(Fill(message)));
        }

        Apply();
        foreach (var read in _outputs.Reads)
        {
            _cluster.OnRead(Id, read);
        }

        NodeId[] snapshotsNeeded = [.. _outputs.SnapshotsNeeded];
        _outputs.Clear();
        foreach (var peer in snapshotsNeeded)
        {
            SendSnapshot(peer);
        }
    }

    private RaftMessage Fill(RaftMessage message) => message is AppendEntriesRequest append && append.LastIndex >= append.FirstIndex
        ? append with { Entries = _log.GetRange(Position(append.FirstIndex), (int)(append.LastIndex.Value - append.PrevLogIndex.Value)) }
        : message;

    private void Apply()
    {
        while (Applied < Core.CommitIndex)
        {
            var entry = _log[Position(Applied.Next)];
            Applied = entry.Index;
            if (entry.Kind == EntryKind.Configuration)
            {
                (_appliedConfiguration, _appliedConfigurationIndex) = (ConfigurationCodec.Decode(entry.Payload.Span), entry.Index);
            }
        }
    }

    private int Position(LogIndex index) => (int)(index.Value - _logFirst.Value);

    private void Stop(LogIndex commit)
    {
        IsUp = false;
        _outbox.Clear();
        _outputs.Clear();
        Core = Load(commit);
    }

    private RaftCore Load(LogIndex commit)
    {
        var core = new RaftCore(Options, _disk.Load(commit));
        _log.Clear();
        _log.AddRange(_disk.Entries);
        _logFirst = _disk.FirstIndex;
        Applied = _disk.FirstIndex.Previous;
        (_appliedConfiguration, _appliedConfigurationIndex) = (_disk.Configuration, _disk.ConfigurationIndex);
        Core = core;
        Apply();
        return core;
    }
}
