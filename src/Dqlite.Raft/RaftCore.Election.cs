namespace Dqlite.Raft;

/// <summary>Elections: timer, pre-vote, vote (Raft section 5.2, dissertation sections 4.2.3 and 9.6).</summary>
public sealed partial class RaftCore
{
    // A pre-candidate asks again at this interval during its first election timeout: voters refuse while a lease that they
    // acknowledged runs, and that ends within milliseconds.
    private const int PreVoteRetryTicks = 2;

    private bool _isCampaignDue;
    private bool _isTransferCampaign;
    private int _preVoteTicks;
    private NodeId _leaderOfTerm;

    // A node removed or demoted by an entry that may still roll back campaigns on (dissertation section 4.2.2), without its own vote.
    private bool IsPromotable => CanCampaign
        && (Configuration.IsVoter(Id)
#if MUTANTS
            || (Mutant.Is("R11") && Configuration.Find(Id) is not null)
#endif
            || (!IsConfigurationCommitted && _configurations.Previous?.IsVoter(Id) == true));

    private IReadOnlyList<NodeId> Electorate =>
#if MUTANTS
        Mutant.Is("R4b") ? [.. Configuration.Members.Select(member => member.Id)] :
#endif
        Configuration.Voters;

    // Who asks a node without any membership for its vote remembers one that has lost its disk, and its earlier votes with it (R29): a
    // voter that joined properly has the entry that made it one.
    private bool IsMemberOfACluster => Configuration.Members.Count > 0;

    /// <summary>When a campaign that waits only for the end of an acknowledged lease may begin, by <see cref="Campaign"/>; else null. Ticks find
    /// it too, later.</summary>
    public long? CampaignAtNs => _isCampaignDue && Role != RaftRole.Leader && IsPromotable && IsLeaseProtected ? ProtectedUntilNs : null;

    /// <summary>Campaigns as if the election timer had fired: a pre-vote first.</summary>
    /// <param name="nowNs">Monotonic time in nanoseconds.</param>
    /// <param name="outputs">What is to be done is added to it.</param>
    public void Campaign(long nowNs, RaftOutputs outputs)
    {
        Begin(nowNs, outputs);
        _isCampaignDue = true;
        CampaignIfDue(outputs);
    }

    /// <summary>A connection to a peer was opened.</summary>
    /// <param name="peer">The peer.</param>
    /// <param name="nowNs">Monotonic time in nanoseconds.</param>
    /// <param name="outputs">What is to be done is added to it.</param>
    public void PeerConnected(NodeId peer, long nowNs, RaftOutputs outputs)
    {
        Begin(nowNs, outputs);
        _connected.Add(peer);
        _seenClosed.Remove(peer);
        if (Role == RaftRole.Leader && Find(peer) is { } progress)
        {
            progress.IsProbePaused = false;
            SendHeartbeat(progress, outputs);
            SendAppends(progress, outputs);
        }
    }

    /// <summary>The connection to a peer is seen closed. The closed socket of a leader is the end of its process, most of the time, so a
    /// follower asks for pre-votes at once.</summary>
    /// <param name="peer">The peer.</param>
    /// <param name="nowNs">Monotonic time in nanoseconds.</param>
    /// <param name="outputs">What is to be done is added to it.</param>
    public void PeerDisconnected(NodeId peer, long nowNs, RaftOutputs outputs)
    {
        Begin(nowNs, outputs);
        _connected.Remove(peer);
        _seenClosed.Add(peer);
        if (Role == RaftRole.Leader)
        {
            LosePeer(peer, outputs);
        }
        else if (Leader == peer && peer != NodeId.None)
        {
            _timer.LeaderLost();
#if MUTANTS
            if (Mutant.Is("D2"))
            {
                _lastAcknowledgementNs = null;
            }
#endif
            BecomeFollower(CurrentTerm, NodeId.None, outputs);
            _isCampaignDue = true;
            CampaignIfDue(outputs);
        }
    }

    private void TickElection(RaftOutputs outputs)
    {
        // A cluster of one has nobody to wait for.
        if (_timer.Tick() || (Role == RaftRole.Follower && Configuration.Voters.Count == 1 && Configuration.IsVoter(Id)))
        {
            _isCampaignDue = true;
        }

        if (_isCampaignDue)
        {
            CampaignIfDue(outputs);
        }
        else if (Role == RaftRole.PreCandidate && ++_preVoteTicks <= _options.ElectionTimeoutTicks && _preVoteTicks % PreVoteRetryTicks == 0)
        {
            SendPreVoteRequests(outputs);
        }
#if MUTANTS
        else if (Mutant.Is("R4") && Role == RaftRole.Candidate && _gate.IsOpen)
        {
            SendVoteRequests(outputs);
        }
#endif
    }

