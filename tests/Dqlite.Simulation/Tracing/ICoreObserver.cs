using Dqlite.Raft;

namespace Dqlite.Simulation.Tracing;

/// <summary>
/// Sees what goes into one node's core and what comes out. Whoever steps the core calls it, and calls nothing when nobody listens, so
/// that a run without observers allocates nothing for them.
/// </summary>
internal interface ICoreObserver
{
    /// <summary>The core was made from what is on disk; the node starts, or starts again.</summary>
    void OnStart(RaftCore core);

    /// <summary>The core is about to be given an input; it still has the state before it.</summary>
    void OnInput(RaftCore core, in CoreInput input);

    /// <summary>The outputs of all inputs since the last call, before anybody clears them. Each message must be seen in one call only.</summary>
    void OnOutputs(RaftCore core, RaftOutputs outputs);

    /// <summary>The node begins to stream a snapshot whose last entry is this one.</summary>
    void OnSnapshotSending(RaftCore core, NodeId to, LogIndex index);
}

/// <summary>What an input is, as far as observers tell them apart.</summary>
internal enum CoreInputKind : byte
{
    /// <summary>Time, a request of a client or of the operator, a connection: no more than its effects can be seen.</summary>
    Other,

    /// <summary>A message of a peer.</summary>
    Message,

    /// <summary>Term and vote are durable.</summary>
    HardStatePersisted,

    /// <summary>Entries are durable.</summary>
    EntriesPersisted,

    /// <summary>A snapshot of a peer is in place.</summary>
    SnapshotInstalled,
}

/// <summary>One input of a core. A value, so that building it costs nothing.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Received">Of a message: the message.</param>
/// <param name="State">Of a report about term and vote: what is durable.</param>
/// <param name="Peer">Of a snapshot: who sent it.</param>
/// <param name="Index">Of a snapshot: its last entry.</param>
/// <param name="Term">Of a snapshot: the sender's term when it began.</param>
internal readonly record struct CoreInput(CoreInputKind Kind, RaftMessage? Received, HardState State, NodeId Peer, LogIndex Index, Term Term)
{
    /// <summary>Any input without a form of its own.</summary>
    public static readonly CoreInput Other;

    /// <summary>A report of the log's disk.</summary>
    public static readonly CoreInput EntriesPersisted = new(CoreInputKind.EntriesPersisted, null, default, default, default, default);

    /// <summary>A message of a peer.</summary>
    public static CoreInput Message(RaftMessage message) => new(CoreInputKind.Message, message, default, default, default, default);

    /// <summary>A report about term and vote.</summary>
    public static CoreInput HardStatePersisted(HardState state) => new(CoreInputKind.HardStatePersisted, null, state, default, default, default);

    /// <summary>A snapshot is in place.</summary>
    public static CoreInput SnapshotInstalled(NodeId from, LogIndex index, Term term) =>
        new(CoreInputKind.SnapshotInstalled, null, default, from, index, term);
}
