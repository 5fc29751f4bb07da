using Dqlite.Net.Data;
using Dqlite.Net.Storage;
using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>
/// The node's single-threaded heart: inputs go to the Raft core, its outputs go to the log, the peers and the databases. Everything it owns
/// belongs to the thread that calls <see cref="RunOnce"/>; other threads reach it through <see cref="Inbox"/>.
///
///   inbox -> core.Step -> log writer (durable) -> inbox (EntriesPersisted)
///                      -> transport (messages)
///                      -> applier (committed entries) -> databases
///   drafts of all databases -> replicator -> core.Propose
/// </summary>
internal sealed class NodeLoop
{
    /// <summary>Bytes of entries applied before the loop looks at its inputs again.</summary>
    private const long ApplySliceBytes = 4 << 20;

    /// <summary>The loop sleeps through so many ticks at most: longer than the pause between two heartbeats, which then are all that wakes a follower.</summary>
    private const int MaxQuietTicks = 8;

    private readonly NodeContext _node;
    private readonly RaftCore _core;
    private readonly RaftOutputs _outputs = new();
    private readonly long _tickNs;
    private List<NodeEvent> _events = [];
    private long _nextTickNs;
    private int _quietTicks;

    public NodeLoop(NodeContext node)
    {
        _node = node;
        _core = node.Core;
        _tickNs = (long)node.Options.TickInterval.TotalNanoseconds;
    }

    /// <summary>When the loop wants to run again although nothing came in, in nanoseconds of the monotonic clock.</summary>
    public long NextDeadlineNs => _node.Applier.HasMore ? 0 : Math.Min(_nextTickNs + (_quietTicks * _tickNs), _core.CampaignAtNs ?? long.MaxValue);

    /// <summary>
    /// Handles everything that is queued. Synchronous. The clock is read for each input, after it was taken from the queue: a process that was
    /// stopped in the middle must not judge a lease by the time before (R37).
    /// </summary>
    public void RunOnce()
    {
        CountQuietTicks();
        var events = _node.Inbox.Drain(_events);
        foreach (var nodeEvent in events)
        {
            var receivedNs = _node.NowNs;
            _node.Observer?.OnInput(nodeEvent);
            Handle(nodeEvent, receivedNs);
            Flush(receivedNs);
        }

        events.Clear();
        _events = events;
        var nowNs = _node.NowNs;
        if (nowNs >= _nextTickNs)
        {
            // One tick however late: a process that was stopped must hear its peers before it thinks that they are silent.
            _nextTickNs = IsFarBehind(nowNs, _nextTickNs) ? nowNs + _tickNs : _nextTickNs + _tickNs;
            _core.Tick(nowNs, _outputs);
            Flush(nowNs);
            _node.OnTick(nowNs);
        }

        CampaignInTime(nowNs);
        _node.Reads.Start(_core, _outputs);
        _node.Replicator.ProposeDrafts(nowNs, _outputs);
        Flush(nowNs);
        _node.PublishLease();
        _quietTicks = _node.NeedsTicks ? 0 : Math.Min(_core.QuietTicks, MaxQuietTicks);
    }

    /// <summary>
    /// Hands over the ticks that the loop slept through, before anything that came in meanwhile: the core said that they change nothing. Any other
    /// tick waits until the inputs are handled.
    /// </summary>
    private void CountQuietTicks()
    {
        var nowNs = _node.NowNs;
        if (IsFarBehind(nowNs, _nextTickNs + (_quietTicks * _tickNs)))
        {
            _quietTicks = 0;
        }

        for (; _quietTicks > 0 && nowNs >= _nextTickNs; _quietTicks--)
        {
            _nextTickNs += _tickNs;
            _core.Tick(nowNs, _outputs);
            if (!_outputs.IsEmpty)
            {
                throw new RaftInvariantException("A tick that was to be quiet changed something.");
            }

            _node.OnTick(nowNs);
        }
    }

    /// <summary>The leader is gone, and its lease has just ended: half a tick on average is a good part of a failover.</summary>
    private void CampaignInTime(long nowNs)
    {
        if (nowNs >= _core.CampaignAtNs)
        {
            _core.Campaign(nowNs, _outputs);
            Flush(nowNs);
        }
    }

    /// <summary>The process was stopped, or kept from running: time that passed without it says nothing of its peers.</summary>
    private bool IsFarBehind(long nowNs, long dueNs) => nowNs - dueNs > 4 * _tickNs;

    private void Handle(in NodeEvent nodeEvent, long nowNs)
    {
        switch (nodeEvent.Kind)
        {
            case NodeEventKind.Message:
                OnMessage(new NodeId(nodeEvent.A), (PeerMessage)nodeEvent.Payload!, nowNs);
                break;
            case NodeEventKind.Connected:
                _core.PeerConnected(new NodeId(nodeEvent.A), nowNs, _outputs);
                _node.Installs.Acks.OnConnected(new NodeId(nodeEvent.A));
                break;
            case NodeEventKind.Disconnected:
                _core.PeerDisconnected(new NodeId(nodeEvent.A), nowNs, _outputs);
                break;
            case NodeEventKind.EntriesPersisted:
                _core.EntriesPersisted(new LogIndex(nodeEvent.A), new Term(nodeEvent.B), nowNs, _outputs);
                break;
            case NodeEventKind.Call:
                ((Action<long, RaftOutputs>)nodeEvent.Payload!)(nowNs, _outputs);
                break;
            default:
                throw new InvalidOperationException($"Unknown event {nodeEvent.Kind}.");
        }
    }