    private void CampaignIfDue(RaftOutputs outputs)
    {
        if (Role == RaftRole.Leader || !IsPromotable)
        {
            _isCampaignDue = false;
            return;
        }

        // The own vote breaks a lease as much as any other, and a disk slower than the timer must not raise the term again and again;
        // asked anew at each tick.
        if (!IsLeaseProtected && _gate.IsOpen)
        {
            _isCampaignDue = false;
            BecomePreCandidate(outputs);
        }
    }

    private void BecomePreCandidate(RaftOutputs outputs)
    {
        if (Role != RaftRole.PreCandidate)
        {
            _preVoteTicks = 0;
            SetRole(RaftRole.PreCandidate, outputs);
        }

        SetLeader(NodeId.None, outputs);
        _timer.Restart();
        _tally.Clear();
        _tally.Grant(Id);
        var isWon = _tally.IsWon(Configuration);
#if MUTANTS
        isWon |= Mutant.Is("R8") || Mutant.Is("R10");
#endif
        if (isWon)
        {
            BecomeCandidate(isTransfer: false, outputs);
        }
        else
        {
            SendPreVoteRequests(outputs);
        }
    }

    private void SendPreVoteRequests(RaftOutputs outputs)
    {
        foreach (var voter in Electorate)
        {
            // Promises nothing, so it need not wait for the disk.
            if (voter != Id && !_tally.HasGranted(voter))
            {
                outputs.Messages.Add(new PreVoteRequest(Id, voter, CurrentTerm.Next, LastIndex, LastTerm));
            }
        }
    }

    private void BecomeCandidate(bool isTransfer, RaftOutputs outputs)
    {
        SetRole(RaftRole.Candidate, outputs);
        SetLeader(NodeId.None, outputs);
        _acknowledgements.Clear();
        _leaderOfTerm = NodeId.None;
        _isCampaignDue = false;
        _isTransferCampaign = isTransfer;
#if MUTANTS
        _isTransferCampaign &= !Mutant.Is("R43");
#endif
        _tally.Clear();
        _timer.Restart();
        SetHardState(CurrentTerm.Next, Id, outputs);
        SendVoteRequests(outputs);
    }

    private void SendVoteRequests(RaftOutputs outputs)
    {
        foreach (var voter in Electorate)
        {
            if (voter != Id)
            {
                Send(new VoteRequest(Id, voter, CurrentTerm, LastIndex, LastTerm, _isTransferCampaign), outputs);
            }
        }
    }

    /// <summary>The own vote counts from the moment it is durable (R1).</summary>
    private void CountOwnVote(RaftOutputs outputs)
    {
        _tally.Grant(Id);
        BecomeLeaderIfWon(outputs);
    }

    private void OnPreVoteRequest(PreVoteRequest request, RaftOutputs outputs)
    {
#if MUTANTS
        if (Mutant.Is("R7") && request.Term <= CurrentTerm)
        {
            return;
        }
#endif

        // The full log check (R6): a lagging node learns here that it cannot win, and no term has moved.
        var isUpToDate = _log.IsUpToDate(request.LastLogIndex, request.LastLogTerm);
#if MUTANTS
        isUpToDate |= Mutant.Is("R6");
#endif
        var isGranted = request.Term > CurrentTerm && IsMemberOfACluster && MayDisturbLeader() && isUpToDate;
        Send(new PreVoteResponse(Id, request.From, CurrentTerm, request.Term, isGranted), outputs);

        // Followers of a dead leader ask in the same instant. The lower id goes on, else both would win pre-vote and split the votes.
        var isBehind = request.LastLogIndex != LastIndex || request.LastLogTerm != LastTerm;
        if (isGranted && Role == RaftRole.PreCandidate && (isBehind || request.From.CompareTo(Id) < 0))
        {
            BecomeFollower(CurrentTerm, NodeId.None, outputs);
            _timer.FireAfter(2 * _options.HeartbeatTicks);
        }
    }

