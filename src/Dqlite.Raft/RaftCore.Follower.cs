namespace Dqlite.Raft;

/// <summary>The follower's side of replication (Raft section 5.3).</summary>
public sealed partial class RaftCore
{
    /// <summary>A snapshot was installed: the log is empty and goes on behind it. A stale one is ignored (R30), and so is one whose last
    /// entry the log holds already: there the log is kept, and the commit index advances to it (Raft figure 13, step 6).</summary>
    /// <param name="index">Last entry that the snapshot includes.</param>
    /// <param name="term">Its term.</param>
    /// <param name="configuration">The membership at that entry.</param>
    /// <param name="configurationIndex">Index of the entry that put it in force.</param>
    /// <param name="termStarts">The term starts up to the entry; later ones are ignored.</param>
    /// <param name="nowNs">Monotonic time in nanoseconds.</param>
    /// <param name="outputs">What is to be done is added to it.</param>
    /// <returns>Whether the log was replaced.</returns>
    public bool SnapshotInstalled(LogIndex index, Term term, ClusterConfiguration configuration, LogIndex configurationIndex,
        IReadOnlyList<TermStart> termStarts, long nowNs, RaftOutputs outputs)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(termStarts);
        Begin(nowNs, outputs);
        var isStale = index <= CommitIndex;
        var isInLog = _log.Matches(index, term);
#if MUTANTS
        if (Mutant.Is("R30"))
        {
            isStale = isInLog = false;
            CommitIndex = index.Previous;
        }
#endif
        if (isStale)
        {
            return false;
        }

        if (isInLog)
        {
            SetCommit(index, outputs);
            return false;
        }

        Invariant.Check(Role != RaftRole.Leader, $"node {Id} leads term {CurrentTerm} and installed a snapshot at {index} that its log lacks");
        if (term > CurrentTerm)
        {
            BecomeFollower(term, NodeId.None, outputs);
        }

        _log.Reset(index, term, termStarts);
        _configurations.Replace(configurationIndex, configuration);
        _acknowledgements.Clear();
        outputs.Appends.Clear();
        outputs.TruncateFrom = null;
        outputs.ConfigurationChanged = true;
        SetCommit(index, outputs);
        if (Role != RaftRole.Follower && !IsPromotable)
        {
            // The snapshot says that it is no voter; it came from a leader that this node no longer heard.
            BecomeFollower(CurrentTerm, NodeId.None, outputs);
        }

        if (Leader != NodeId.None)
        {
            Acknowledge(index, 0, long.MinValue, outputs);
        }

