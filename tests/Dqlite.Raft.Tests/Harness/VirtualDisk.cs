using Dqlite.Raft;

namespace Dqlite.Raft.Tests.Harness;

/// <summary>One write on its way to a disk, in the order in which the core asked for it.</summary>
public abstract record DiskWrite
{
    public sealed record Vote(HardState State) : DiskWrite;

    public sealed record Log(LogIndex? TruncateFrom, IReadOnlyList<LogEntry> Appends) : DiskWrite;

    /// <summary>A snapshot replaces everything; durable at once, as an install is before the core hears of it.</summary>
    public sealed record Compaction(LogIndex UpTo) : DiskWrite;
}

/// <summary>What survives a crash.</summary>
public sealed class VirtualDisk
{
    public VirtualDisk(ClusterConfiguration configuration) => Configuration = configuration;

    public HardState HardState { get; set; }

    public LogIndex FirstIndex { get; private set; } = new(1);

    public Term PreviousTerm { get; private set; }

    public ClusterConfiguration Configuration { get; private set; }

    public LogIndex ConfigurationIndex { get; private set; }

    public List<TermStart> TermStarts { get; } = [];

    public List<LogEntry> Entries { get; } = [];

    public LogIndex LastIndex => new(FirstIndex.Value + Entries.Count - 1);

    public void Write(DiskWrite write)
    {
        switch (write)
        {
            case DiskWrite.Vote vote:
                HardState = vote.State;
                break;
            case DiskWrite.Log log:
                WriteLog(log);
                break;
            case DiskWrite.Compaction compaction:
                Compact(compaction.UpTo);
                break;
        }
    }

    public bool Holds(LogIndex index, Term term) =>
        index < FirstIndex || (index <= LastIndex && Entries[(int)(index.Value - FirstIndex.Value)].Term == term);

    public void Install(LogIndex index, Term term, ClusterConfiguration configuration, LogIndex configurationIndex, IEnumerable<TermStart> starts)
    {
        FirstIndex = index.Next;
        PreviousTerm = term;
        Configuration = configuration;
        ConfigurationIndex = configurationIndex;
        Entries.Clear();
        TermStarts.Clear();
        TermStarts.AddRange(starts.Where(start => start.FirstIndex <= index));
    }

    public RaftInitialState Load() => new()
    {
        HardState = HardState,
        Configuration = Configuration,
        ConfigurationIndex = ConfigurationIndex,
        FirstIndex = FirstIndex,
        PreviousTerm = PreviousTerm,
        Entries = Entries.Select(entry => new EntryInfo(entry.Term, entry.Kind, entry.Payload.Length)).ToArray(),
        ConfigurationEntries = Entries.Where(entry => entry.Kind == EntryKind.Configuration)
            .Select(entry => (entry.Index, ConfigurationCodec.Decode(entry.Payload.Span))).ToArray(),
        TermStarts = TermStarts.ToArray(),
    };

    private void WriteLog(DiskWrite.Log log)
    {
        if (log.TruncateFrom is { } from && from <= LastIndex)
        {
            var keep = Math.Max(0, (int)(from.Value - FirstIndex.Value));
            Entries.RemoveRange(keep, Entries.Count - keep);
        }

        foreach (var entry in log.Appends)
        {
            if (entry.Index != LastIndex.Next)
            {
                throw new InvalidOperationException($"Entry {entry.Index} is written behind {LastIndex}.");
            }

            Entries.Add(entry);
        }
    }

    private void Compact(LogIndex upTo)
    {
        while (FirstIndex <= upTo && Entries.Count > 0)
        {
            var entry = Entries[0];
            if (entry.Term != PreviousTerm)
            {
                TermStarts.Add(new TermStart(entry.Term, entry.Index));
            }

            if (entry.Kind == EntryKind.Configuration)
            {
                (Configuration, ConfigurationIndex) = (ConfigurationCodec.Decode(entry.Payload.Span), entry.Index);
            }

            PreviousTerm = entry.Term;
            FirstIndex = entry.Index.Next;
            Entries.RemoveAt(0);
        }
    }
}