    private void OnMessage(NodeId from, PeerMessage message, long nowNs)
    {
        switch (message)
        {
            case RaftPeerMessage raft:
                _core.Receive(raft.Message, nowNs, _outputs);
                break;
            case NodeMessage request:
                _node.Requests.OnMessage(from, request, nowNs, _outputs);
                break;
            case StreamChunk chunk:
                _node.Installs.OnChunk(from, chunk);
                break;
            default:
                throw new InvalidOperationException($"Unknown message {message.GetType()}.");
        }
    }

    /// <summary>Does what the core asks, in the order of <see cref="RaftOutputs"/>, until it asks for nothing more.</summary>
    private void Flush(long nowNs)
    {
        while (!_outputs.IsEmpty || _node.Applier.HasMore)
        {
            var applied = _node.Applier.HasMore && _outputs.IsEmpty;
            WriteHardState(nowNs);
            Truncate();
            if (_outputs.CommitIndex is { } commit)
            {
                _node.Applier.CommitIndex = commit;
                CommitEvents.Log.Committed(_core.Id.Value, commit.Value);
            }

            _node.PublishLease();
            CacheAppends();
            Send();
            OrderAppends();
            _node.Reads.OnDecided(_outputs.Reads);
            foreach (var peer in _outputs.SnapshotsNeeded)
            {
                _node.Installs.SendTo(peer);
            }

            _node.Observer?.OnOutputs(_outputs);
            var (stateChanged, configurationChanged) = (_outputs.StateChanged, _outputs.ConfigurationChanged);
            _outputs.Clear();
            ReactToState(stateChanged, configurationChanged, nowNs);
            _node.Applier.Apply(ApplySliceBytes, nowNs, _outputs);
            _node.Replicator.TryOpenDrafting();
            if (applied && _node.Applier.HasMore)
            {
                break;
            }
        }
    }

    /// <summary>1. Term and vote are durable before anything that depends on them: the core withholds it until this report.</summary>
    private void WriteHardState(long nowNs)
    {
        if (_outputs.HardState is { } state)
        {
#if MUTANTS
            if (Mutant.Is("R1"))
            {
                Send();
                _outputs.Messages.Clear();
            }
#endif
            _outputs.HardState = null;
            _node.Metadata.Write(state);
            _node.Observer?.OnHardStatePersisted(state);
            _core.HardStatePersisted(state, nowNs, _outputs);
        }
    }

    /// <summary>2. The log writer works in the background, in order.</summary>
    private void Truncate()
    {
        if (_outputs.TruncateFrom is { } from)
        {
            _node.Cache.TruncateFrom(from);
            _node.LogWriter.Truncate(from);
#if MUTANTS
            if (Mutant.Is("D1"))
            {
                _node.Databases.Decide(from, _core.TermAt(from) ?? _core.CurrentTerm);
            }
#endif
        }
    }

    private void CacheAppends()
    {
        foreach (var entry in _outputs.Appends)
        {
            _node.Cache.Add(entry);
        }
    }

    /// <summary>
    /// 3, behind 4: what leaves depends on no append of the same step (the core withholds what does, until EntriesPersisted), and a leader's entries are
    /// longer on their way than in its own log.
    /// </summary>
    private void OrderAppends()
    {
        if (_outputs.Appends.Count > 0)
        {
            _node.LogWriter.Append(_outputs.Appends);
            CommitEvents.Log.LogOrdered(_core.Id.Value, _outputs.Appends[^1].Index.Value);
        }
    }

    /// <summary>4. Messages; appends get their entries from the cache or the log.</summary>
    private void Send()
    {
        foreach (var message in _outputs.Messages)
        {
            var filled = message;
            if (message is AppendEntriesRequest append && append.LastIndex >= append.FirstIndex)
            {
                filled = append with { Entries = _node.ReadEntries(append.FirstIndex, append.LastIndex) };
            }

            if (message is PreVoteResponse { Granted: true } or VoteResponse { Granted: true })
            {
                _node.OnVoteGranted(message.To);
            }

            _node.Transport?.Send(message.To, new RaftPeerMessage(filled));
            CommitEvents.Log.Sent(message);
        }
    }

    private void ReactToState(bool stateChanged, bool configurationChanged, long nowNs)
    {
        if (stateChanged)
        {
            _node.Replicator.OnStateChanged();
            _node.Requests.OnStateChanged();
            _node.OnStateChanged();
        }

        if (configurationChanged)
        {
            _node.OnConfigurationChanged();
        }
    }
}
