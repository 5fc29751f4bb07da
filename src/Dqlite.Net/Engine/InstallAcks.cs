using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>
/// What this node tells those who stream a snapshot to it. The way back is another connection than the stream's, and may be down while the stream
/// arrives: the last word to each peer is kept, and said again until it has left over a connection that stays. Any thread.
/// </summary>
internal sealed class InstallAcks(NodeContext node)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<NodeId, Last> _lasts = [];

    /// <summary>A peer begins a stream: what is said of an earlier one of its streams does not matter any more.</summary>
    public void Begin(NodeId from, long stream)
    {
        lock (_gate)
        {
            _lasts[from] = new Last(stream, -1, 0, true);
        }
    }

    /// <summary>Tells a sender how far its latest stream has come; nothing when that has ended, or this is an earlier one.</summary>
    /// <param name="to">The sender.</param>
    /// <param name="stream">Its stream.</param>
    /// <param name="sequence">The piece that is stored; all before it are.</param>
    /// <param name="status">0 stored, 1 installed, 2 failed.</param>
    public void Send(NodeId to, long stream, long sequence, byte status)
    {
        lock (_gate)
        {
            if (_lasts.TryGetValue(to, out var last) && last.Stream == stream && last.Status == 0)
            {
                last = new Last(stream, sequence, status, false);
                _lasts[to] = last with { HasLeft = TrySend(to, last) };
            }
        }
    }

    /// <summary>There is a new connection to a peer: what the one before it took with it is said again.</summary>
    public void OnConnected(NodeId peer)
    {
        lock (_gate)
        {
            var isSaidAgain = true;
#if MUTANTS
            isSaidAgain = !Mutant.Is("D9");
#endif
            if (isSaidAgain && _lasts.TryGetValue(peer, out var last) && last.Sequence >= 0)
            {
                _lasts[peer] = last with { HasLeft = TrySend(peer, last) };
            }
        }
    }

    /// <summary>Says again what could not be said.</summary>
    public void OnTick()
    {
        lock (_gate)
        {
            foreach (var (peer, last) in _lasts)
            {
                if (!last.HasLeft && TrySend(peer, last))
                {
                    _lasts[peer] = last with { HasLeft = true };
                }
            }
        }
    }

    private bool TrySend(NodeId to, Last last)
    {
        var hasLeft = node.Transport?.Send(to, new NodeMessage(InstallMessages.AckKind, 0, InstallMessages.Ack(last.Stream, last.Sequence, last.Status))) == true;
#if MUTANTS
        hasLeft |= Mutant.Is("D9");
#endif
        return hasLeft;
    }

    private readonly record struct Last(long Stream, long Sequence, byte Status, bool HasLeft);
}
