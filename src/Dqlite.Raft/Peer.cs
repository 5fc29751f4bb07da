namespace Dqlite.Raft;

/// <summary>A leader's view of one other member (Raft figure 2, nextIndex and matchIndex, with the flow control around them).</summary>
internal sealed class Peer(NodeId id, LogIndex nextIndex)
{
    private readonly Queue<(LogIndex Last, long SizeBytes)> _inflight = new();
    private LogIndex _roundTarget = LogIndex.Zero;
    private int _roundTicks;
    private int _lastRoundTicks = int.MaxValue;

    public NodeId Id { get; } = id;

    public LogIndex MatchIndex { get; private set; }

    public LogIndex NextIndex { get; private set; } = nextIndex;

    public ReplicationState State { get; private set; } = ReplicationState.Probe;

    /// <summary>In Probe: a probe is under way, or the peer is away; lifted by any sign of life.</summary>
    public bool IsProbePaused { get; set; }

    public int TicksSinceContact { get; set; }

    /// <summary>The newest send time that the peer echoed; feeds the lease.</summary>
    public long EchoedSentAtNs { get; private set; } = long.MinValue;

    /// <summary>The newest read round that the peer confirmed.</summary>
    public long EchoedReadSequence { get; private set; }

    /// <summary>The newest commit index that an AppendEntries carried to it.</summary>
    public LogIndex CommitSent { get; set; }

    public long LastAppendNs { get; set; } = long.MinValue;

    public int InflightMessages => _inflight.Count;

    public long InflightBytes { get; private set; }

    public void Echo(long readSequence, long sentAtNs)
    {
        TicksSinceContact = 0;
        EchoedReadSequence = Math.Max(EchoedReadSequence, readSequence);
        EchoedSentAtNs = Math.Max(EchoedSentAtNs, sentAtNs);
    }

    public void Tick()
    {
        TicksSinceContact++;
        _roundTicks++;
    }

    public bool HasRoom(RaftOptions options) =>
        _inflight.Count < options.MaxInflightMessages && InflightBytes < options.MaxInflightBytes;

    public void Sent(LogIndex last, long sizeBytes)
    {
        Invariant.Check(State == ReplicationState.Replicate, $"optimistic send to {Id} in state {State}");
        NextIndex = last.Next;
        _inflight.Enqueue((last, sizeBytes));
        InflightBytes += sizeBytes;
    }

    /// <summary>The peer's durable log equals the leader's up to here.</summary>
    public void Acknowledged(LogIndex matchIndex, LogIndex lastIndex)
    {
        MatchIndex = matchIndex > MatchIndex ? matchIndex : MatchIndex;
        NextIndex = NextIndex > MatchIndex ? NextIndex : MatchIndex.Next;
        while (_inflight.TryPeek(out var oldest) && oldest.Last <= MatchIndex)
        {
            _inflight.Dequeue();
            InflightBytes -= oldest.SizeBytes;
        }

        if (MatchIndex >= _roundTarget)
        {
            // A catch-up round ends (dissertation section 4.2.1); the next one covers what arrived meanwhile.
            _lastRoundTicks = _roundTarget == LogIndex.Zero ? int.MaxValue : _roundTicks;
            _roundTarget = lastIndex;
            _roundTicks = 0;
        }
    }

    /// <summary>Whether it replicates so closely that its vote would not stall commits (R26).</summary>
    public bool IsCaughtUp(LogIndex lastIndex, int electionTimeoutTicks) =>
        State == ReplicationState.Replicate && TicksSinceContact < electionTimeoutTicks
        && (MatchIndex == lastIndex || (_lastRoundTicks <= electionTimeoutTicks && _roundTicks <= electionTimeoutTicks));

    public void BecomeProbe(LogIndex next)
    {
        State = ReplicationState.Probe;
        NextIndex = next > MatchIndex ? next : MatchIndex.Next;
        IsProbePaused = false;
        ClearInflight();
    }

    public void BecomeReplicate()
    {
        State = ReplicationState.Replicate;
        NextIndex = MatchIndex.Next;
        IsProbePaused = false;
        ClearInflight();
    }

    public void BecomeSnapshot()
    {
        State = ReplicationState.Snapshot;
        ClearInflight();
    }

    private void ClearInflight()
    {
        _inflight.Clear();
        InflightBytes = 0;
    }
}