        return true;
    }

    private void OnHeartbeat(HeartbeatRequest request, RaftOutputs outputs)
    {
        HeardLeader(request.From, outputs);

        var commit = request.LeaderCommit;
#if MUTANTS
        if (Mutant.Is("R13") || Mutant.Is("D5"))
        {
            commit = commit < LastIndex ? commit : LastIndex;
        }
#endif

        // The leader sends at most what this node acknowledged as durable (R29).
        Invariant.Check(
            commit <= LastIndex,
            $"this node acknowledged entries up to {commit} in term {CurrentTerm}, but its log ends at {LastIndex}");
        if (commit > CommitIndex)
        {
            SetCommit(commit, outputs);
        }

        Send(new HeartbeatResponse(Id, request.From, CurrentTerm, request.ReadSequence, request.SentAtNs), outputs);
    }

    private void OnAppendEntries(AppendEntriesRequest request, RaftOutputs outputs)
    {
        CheckShape(request);
        HeardLeader(request.From, outputs);
        if (!MatchesPrevious(request))
        {
            Reject(request, outputs);
            return;
        }

        foreach (var entry in request.Entries)
        {
            Store(entry, outputs);
        }

        var lastNew = request.LastIndex;
#if MUTANTS
        if (Mutant.Is("R14") && lastNew < LastIndex)
        {
            Truncate(lastNew.Next, outputs);
        }
#endif

        // R13: of what lies behind this message's entries the leader has said nothing.
        var commit = request.LeaderCommit < lastNew ? request.LeaderCommit : lastNew;
#if MUTANTS
        if (Mutant.Is("R13"))
        {
            commit = request.LeaderCommit < LastIndex ? request.LeaderCommit : LastIndex;
        }
#endif
        if (commit > CommitIndex)
        {
            SetCommit(commit, outputs);
        }

        Acknowledge(lastNew, request.ReadSequence, request.SentAtNs, outputs);
    }

    private static void CheckShape(AppendEntriesRequest request)
    {
        Invariant.Check(
            request.FirstIndex == request.PrevLogIndex.Next && request.LastIndex.Value == request.PrevLogIndex.Value + request.Entries.Count,
            $"{request.Entries.Count} entries behind {request.PrevLogIndex} are announced as {request.FirstIndex}..{request.LastIndex}");
        var previous = request.PrevLogTerm;
        var index = request.FirstIndex;
        foreach (var entry in request.Entries)
        {
            Invariant.Check(
                entry.Index == index && entry.Term >= previous && entry.Term <= request.Term,
                $"entry {entry.Index} of term {entry.Term} stands at {index} behind term {previous} in a message of term {request.Term}");
            previous = entry.Term;
            index = index.Next;
        }
    }

    private bool MatchesPrevious(AppendEntriesRequest request)
    {
        if (_log.Matches(request.PrevLogIndex, request.PrevLogTerm))
        {
            return true;
        }

        // Log matching (Raft figure 3): what is committed here is in every leader's log.
        Invariant.Check(
            request.PrevLogIndex > CommitIndex,
            $"leader {request.From} has term {request.PrevLogTerm} at committed entry {request.PrevLogIndex}, not {TermAt(request.PrevLogIndex)}");
        return false;
    }

    private void Reject(AppendEntriesRequest request, RaftOutputs outputs)
    {
        // No entry of a higher term than PrevLogTerm can match at or before PrevLogIndex, so the hint skips whole terms.
        var hint = _log.LastWithTermAtMost(request.PrevLogIndex, request.PrevLogTerm);
        Send(
            new AppendEntriesResponse(Id, request.From, CurrentTerm, false, LogIndex.Zero, request.PrevLogIndex, TermAt(hint) ?? Term.Zero, hint,
                request.ReadSequence, request.SentAtNs),
            outputs);
    }

    private void Store(LogEntry entry, RaftOutputs outputs)
    {
        if (_log.Matches(entry.Index, entry.Term))
        {
            return; // there already; a shorter or older message removes nothing (R14)
        }

        if (entry.Index <= LastIndex)
        {
#if MUTANTS
            if (Mutant.Is("R15"))
            {
                return;
            }
#endif
            Truncate(entry.Index, outputs);
        }

        Append(entry, outputs);
    }

    private void Truncate(LogIndex from, RaftOutputs outputs)
    {
        Invariant.Check(from > CommitIndex, $"a conflict at {from} would remove committed entries, commit is {CommitIndex}");
        _log.TruncateFrom(from);
        outputs.ConfigurationChanged |= _configurations.TruncateFrom(from);

        // Entries of earlier steps that the caller has not taken yet go with the tail.
        outputs.Appends.RemoveAll(entry => entry.Index >= from);
        outputs.TruncateFrom = outputs.TruncateFrom is { } earlier && earlier < from ? earlier : from;
    }

    private void Append(LogEntry entry, RaftOutputs outputs)
    {
        _log.Append(new EntryInfo(entry.Term, entry.Kind, entry.Payload.Length));
        outputs.Appends.Add(entry);
        if (entry.Kind == EntryKind.Configuration)
        {
            _configurations.Append(entry.Index, ConfigurationCodec.Decode(entry.Payload.Span));
            outputs.ConfigurationChanged = true;
        }
    }
}
