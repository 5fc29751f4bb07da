using static Dqlite.Simulation.Mutants.MutantNeeds;

namespace Dqlite.Simulation.Mutants;

// Snapshots, reads, transfers, flow, clients, and the rules of this library's own design.
internal static partial class MutantCatalog
{
    private static KnownMutant[] OfSnapshots =>
    [
        Managed("R30", "A snapshot is installed over a log that has gone beyond it.", SmallLog | SlowLinks | Partitions | Kills,
            "Commit and applied index go back; acknowledged entries are gone."),
        Managed("R31", "A second snapshot stream writes the files that the first one waits to install.", SmallLog | SlowDisk | SlowLinks | Partitions,
            "A database with foreign pages: a checksum that differs, rot, or a node that stops."),
        Managed("R32", "The files of a snapshot are switched before the manifest is durable that would finish the switch after a crash.", SmallLog | PowerCuts | Kills | Partitions,
            "A node does not start, or finds rot, and nothing was done to its disk."),
        Managed("R33", "A follower that is behind the compacted log gets no snapshot.", SmallLog | Partitions | Kills,
            "Liveness: a member does not catch up after everything was mended."),
        Managed("R34", "A snapshot is installed whatever its sequence and its checksum are.", SmallLog | Partitions | Kills | DamagedStreams,
            "Replicas differ, rot that nobody injected, or a node that stops at its next entry."),
    ];

    private static KnownMutant[] OfReads =>
    [
        Managed("R35", "A new leader answers reads before an entry of its own term is committed.", Reads | Kills | SlowDisk,
            "Linearizability: a read that misses a write which was acknowledged before it."),
        Managed("R36", "Echoes of heartbeats that were sent before a read confirm it.", Reads | Partitions | SlowLinks,
            "Linearizability: a deposed leader answers without asking anybody."),
        Managed("R37", "A lease counts from the arrival of the answer.", Reads | Pauses | SlowLinks,
            "A leader holds a lease while another one leads; a leader that was stopped answers from its past."),
        Managed("R37b", "A lease is judged by a clock that stands still while the process is stopped.", Reads | Pauses | Partitions,
            "Linearizability: a leader that was stopped answers from its past."),
        Managed("R38", "A lease that held when it was last published holds until something new is published.", Reads | Partitions | Pauses,
            "Linearizability: a leader that is cut off answers from its past."),
        Managed("R39", "The lease goes on during a transfer of leadership.", Reads | Transfers | SlowLinks,
            "A leader holds a lease while another one leads."),
        Managed("R39b", "A TimeoutNow of any term and any log is obeyed.", Transfers | SlowLinks | Reads,
            "A leader holds a lease while another one leads; a healthy leader loses its term."),
        Managed("R40", "A read index is not waited for: the node reads what it has applied so far.", Reads | SlowLinks,
            "Linearizability: a follower answers from its past."),
        Managed("R41", "TimeoutNow leaves before its target has the last entry.", Transfers | SlowLinks | SmallMessages,
            "TimeoutNow leaves for a node that has not acknowledged the whole log; a transfer ends without a leader."),
        Managed("R41b", "A transfer that does not come to its end is never given up.", Transfers | Partitions | Kills,
            "Liveness: a leader refuses proposals for longer than an election timeout."),
        Managed("R42", "Leadership goes to whoever is named, known or not, voter or not, and twice at a time.", Transfers | Membership | NonVoters,
            "A transfer that cannot be is not refused; proposals stop for an election timeout."),
        Managed("R43", "The target of a transfer campaigns like anybody else, and is refused by the followers of the live leader.", Transfers,
            "Liveness: a transfer in a quiet cluster does not reach its target within an election timeout."),
        Managed("R44", "What a broken connection took with it is not sent again.", SlowLinks | Partitions | Kills,
            "Liveness: a member does not catch up after everything was mended."),
        Managed("R45", "Time is taken from the wall clock.", WallClockJumps,
            "Disturbance: a wall clock jumps, and a quiet cluster has an election.") with { IsInWorld = true },
    ];

    private static KnownMutant[] OfClients =>
    [
        Managed("R46", "Whoever gives up waiting for an undecided commit is told that it was never proposed.", Partitions | SlowLinks | SlowDisk,
            "A write that failed for good takes effect."),
        Managed("R46b", "Commits in flight fail for good when leadership is lost.", Partitions | Kills | Transfers,
            "A write that failed for good takes effect."),
        Managed("R46c", "A commit counts as successful when any entry was committed at its index.", Partitions | Kills,
            "An acknowledged write is not in the log."),
        Managed("R47", "A deposed leader keeps its uncommitted pages.", Partitions | Transfers,
            "A node stops at the next entry or leadership; replicas differ."),
        Native("R48", "A checkpoint writes pages of drafts.", 59, SmallLog | Partitions | Kills,
            "A row that never committed, or a checksum that differs, after a restart."),
    ];

    private static KnownMutant[] OfTheDesign =>
    [
        Managed("D1", "A proposal fails for good when the log is cut at its index, although it may still come back (Figure 8).", FourVoters | Partitions | Kills,
            "A write that failed for good takes effect."),
        Managed("D2", "A closed socket ends the lease that was acknowledged to the leader behind it.", Reads | SlowLinks | Partitions,
            "A leader holds a lease while another one leads."),
        Managed("D3", "Drafts that were queued when leadership was lost are proposed in the next term.", Partitions | Transfers | SlowLinks,
            "A write that failed for good takes effect, or an entry on another base stops every node."),
        Managed("D4", "Drafts are taken before the no-op of the own term is committed and applied.", Kills | Partitions | SlowDisk,
            "An entry on another base than the last one stops a node."),
        Managed("D4b", "Drafts are taken when nothing can be applied now, though a committed entry waits.", ManyDatabases | Transfers | SmallLog,
            "As D4."),
        Managed("D5", "A node whose disk was wiped is let in under its old id, and its log may lack what it acknowledged.", Wipes | Kills,
            "One node, two votes in a term; a leader without a committed entry."),
        Managed("D6", "A checkpoint passes what the node's own log has made durable.", SmallLog | SlowDisk | PowerCuts,
            "A node does not start after a power cut: its log ends below a checkpoint."),
        Managed("D7", "Parts of a transaction whose last part never came take effect with the next term.", SmallEntries | Partitions | Kills | Transfers,
            "A part of a transaction that failed for good is seen, or pages of two transactions are mixed."),
        Managed("D7b", "The log is compacted behind the first part of a transaction whose last part is not in the file.", SmallEntries | SmallLog | Kills,
            "A node does not come up after a restart, since parts are missing."),
        Managed("D9", "How a snapshot's stream went is said once: when the way back is down, its sender waits for minutes.", SmallLog | Kills | DamagedStreams,
            "Liveness: a member does not catch up after everything was mended."),
        Managed("D10", "A lease lets reads in that lack what is committed and not applied yet.", ManyDatabases | Transfers | SmallLog | Reads,
            "Linearizability: a follower has shown a commit that the leader's next read lacks."),
        Managed("D11", "A checkpoint keeps no copies of the pages that it overwrites.", PowerCuts | SmallLog | Kills,
            "After a crash in a checkpoint pages are torn: checksums that differ, or a node that stops for one."),
        Managed("D12", "A checkpoint overwrites pages whose copies are not durable yet.", PowerCuts | SmallLog,
            "After a power cut in a checkpoint neither pages nor copies are whole: the node stops."),
        Native("D8", "An LSN is used again after a fence.", 8, Partitions | Transfers,
            "A stale page or header looks current: rows that never committed, or lost ones."),
    ];
}
