using Dqlite.Raft;
using static Dqlite.Raft.Tests.Harness.Short;

namespace Dqlite.Raft.Tests.Harness;

/// <summary>One core, id 1, driven by hand: messages go in, outputs are looked at, the disk is told when to be done.</summary>
public sealed class LoneCore
{
    public const long TickNs = 10_000_000;

    private readonly Queue<HardState> _states = new();
    private readonly Queue<(LogIndex Index, Term Term)> _writes = new();
    private readonly List<RaftMessage> _messages = [];

    public LoneCore(ClusterConfiguration configuration, HardState state, RaftOptions? options = null, params long[] logTerms)
    {
        Core = new RaftCore(
            (options ?? new RaftOptions { Id = N(1) }) with { Id = N(1) },
            new RaftInitialState
            {
                HardState = state,
                Configuration = configuration,
                FirstIndex = I(1),
                PreviousTerm = Term.Zero,
                Entries = logTerms.Select(term => new EntryInfo(T(term), EntryKind.Application, 1)).ToArray(),
            });
    }

    public RaftCore Core { get; }

    public RaftOutputs Outputs { get; } = new();

    public long NowNs { get; set; } = 1_000_000_000;

    public List<ReadState> Reads { get; } = [];

    /// <summary>A follower of term 1 in a cluster of three, with this log.</summary>
    public static LoneCore Follower(long term, params long[] logTerms) => new(Voters(3), new HardState(T(term), NodeId.None), null, logTerms);

    /// <summary>The leader of a cluster, its no-op durable on its own disk only. A lease that an earlier run may have acknowledged is over.</summary>
    public static LoneCore Leader(int voters = 3, RaftOptions? options = null, params long[] logTerms) =>
        LeaderAfter(logTerms.LastOrDefault(), voters, options, logTerms);

    /// <summary>The same, of the term that follows <paramref name="term"/>.</summary>
    public static LoneCore LeaderAfter(long term, int voters, RaftOptions? options, params long[] logTerms)
    {
        var lone = new LoneCore(Voters(voters), new HardState(T(term), NodeId.None), options, logTerms);
        lone.Tick();
        lone.NowNs += 1_000_000_000;
        lone.Do((core, now, outputs) => core.Campaign(now, outputs));
        for (var i = 2; i <= (voters / 2) + 1; i++)
        {
            lone.Receive(new PreVoteResponse(N(i), N(1), lone.Core.CurrentTerm, lone.Core.CurrentTerm.Next, true));
        }

        lone.Persist();
        for (var i = 2; i <= (voters / 2) + 1; i++)
        {
            lone.Receive(new VoteResponse(N(i), N(1), lone.Core.CurrentTerm, true));
        }

        lone.Persist();
        lone.Take();
        return lone;
    }

    public void Do(Action<RaftCore, long, RaftOutputs> input)
    {
        input(Core, NowNs, Outputs);
        Collect();
    }

    public T Do<T>(Func<RaftCore, long, RaftOutputs, T> input)
    {
        var result = input(Core, NowNs, Outputs);
        Collect();
        return result;
    }

    public void Tick(int count = 1)
    {
        for (var i = 0; i < count; i++)
        {
            NowNs += TickNs;
            Do((core, now, outputs) => core.Tick(now, outputs));
        }
    }

    public void Receive(RaftMessage message) => Do((core, now, outputs) => core.Receive(message, now, outputs));

    /// <summary>AppendEntries from node 2.</summary>
    public void Append(long term, long prevIndex, long prevTerm, long commit, params LogEntry[] entries) => Receive(
        new AppendEntriesRequest(N(2), N(1), T(term), I(prevIndex), T(prevTerm), I(prevIndex + 1), I(prevIndex + entries.Length), I(commit), 0, NowNs, entries));

    /// <summary>A follower acknowledges up to here, echoing this instant.</summary>
    public void Ack(long from, long matchIndex, long readSequence = 0) => Receive(
        new AppendEntriesResponse(N(from), N(1), Core.CurrentTerm, true, I(matchIndex), I(0), T(0), I(0), readSequence, NowNs));

    public void Heartbeat(long term, long commit = 0) => Receive(new HeartbeatRequest(N(2), N(1), T(term), I(commit), 0, NowNs));

    public ProposalResult Propose(string text = "x") =>
        Do((core, now, outputs) => core.Propose(core.CurrentTerm, System.Text.Encoding.UTF8.GetBytes(text), now, outputs));

    public void PersistState()
    {
        while (_states.TryDequeue(out var state))
        {
            Do((core, now, outputs) => core.HardStatePersisted(state, now, outputs));
        }
    }

    public void PersistOneWrite()
    {
        var (index, term) = _writes.Dequeue();
        Do((core, now, outputs) => core.EntriesPersisted(index, term, now, outputs));
    }

    public void Persist()
    {
        do
        {
            PersistState();
            while (_writes.Count > 0)
            {
                PersistOneWrite();
            }
        }
        while (_states.Count > 0);
    }

    /// <summary>The messages since the last call.</summary>
    public IReadOnlyList<RaftMessage> Take()
    {
        var taken = _messages.ToArray();
        _messages.Clear();
        return taken;
    }

    public T TakeOne<T>()
        where T : RaftMessage => Take().OfType<T>().Single();

    private void Collect()
    {
        if (Outputs.HardState is { } state)
        {
            _states.Enqueue(state);
        }

        if (Outputs.Appends.Count > 0)
        {
            _writes.Enqueue((Outputs.Appends[^1].Index, Outputs.Appends[^1].Term));
        }

        _messages.AddRange(Outputs.Messages);
        Reads.AddRange(Outputs.Reads);
        Outputs.Clear();
    }
}
