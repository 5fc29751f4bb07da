using System.Diagnostics.Tracing;
using Dqlite.Raft;

namespace Dqlite.Net.Data;

/// <summary>
/// The way of a commit through threads and nodes, one event a step; each is raised on the thread that takes the step, right after it. An
/// index is that of the last entry concerned. Costs a test of a flag while nobody listens. The table is in docs/HACKING.md.
/// </summary>
[EventSource(Name = Telemetry.Name)]
internal sealed class CommitEvents : EventSource
{
    /// <summary>The source: there is one.</summary>
    public static readonly CommitEvents Log = new();

    private CommitEvents()
    {
    }

    /// <summary>A transaction's pages are a draft, and the loop has been woken. On the thread that ran the transaction.</summary>
    [Event(1)]
    public void DraftQueued(long node)
    {
        if (IsEnabled())
        {
            WriteEvent(1, node);
        }
    }

    /// <summary>Drafts became an entry. On the leader's loop.</summary>
    [Event(2)]
    public void Proposed(long node, long index) => Write(2, node, index);

    /// <summary>The log's thread has been given entries. On the loop of any node.</summary>
    [Event(3)]
    public void LogOrdered(long node, long index) => Write(3, node, index);

    /// <summary>The log's thread has them, and writes.</summary>
    [Event(4)]
    public void LogBegun(long node, long index) => Write(4, node, index);

    /// <summary>They are written.</summary>
    [Event(5)]
    public void LogWritten(long node, long index) => Write(5, node, index);

    /// <summary>They are flushed. The loop is told next, or taken by the same thread.</summary>
    [Event(6)]
    public void LogFlushed(long node, long index) => Write(6, node, index);

    /// <summary>Entries were given to the connection of a follower. On the leader's loop.</summary>
    [Event(7)]
    public void AppendSent(long node, long index, long peer) => Write(7, node, index, peer);

    /// <summary>Entries came in. On the follower's receiving thread.</summary>
    [Event(8)]
    public void AppendReceived(long node, long index, long peer) => Write(8, node, index, peer);

    /// <summary>An acknowledgement was given to the connection of the leader. On the follower's loop.</summary>
    [Event(9)]
    public void AckSent(long node, long index, long peer) => Write(9, node, index, peer);

    /// <summary>An acknowledgement came in. On the leader's receiving thread.</summary>
    [Event(10)]
    public void AckReceived(long node, long index, long peer) => Write(10, node, index, peer);

    /// <summary>The commit index moved. On the loop of any node.</summary>
    [Event(11)]
    public void Committed(long node, long index) => Write(11, node, index);

    /// <summary>An entry was applied. On the loop of any node.</summary>
    [Event(12)]
    public void Applied(long node, long index) => Write(12, node, index);

    /// <summary>Whoever awaited the commit goes on.</summary>
    [Event(13)]
    public void WaiterCompleted(long index)
    {
        if (IsEnabled())
        {
            WriteEvent(13, index);
        }
    }

    /// <summary>A message was given to a connection.</summary>
    [NonEvent]
    public void Sent(RaftMessage message)
    {
        if (!IsEnabled())
        {
            return;
        }

        if (message is AppendEntriesRequest append)
        {
            AppendSent(append.From.Value, append.LastIndex.Value, append.To.Value);
        }
        else if (message is AppendEntriesResponse { Success: true } ack)
        {
            AckSent(ack.From.Value, ack.MatchIndex.Value, ack.To.Value);
        }
    }

    /// <summary>A message came in.</summary>
    [NonEvent]
    public void Received(RaftMessage message)
    {
        if (!IsEnabled())
        {
            return;
        }

        if (message is AppendEntriesRequest append)
        {
            AppendReceived(append.To.Value, append.LastIndex.Value, append.From.Value);
        }
        else if (message is AppendEntriesResponse { Success: true } ack)
        {
            AckReceived(ack.To.Value, ack.MatchIndex.Value, ack.From.Value);
        }
    }

    [NonEvent]
    private void Write(int id, long node, long index)
    {
        if (IsEnabled())
        {
            WriteEvent(id, node, index);
        }
    }

    [NonEvent]
    private void Write(int id, long node, long index, long peer)
    {
        if (IsEnabled())
        {
            WriteEvent(id, node, index, peer);
        }
    }
}
