using Dqlite.Raft;

namespace Dqlite.Simulation.Cluster;

// What is remembered of a node.
internal sealed partial class Invariants
{
    /// <summary>An entry whose record was damaged on the disk.</summary>
    /// <param name="Index">Which.</param>
    /// <param name="LogEnd">Where the log ended then.</param>
    /// <param name="IsProven">Whether records behind that end, which are whole, say that it was durable.</param>
    private sealed record RottenEntry(long Index, long LogEnd, bool IsProven);

    /// <summary>What is known of one node, over all its lives.</summary>
    private sealed class NodeView
    {
        private readonly Dictionary<long, long> _acknowledged = [];

        public bool HasFailed { get; set; }

        public RaftRole Role { get; set; }

        public long HighestTerm { get; set; }

        /// <summary>The vote that was last seen, which need not be on disk yet.</summary>
        public (long Term, long For) Vote { get; set; }

        public long Commit { get; set; }

        public long Applied { get; set; }

        /// <summary>Highest term of a message that left, which its disk must hold.</summary>
        public long DurableTerm { get; set; }

        /// <summary>What the membership check has looked at.</summary>
        public (LogIndex, Term, LogIndex) Checked { get; set; }

        public long ConfigurationIndex { get; set; }

        public long[]? Voters { get; set; }

        public bool WasVoter { get; set; }

        public int TransferTicks { get; set; }

        public long? TransferSinceNs { get; set; }

        /// <summary>Acknowledged, and not truncated since: its disk holds it.</summary>
        public long MustHold { get; set; }

        /// <summary>The lowest entry that rotted, or null.</summary>
        public RottenEntry? Rot { get; set; }

        /// <summary>Entries up to here were seen to be durable.</summary>
        public long Durable { get; set; }

        public void Restart(RaftCore core, long committed)
        {
            HasFailed = false;
            Role = RaftRole.Follower;
            Vote = default;
            Commit = Math.Min(core.CommitIndex.Value, committed);
            Applied = 0;
            Durable = 0;
            Checked = default;
            WasVoter = false;
            TransferSinceNs = null;
        }

        /// <summary>Of all that it was, what it has acknowledged may still be under way.</summary>
        public NodeView AfterWipe()
        {
            var after = new NodeView();
            foreach (var (term, match) in _acknowledged)
            {
                after._acknowledged.Add(term, match);
            }

            return after;
        }

        public void OnAcknowledged(long term, long match)
        {
            MustHold = Math.Max(MustHold, match);
            _acknowledged[term] = Math.Max(_acknowledged.GetValueOrDefault(term), match);
        }

        /// <summary>What it has acknowledged to the leader of a term.</summary>
        public long AcknowledgedIn(long term) => _acknowledged.GetValueOrDefault(term);
    }
}
