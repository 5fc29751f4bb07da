namespace Dqlite.Raft;

/// <summary>A read that waits. <paramref name="Origin"/> is the follower that asked, or none for this node.</summary>
internal readonly record struct PendingRead(long RequestId, NodeId Origin);

/// <summary>
/// Reads of a leader without a lease (dissertation section 6.4): one round of echoes at a time confirms all reads that were waiting
/// when it began; those that arrive meanwhile share the next one.
/// </summary>
internal sealed class ReadQueue
{
    private List<PendingRead> _waiting = [];
    private List<PendingRead> _inRound = [];

    /// <summary>Number of the last round begun; sent with every message, echoed by the receivers.</summary>
    public long Sequence { get; private set; }

    public LogIndex RoundIndex { get; private set; }

    public bool IsRoundOpen => _inRound.Count > 0;

    public bool IsWaiting => _waiting.Count > 0;

    public void Add(PendingRead read) => _waiting.Add(read);

    public void BeginRound(LogIndex commitIndex)
    {
        Invariant.Check(!IsRoundOpen && IsWaiting, "a read round begins without reads or inside of another one");
        (_inRound, _waiting) = (_waiting, _inRound);
        RoundIndex = commitIndex;
        Sequence++;
    }

    /// <summary>Ends the round and returns its reads.</summary>
    public PendingRead[] EndRound()
    {
        var reads = _inRound.ToArray();
        _inRound.Clear();
        return reads;
    }

    /// <summary>Drops everything and returns it, in the order of arrival.</summary>
    public PendingRead[] Drain()
    {
        PendingRead[] all = [.. _inRound, .. _waiting];
        _inRound.Clear();
        _waiting.Clear();
        return all;
    }
}
