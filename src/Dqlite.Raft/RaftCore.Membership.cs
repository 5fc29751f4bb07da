namespace Dqlite.Raft;

/// <summary>Membership changes, one member at a time (dissertation section 4.1, with the correction of raft-dev 2015: R21).</summary>
public sealed partial class RaftCore
{
    /// <summary>
    /// Proposes the next membership: one member added as a non-voter, promoted after it caught up (R26), demoted, removed, or given
    /// another address. In force as soon as it is in the log; refused while another change is uncommitted (R22) or before an entry of
    /// the own term is committed (R21).
    /// </summary>
    /// <param name="next">The whole membership, one step from the one in force.</param>
    /// <param name="nowNs">Monotonic time in nanoseconds.</param>
    /// <param name="outputs">What is to be done is added to it.</param>
    public ProposalResult ProposeConfiguration(ClusterConfiguration next, long nowNs, RaftOutputs outputs)
    {
        ArgumentNullException.ThrowIfNull(next);
        Begin(nowNs, outputs);
        var refusal = Role != RaftRole.Leader ? RefusalReason.NotLeader
            : IsTransferInProgress ? RefusalReason.TransferInProgress
            : !IsTermCommitted ? RefusalReason.TermNotCommitted
            : !IsConfigurationCommitted ? RefusalReason.ChangeInProgress
            : CheckStep(next);
#if MUTANTS
        if ((Mutant.Is("R21") && refusal == RefusalReason.TermNotCommitted) || (Mutant.Is("R22") && refusal == RefusalReason.ChangeInProgress))
        {
            refusal = CheckStep(next);
        }
#endif
        if (refusal != RefusalReason.None)
        {
            return new ProposalResult(refusal, LogIndex.Zero, Term.Zero);
        }

        return AppendAsLeader(EntryKind.Configuration, ConfigurationCodec.Encode(next), outputs);
    }

    private RefusalReason CheckStep(ClusterConfiguration next)
    {
        if (next.Voters.Count == 0)
        {
            return RefusalReason.InvalidChange;
        }

        var added = next.Members.Where(member => Configuration.Find(member.Id) != member).ToArray();
        var removed = Configuration.Members.Where(member => next.Find(member.Id) is null).ToArray();
        if (added.Length + removed.Length != 1)
        {
            return RefusalReason.InvalidChange;
        }

        return added.Length == 0 ? RefusalReason.None : CheckChanged(added[0]);
    }

    private RefusalReason CheckChanged(ClusterMember member)
    {
        var old = Configuration.Find(member.Id);
        if (old is not null && old.Incarnation != member.Incarnation)
        {
            return RefusalReason.InvalidChange; // another data directory: remove the id, join under a new one (R29)
        }

        var isPromotion = member.Role == MemberRole.Voter && old?.Role != MemberRole.Voter;
#if MUTANTS
        isPromotion &= !Mutant.Is("R26");
#endif
        return isPromotion && Find(member.Id)?.IsCaughtUp(LastIndex, _options.ElectionTimeoutTicks) != true
            ? RefusalReason.NotCaughtUp
            : RefusalReason.None;
    }

    /// <summary>Follows the membership in force: progress of new members starts, that of removed ones ends.</summary>
    private void SyncPeers()
    {
        _peers.RemoveAll(peer => Configuration.Find(peer.Id) is null);
        foreach (var member in Configuration.Members)
        {
            if (member.Id != Id && Find(member.Id) is null)
            {
                _peers.Add(new Peer(member.Id, LastIndex.Next));
            }
        }

        _peers.Sort((left, right) => left.Id.CompareTo(right.Id));
    }

#if MUTANTS
    /// <summary>R25: a membership counts from here on, not from the moment when it is in the log.</summary>
    private void OnConfigurationCommitted(RaftOutputs outputs)
    {
        outputs.ConfigurationChanged = true;
        if (Role == RaftRole.Leader)
        {
            SyncPeers();
        }
    }
#endif
}