    private void OnPreVoteResponse(PreVoteResponse response, RaftOutputs outputs)
    {
        if (Role == RaftRole.PreCandidate && response.Granted && response.RequestTerm == CurrentTerm.Next)
        {
            _tally.Grant(response.From);
            if (_tally.IsWon(Configuration) && IsPromotable && !IsLeaseProtected)
            {
                BecomeCandidate(isTransfer: false, outputs);
            }
        }
    }

    private void OnVoteRequest(VoteRequest request, RaftOutputs outputs)
    {
        var mayVote = VotedFor == request.From || (VotedFor == NodeId.None && Leader == NodeId.None);
        var isGranted = mayVote && IsMemberOfACluster && (request.LeadershipTransfer || !IsLeaseProtected)
            && _log.IsUpToDate(request.LastLogIndex, request.LastLogTerm);
        if (isGranted)
        {
            if (VotedFor == NodeId.None)
            {
                SetHardState(CurrentTerm, request.From, outputs);
            }

            if (Role == RaftRole.PreCandidate)
            {
                BecomeFollower(CurrentTerm, NodeId.None, outputs);
            }

            _isCampaignDue = false;
            _timer.Restart();
        }

        Send(new VoteResponse(Id, request.From, CurrentTerm, isGranted), outputs);
    }

    private void OnVoteResponse(VoteResponse response, RaftOutputs outputs)
    {
        if (Role == RaftRole.Candidate && response.Granted)
        {
            _tally.Grant(response.From);
            BecomeLeaderIfWon(outputs);
        }
    }

    private void BecomeLeaderIfWon(RaftOutputs outputs)
    {
        if (_tally.IsWon(Configuration))
        {
            BecomeLeader(outputs);
        }
    }

    /// <summary>Leader stickiness and lease protection: whether this node would help to replace the leader that it knew.</summary>
    private bool MayDisturbLeader() =>
#if MUTANTS
        Mutant.Is("R10") ||
#endif
        (Role != RaftRole.Leader && _timer.IsLeaderSilent && !IsLeaseProtected);

    /// <summary>A leader of the current term was heard.</summary>
    private void HeardLeader(NodeId leader, RaftOutputs outputs)
    {
        Invariant.Check(Role != RaftRole.Leader, $"node {Id} leads term {CurrentTerm}, and so does {leader}");
        Invariant.Check(
            _leaderOfTerm == NodeId.None || _leaderOfTerm == leader,
            $"nodes {_leaderOfTerm} and {leader} both lead term {CurrentTerm}");
        _leaderOfTerm = leader;
        _isCampaignDue = false;
        if (Role != RaftRole.Follower || Leader != leader)
        {
            BecomeFollower(CurrentTerm, leader, outputs);
        }

        _timer.LeaderHeard();
    }

    /// <summary>Follows; a newer term forgets the vote, the same term keeps it (R3).</summary>
    private void BecomeFollower(Term term, NodeId leader, RaftOutputs outputs)
    {
        var wasLeader = Role == RaftRole.Leader;
        if (term > CurrentTerm)
        {
            SetHardState(term, NodeId.None, outputs);
            _acknowledgements.Clear();
            _leaderOfTerm = NodeId.None;
        }
#if MUTANTS
        else if (Mutant.Is("R3"))
        {
            VotedFor = NodeId.None;
        }
#endif

        if (Role != RaftRole.Follower)
        {
            SetRole(RaftRole.Follower, outputs);
        }

        SetLeader(leader, outputs);
        if (wasLeader)
        {
            _timer.Restart();
            LeaveLeadership(outputs);
        }
    }

    private void SetLeader(NodeId leader, RaftOutputs outputs)
    {
        if (Leader == leader)
        {
            return;
        }

        Leader = leader;
        outputs.StateChanged = true;
        FailForwardedReads(outputs);
    }

    private void SetRole(RaftRole next, RaftOutputs outputs)
    {
        var isAllowed = (Role, next) switch
        {
            (RaftRole.Follower, RaftRole.PreCandidate or RaftRole.Candidate) => true,
            (RaftRole.PreCandidate, RaftRole.Follower or RaftRole.Candidate) => true,
            (RaftRole.Candidate, RaftRole.Follower or RaftRole.PreCandidate or RaftRole.Leader) => true,
            (RaftRole.Leader, RaftRole.Follower) => true,
            _ => false,
        };
        Invariant.Check(isAllowed, $"node {Id} goes from {Role} to {next}");
        Role = next;
        outputs.StateChanged = true;
    }
}
