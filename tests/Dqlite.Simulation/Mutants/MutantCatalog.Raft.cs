using static Dqlite.Simulation.Mutants.MutantNeeds;

namespace Dqlite.Simulation.Mutants;

// Elections, log and membership.
internal static partial class MutantCatalog
{
    private static KnownMutant[] OfElections =>
    [
        Managed("R1", "Votes, and whatever else depends on a new term, leave before term and vote are on disk.", Kills | PowerCuts,
            "Durable before send: a message of a term that the sender's disk does not hold."),
        Managed("R2", "Vote and term are two writes: a crash between them leaves the old term with another vote, or without one.", Kills | PowerCuts | Partitions,
            "A node starts in a term in which it has voted, with another vote than the one that it sent."),
        Managed("R3", "Whoever steps down inside a term forgets its vote.", Partitions | SlowLinks | Kills,
            "One vote per term: a node votes for two candidates."),
        Managed("R4", "Candidates ask again and count every answer: one voter counts twice.", FourVoters | Partitions,
            "A minority elects: a leader without committed entries, or two leaders in one term."),
        Managed("R4b", "Non-voters are asked for votes, and counted.", Membership | NonVoters | Partitions,
            "As R4."),
        Managed("R5", "After a start the term is that of the last entry, and the vote is forgotten.", Kills | PowerCuts | Partitions,
            "A node's term is lower than before its restart; two votes in one term."),
        Managed("R6", "A pre-vote is granted without a look at the log.", Kills | Partitions | SlowLinks,
            "A voter grants a pre-vote to a log that is behind its own; terms rise while nobody who lags can win."),
        Managed("R7", "A pre-vote of a term that is not newer stays without an answer: a low term with a long log never learns why.", Kills | Partitions,
            "Liveness: a majority is up and connected, and nobody leads after five election timeouts."),
        Managed("R8", "There is no pre-vote: who is cut off raises its term with each timeout.", Partitions | Kills,
            "Disturbance: a node comes back, and a healthy leader loses its term."),
        Managed("R9", "A leader never asks itself whether a majority hears it.", Partitions | Reads,
            "A leader that hears no majority for two election timeouts still leads."),
        Managed("R10", "Campaigns need no pre-vote, and followers of a live leader listen to them: a removed server disturbs for ever.", Membership,
            "Disturbance: terms rise in a quiet cluster out of which a server was removed."),
        Managed("R11", "A non-voter campaigns when it hears no leader.", Membership | NonVoters | Partitions | Kills,
            "A node is candidate or leader, and no voter."),
    ];

    private static KnownMutant[] OfTheLog =>
    [
        Managed("R12", "Replicas are counted for entries of earlier terms too (Figure 8).", Kills | Partitions | SmallMessages | SlowLinks,
            "A leader commits an entry of another term by counting; a committed entry is replaced."),
        Managed("R13", "Heartbeats carry the leader's whole commit index, and a follower commits whatever its log holds up to it.", Partitions | SmallMessages | SlowLinks,
            "State machine safety: a follower commits the tail that conflicts."),
        Managed("R14", "A follower cuts its log behind the entries of each message: an older or shorter one removes newer entries.", SlowLinks | SmallMessages | Kills,
            "An entry that was acknowledged in this term is gone; a leader without a committed entry."),
        Managed("R15", "A conflict does not cut the log: the follower keeps its tail, and acknowledges the leader's.", Partitions | Kills | FourVoters,
            "State machine safety and log matching."),
        Managed("R16", "A report of the disk counts by its index alone, whichever entry stands there meanwhile.", SlowDisk | Partitions,
            "Durable before send: an acknowledged entry is not on disk."),
        Managed("R17", "A leader counts itself before its own disk has the entry.", PowerCuts | OneVoter | SlowDisk,
            "A commit that fewer than a majority of disks hold; an acknowledged write is gone after a power cut."),
        Managed("R17b", "The log is written, reported as durable, and never flushed.", PowerCuts,
            "Durable before send: a power cut now would take an acknowledged entry."),
        Managed("R18", "A damaged record with valid ones behind it counts as a torn tail: the log is cut there, silently.", BitRot | Kills,
            "A node starts with a shorter log than it acknowledged; a leader without a committed entry."),
        Managed("R19", "A checkpoint does not make its target durable before it writes pages: a torn file passes for the old state.", PowerCuts | SmallLog | Kills,
            "Rot that nobody injected, a replay that gives another checksum, or a node that stops for one of them."),
        Managed("R19b", "A checkpoint calls done what was applied while it ran, and is not in the file.", SmallLog | PowerCuts | Kills,
            "After a restart entries are passed over: a checksum that differs, or a node that stops at its next entry."),
        Managed("R20", "A flush that failed is tried again, and then believed.", DiskErrors | PowerCuts,
            "Durable before send: the kernel has dropped what was acknowledged."),
        Managed("R20b", "A leader whose disk hangs, or returns other bytes than were written, goes on leading.", SlowDisk | BitRot,
            "A leader whose disk has finished nothing for three election timeouts still leads."),
    ];

    private static KnownMutant[] OfMemberships =>
    [
        Managed("R21", "A leader changes the membership before an entry of its own term is committed (the single-server bug).", FourVoters | Membership | Partitions | Kills,
            "A leader appends a membership while nothing of its term is committed; two leaders, each with a majority of its own."),
        Managed("R22", "A membership change begins while another one is not committed.", FourVoters | Membership | Partitions | SlowLinks,
            "A leader appends a membership behind one that is not committed; two majorities that do not meet."),
        Managed("R23", "When the log is cut, the membership of the entries that went stays in force.", Membership | Partitions | Kills,
            "The membership in force is not the last one of the node's log."),
        Managed("R24", "A snapshot forgets the non-voters.", Membership | NonVoters | SmallLog | Partitions,
            "The membership in force on a node that installed a snapshot is not that of its index."),
        Managed("R24b", "A start behind a compacted log forgets the non-voters.", Membership | NonVoters | SmallLog | Kills,
            "The membership in force after a restart is not that of the log's base."),
        Managed("R25", "A membership is in force once it is committed, not once it is in the log.", Membership | Partitions | FourVoters,
            "The membership in force is not the last one of the node's log; majorities that do not meet."),
        Managed("R26", "A member is promoted before it has caught up.", Membership | NonVoters | SlowLinks,
            "A leader appends a promotion of a member that lacks what was committed an election timeout ago."),
        Managed("R27", "A leader that removes itself counts itself for the entries behind its removal.", Membership | FourVoters | Partitions,
            "A commit that fewer than a majority of the voters hold."),
        Missing("R28", "One of the two majorities of a joint configuration is not asked for.", "Memberships change by one member at a time; there is no joint consensus."),
        Managed("R29", "A data directory takes the place of another one under the same id.", Wipes,
            "A node stops: the commit index that a leader sends is above a log that was acknowledged; one node, two votes in a term."),
    ];
}
