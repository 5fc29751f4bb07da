using Dqlite.Raft;

namespace Dqlite.Raft.Tests.Harness;

/// <summary>
/// A core with the shell around it: disk queue, log cache, state machine. What leaves goes to <see cref="Outbox"/>; whoever owns the
/// node decides when the disk's writes end and where messages go.
/// </summary>
public sealed class VirtualNode
{
    private readonly List<LogEntry> _log = [];
    private readonly RaftOutputs _outputs = new();
    private readonly SafetyChecker _checker;
    private LogIndex _logFirst;

    public VirtualNode(NodeId id, ClusterConfiguration configuration, RaftOptions options, SafetyChecker checker)
    {
        Id = id;
        Options = options with { Id = id };
        Disk = new VirtualDisk(configuration);
        _checker = checker;
        RestartStateMachine();
        Start();
    }

    public NodeId Id { get; }

    public RaftOptions Options { get; }

    public VirtualDisk Disk { get; }

    public RaftCore Core { get; private set; } = null!;

    public bool IsUp { get; private set; }

    public long NowNs { get; set; }

    public List<RaftMessage> Outbox { get; } = [];

    public Queue<DiskWrite> DiskQueue { get; } = new();

    public List<ReadState> Reads { get; } = [];

    public List<NodeId> SnapshotsNeeded { get; } = [];

    /// <summary>Sees the outputs of every step before they are acted on.</summary>
    public Action<VirtualNode, RaftOutputs>? Observer { get; set; }

    /// <summary>Completes every write at once, in the step that asked for it.</summary>
    public bool IsDiskInstant { get; set; } = true;

    /// <summary>The state machine: a hash chained over all applied entries, and how far.</summary>
    public LogIndex Applied { get; private set; }

    public long StateHash { get; private set; }

    /// <summary>The membership at <see cref="Applied"/>: what a snapshot of this state carries (R24).</summary>
    public (ClusterConfiguration Configuration, LogIndex Index) AppliedConfiguration { get; private set; }

    public void Start()
    {
        Core = new RaftCore(Options with { Seed = Options.Seed + (ulong)NowNs }, Disk.Load());
        _log.Clear();
        _log.AddRange(Disk.Entries);
        _logFirst = Disk.FirstIndex;
        DiskQueue.Clear();
        Outbox.Clear();
        SnapshotsNeeded.Clear();
        _outputs.Clear();
        IsUp = true;
    }

    /// <summary>Loses all but the disk. The state machine is durable up to the last compaction, as a checkpoint is; the harness keeps
    /// the applied hash and checks that replay arrives at the same entries.</summary>
    public void Crash()
    {
        IsUp = false;
        DiskQueue.Clear();
        Outbox.Clear();
        SnapshotsNeeded.Clear();
        RestartStateMachine();
    }

    /// <summary>Runs one input and does what the outputs ask.</summary>
    public void Step(Action<RaftCore, long, RaftOutputs> input)
    {
        input(Core, NowNs, _outputs);
        Drain();
        while (IsDiskInstant && DiskQueue.Count > 0)
        {
            CompleteWrite();
        }
    }

    public T Step<T>(Func<RaftCore, long, RaftOutputs, T> input)
    {
        var result = default(T)!;
        Step((core, now, outputs) => { result = input(core, now, outputs); });
        return result;
    }

    public void Receive(RaftMessage message) => Step((core, now, outputs) => core.Receive(message, now, outputs));

    /// <summary>The oldest write ends, and the core hears of it.</summary>
    public void CompleteWrite()
    {
        var write = DiskQueue.Dequeue();
        Disk.Write(write);
        switch (write)
        {
            case DiskWrite.Vote vote:
                Core.HardStatePersisted(vote.State, NowNs, _outputs);
                break;
            case DiskWrite.Log { Appends: [.., var last] }:
                Core.EntriesPersisted(last.Index, last.Term, NowNs, _outputs);
                break;
        }

        Drain();
    }

    /// <summary>A checkpoint lets go of the log up to here, the durable part only.</summary>
    public void Compact(LogIndex upTo)
    {
        Core.Compact(upTo);
        DiskQueue.Enqueue(new DiskWrite.Compaction(upTo));
        _log.RemoveAll(entry => entry.Index <= upTo);
        _logFirst = Core.FirstIndex;
        while (IsDiskInstant && DiskQueue.Count > 0)
        {
            CompleteWrite();
        }
    }

    /// <summary>Installs the state of another node, as a finished snapshot stream does: durable first, then reported.</summary>
    public bool Install(LogIndex index, Term term, ClusterConfiguration configuration, LogIndex configurationIndex, IReadOnlyList<TermStart> starts)
    {
        if (index > Core.CommitIndex && Core.TermAt(index) != term)
        {
            var votes = DiskQueue.Where(write => write is DiskWrite.Vote).ToArray();
            DiskQueue.Clear();
            Array.ForEach(votes, DiskQueue.Enqueue);
            Disk.Install(index, term, configuration, configurationIndex, starts);
        }

        return Step((core, now, outputs) => core.SnapshotInstalled(index, term, configuration, configurationIndex, starts, now, outputs));
    }

    public LogEntry EntryAt(LogIndex index) => _log[(int)(index.Value - _logFirst.Value)];

    private void Drain()
    {
        if (_outputs.HardState is { } state)
        {
            DiskQueue.Enqueue(new DiskWrite.Vote(state));
        }

        if (_outputs.TruncateFrom is { } from)
        {
            _log.RemoveAll(entry => entry.Index >= from);
        }

        _log.AddRange(_outputs.Appends);
        if (_outputs.TruncateFrom is not null || _outputs.Appends.Count > 0)
        {
            DiskQueue.Enqueue(new DiskWrite.Log(_outputs.TruncateFrom, _outputs.Appends.ToArray()));
        }

        if (_logFirst != Core.FirstIndex)
        {
            // A snapshot replaced the log within this step.
            _log.Clear();
            _logFirst = Core.FirstIndex;
            RestartStateMachine();
        }

        Observer?.Invoke(this, _outputs);
        _checker.OnStep(this, _outputs);
        foreach (var message in _outputs.Messages)
        {
            Outbox.Add(Fill(message));
        }

        Reads.AddRange(_outputs.Reads);
        SnapshotsNeeded.AddRange(_outputs.SnapshotsNeeded);
        Apply();
        _outputs.Clear();
    }

    private RaftMessage Fill(RaftMessage message) => message is AppendEntriesRequest append && append.LastIndex >= append.FirstIndex
        ? append with { Entries = _log.GetRange((int)(append.FirstIndex.Value - _logFirst.Value), (int)(append.LastIndex.Value - append.PrevLogIndex.Value)) }
        : message;

    private void RestartStateMachine()
    {
        Applied = Disk.FirstIndex.Previous;
        StateHash = _checker.StateHashAt(Applied);
        AppliedConfiguration = (Disk.Configuration, Disk.ConfigurationIndex);
    }

    private void Apply()
    {
        while (Applied < Core.CommitIndex)
        {
            var entry = EntryAt(Applied.Next);
            StateHash = SafetyChecker.Chain(StateHash, entry);
            Applied = entry.Index;
            if (entry.Kind == EntryKind.Configuration)
            {
                AppliedConfiguration = (ConfigurationCodec.Decode(entry.Payload.Span), entry.Index);
            }

            _checker.OnApplied(this, entry, StateHash);
        }
    }
}
