using System.Diagnostics.CodeAnalysis;
using Dqlite.Raft;

namespace Dqlite.Simulation.Drive;

/// <summary>A write that the core asked for.</summary>
internal abstract record DiskWrite
{
    /// <summary>Term and vote.</summary>
    public sealed record Vote(HardState State) : DiskWrite;

    /// <summary>A cut of the log, entries behind it, or both.</summary>
    public sealed record Log(LogIndex? TruncateFrom, IReadOnlyList<LogEntry> Entries) : DiskWrite;

    /// <summary>The log lets go of its beginning.</summary>
    public sealed record Compaction(LogIndex UpTo) : DiskWrite;
}

/// <summary>Which writes are durable as soon as they are processed.</summary>
internal enum PersistMode
{
    /// <summary>None: the command "persist" finishes them.</summary>
    Nothing,

    /// <summary>Term and vote, as on a real node, whose log is written by a thread of its own.</summary>
    HardState,

    /// <summary>All.</summary>
    Everything,
}

/// <summary>
/// What of a node survives a crash, and the writes that are under way to it. They end in order, but term and vote lie in a file of their
/// own and may overtake the log; a crash keeps the first ones, or none.
/// </summary>
internal sealed class DriveDisk
{
    private readonly List<DiskWrite> _underWay = [];
    private readonly List<TermStart> _termStarts = [];
    private readonly List<LogEntry> _entries = [];
    private HardState _hardState;
    private Term _previousTerm;

    private DriveDisk(ClusterConfiguration configuration) => Configuration = configuration;

    /// <summary>The first entry that the log holds.</summary>
    public LogIndex FirstIndex { get; private set; } = new(1);

    /// <summary>The last entry.</summary>
    public LogIndex LastIndex => new(FirstIndex.Value + _entries.Count - 1);

    /// <summary>The entries that the log holds.</summary>
    public IReadOnlyList<LogEntry> Entries => _entries;

    /// <summary>The membership before the first of them.</summary>
    public ClusterConfiguration Configuration { get; private set; }

    /// <summary>The entry that put it in force.</summary>
    public LogIndex ConfigurationIndex { get; private set; }

    /// <summary>The disk of a node that knows its fellow members and nothing else; of a blank one when there are none.</summary>
    public static DriveDisk Create(ClusterConfiguration configuration) => new(configuration);

    /// <summary>The writes under way, the oldest first.</summary>
    public IReadOnlyList<DiskWrite> UnderWay => _underWay;

    /// <summary>Takes a write.</summary>
    public void Begin(DiskWrite write) => _underWay.Add(write);

    /// <summary>Whether a write of the mode is under way.</summary>
    public bool CanFinish(PersistMode mode) => Next(mode) >= 0;

    /// <summary>The oldest write of the mode ends; returns false when there is none.</summary>
    public bool TryFinish(PersistMode mode, [NotNullWhen(true)] out DiskWrite? write)
    {
        var position = Next(mode);
        write = position < 0 ? null : _underWay[position];
        if (write is null)
        {
            return false;
        }

        _underWay.RemoveAt(position);
        Write(write);
        return true;
    }

    /// <summary>Loses what is under way, but for the first ones.</summary>
    public void Crash(int kept)
    {
        foreach (var write in _underWay.Take(kept))
        {
            Write(write);
        }

        _underWay.Clear();
    }

    /// <summary>Carries out one write at once.</summary>
    public void Write(DiskWrite write)
    {
        switch (write)
        {
            case DiskWrite.Vote vote:
                _hardState = vote.State;
                break;
            case DiskWrite.Log log:
                WriteLog(log);
                break;
            case DiskWrite.Compaction compaction:
                Compact(compaction.UpTo);
                break;
            default:
                throw new ArgumentException($"{write.GetType()} is not written.", nameof(write));
        }
    }

    /// <summary>A snapshot takes the place of the log; the term is never below the log's.</summary>
    public void Install(SnapshotState snapshot)
    {
        _hardState = snapshot.Term > _hardState.CurrentTerm ? new HardState(snapshot.Term, NodeId.None) : _hardState;
        FirstIndex = snapshot.Index.Next;
        _previousTerm = snapshot.Term;
        Configuration = snapshot.Configuration;
        ConfigurationIndex = snapshot.ConfigurationIndex;
        _entries.Clear();
        _termStarts.Clear();
        _termStarts.AddRange(snapshot.TermStarts.Where(start => start.FirstIndex <= snapshot.Index));
    }

    /// <summary>What a core starts from.</summary>
    /// <param name="commit">What is known to be committed.</param>
    public RaftInitialState Load(LogIndex commit) => new()
    {
        HardState = _hardState,
        Configuration = Configuration,
        ConfigurationIndex = ConfigurationIndex,
        FirstIndex = FirstIndex,
        PreviousTerm = _previousTerm,
        Entries = [.. _entries.Select(entry => new EntryInfo(entry.Term, entry.Kind, entry.Payload.Length))],
        ConfigurationEntries = [.. _entries.Where(entry => entry.Kind == EntryKind.Configuration)
            .Select(entry => (entry.Index, ConfigurationCodec.Decode(entry.Payload.Span)))],
        TermStarts = [.. _termStarts],
        CommitIndex = commit,
    };

    /// <summary>Whether the log here is the same as the core's, up to this entry.</summary>
    public bool Agrees(RaftCore core, LogIndex upTo) => upTo < FirstIndex
        || (upTo <= LastIndex && _entries[(int)(upTo.Value - FirstIndex.Value)].Term == core.TermAt(upTo));

    private int Next(PersistMode mode) => mode switch
    {
        PersistMode.Nothing => -1,
        PersistMode.HardState => _underWay.FindIndex(write => write is DiskWrite.Vote),
        PersistMode.Everything => _underWay.Count > 0 ? 0 : -1,
        _ => throw new ArgumentOutOfRangeException(nameof(mode), mode, null),
    };

    private void WriteLog(DiskWrite.Log log)
    {
        if (log.TruncateFrom is { } from && from <= LastIndex)
        {
            var kept = (int)(from.Value - FirstIndex.Value);
            _entries.RemoveRange(kept, _entries.Count - kept);
        }

        _entries.AddRange(log.Entries);
    }

    private void Compact(LogIndex upTo)
    {
        var count = (int)Math.Max(0, upTo.Value - FirstIndex.Value + 1);
        foreach (var entry in _entries[..count])
        {
            if (entry.Term != _previousTerm)
            {
                _termStarts.Add(new TermStart(entry.Term, entry.Index));
            }

            if (entry.Kind == EntryKind.Configuration)
            {
                (Configuration, ConfigurationIndex) = (ConfigurationCodec.Decode(entry.Payload.Span), entry.Index);
            }

            _previousTerm = entry.Term;
        }

        _entries.RemoveRange(0, count);
        FirstIndex = new LogIndex(FirstIndex.Value + count);
    }
}
