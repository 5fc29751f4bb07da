using Dqlite.Net;
using Dqlite.Net.Engine;
using Dqlite.Simulation.Checking;
using Dqlite.Simulation.Cluster;

namespace Dqlite.Simulation.Workload;

/// <summary>Write transactions: slot, steps, commit point, and the wait for Raft; nothing leaves before that.</summary>
internal sealed partial class SimClient
{
    private async Task WriteAsync(SimNode node, ReplicatedDatabase database, TransactionPlan plan)
    {
        var write = new Attempt(node, database, plan, _histories.Of(database.Id), node.Machine.Life);
        if (plan.Operation is { } operation)
        {
            write.Id = write.History.Begin(_process, operation);
        }

        if (!database.CanWrite)
        {
            Fail(write);
            return;
        }

        var ticket = database.NextTicket();
        var acquired = database.AcquireWriterAsync(ticket);
        var isAnswered = await _cluster.Waits.For(acquired, AnswerTimeoutNs);
        if (!IsAlive(node, write.Life))
        {
            Observe(acquired);
            Fail(write);
            return;
        }

        if (!isAnswered || acquired.IsFaulted)
        {
            Observe(acquired);
            database.ReleaseWriter(ticket);
            Fail(write);
            return;
        }

        await TransactAsync(write, ticket);
    }

    private async Task TransactAsync(Attempt write, ulong ticket)
    {
        var (node, database, plan) = (write.Node, write.Database, write.Plan);
        ISimConnection? connection = null;
        ulong lsn;
        try
        {
            var open = connection = On(node, () => _connections.Get(node, database));
            On(node, () => open.BeginWrite(ticket));
            foreach (var step in plan.Steps)
            {
                var next = Complete(step, write);
                write.Results.Add(On(node, () => open.Execute(next)));
                if (_random.Chance(0.08))
                {
                    await _cluster.Waits.Delay(_random.Between(10_000L, 30_000_000L));
                    if (!IsAlive(node, write.Life))
                    {
                        Fail(write);
                        return;
                    }
                }
            }

            if (plan.RollsBack)
            {
                On(node, open.Rollback);
                database.ReleaseWriter(ticket);
                Fail(write);
                return;
            }

            lsn = On(node, open.Commit);
        }
        catch (SimDatabaseException exception)
        {
            On(node, () => connection?.Rollback());
            database.ReleaseWriter(ticket);
            if (database.AppliedIndex > database.Id)
            {
                OnRefused(node, database, exception);
            }

            // Else a leader that was replaced, and has an empty database still: its errors stay behind the output gate.
            if (exception.IsUnknown)
            {
                Info(write);
            }
            else
            {
                Fail(write);
            }

            return;
        }

        if (lsn == 0)
        {
            database.ReleaseWriter(ticket);
            await GateAsync(write, connection.SnapshotLsn);
        }
        else
        {
            await CommitAsync(write, lsn);
        }
    }

    /// <summary>A compare-and-set asks for what its transaction has read, or now and then for something else.</summary>
    private Op Complete(in Op step, Attempt write)
    {
        if (step.Kind != OpKind.CasRegister)
        {
            return step;
        }

        var read = write.Results[^1].Value ?? 0;
        var expected = _random.Chance(0.85) ? read : read + 1;
        var operation = Operation.Cas(step.Key, expected == 0 ? null : expected, step.Value);
        write.Id = write.History.Begin(_process, operation);
        write.CasOperation = operation;
        return step with { Other = expected };
    }

    /// <summary>Nothing was written: what was read may have come from drafts of others.</summary>
    private async Task GateAsync(Attempt write, ulong snapshotLsn)
    {
        var proof = write.Database.BeginReadAsync(ReadConsistency.Linearizable, 0, TimeSpan.Zero);
        var covered = write.Database.WaitCoveredAsync(snapshotLsn);
        var both = await _cluster.Waits.For(covered, AnswerTimeoutNs) && await _cluster.Waits.For(proof, AnswerTimeoutNs);
        if (both && !proof.IsFaulted && !covered.IsFaulted && IsAlive(write.Node, write.Life))
        {
            Succeed(write, write.Database.AppliedIndex);
            return;
        }

        Observe(proof);
        Observe(covered);
        Fail(write);
    }

    private async Task CommitAsync(Attempt write, ulong lsn)
    {
        var commit = write.Database.WaitCommittedAsync(lsn);
        var isAnswered = await _cluster.Waits.For(commit, _random.Chance(0.1) ? _random.Between(100_000L, 300_000_000L) : AnswerTimeoutNs);
        if (!IsAlive(write.Node, write.Life))
        {
            Observe(commit);
            Info(write);
        }
        else if (!isAnswered)
        {
            await AskIdAsync(write, lsn);
        }
        else if (commit.IsCompletedSuccessfully)
        {
            _cluster.Invariants.OnAcknowledged(write.Node, commit.Result);
            Succeed(write, commit.Result.Index);
        }
        else if (commit.Exception!.InnerException is DqliteUnknownOutcomeException unknown)
        {
            Remember(unknown.CommitId);
            Info(write);
        }
        else
        {
            if (commit.Exception.InnerException is not DqliteException { IsTransient: true } and not DqliteException { SqliteErrorCode: 14 })
            {
                _cluster.Invariants.Fail($"a commit ended with {commit.Exception.InnerException}");
            }

            Fail(write);
        }
    }

    /// <summary>A client that waits no longer learns the id of its commit, or that it was never proposed and has failed for good.</summary>
    private async Task AskIdAsync(Attempt write, ulong lsn)
    {
        var asked = write.Database.GetCommitIdAsync(lsn);
        var isAnswered = await _cluster.Waits.For(asked, AnswerTimeoutNs);
        if (isAnswered && asked.IsCompletedSuccessfully && asked.Result is null)
        {
            Fail(write);
            return;
        }

        Observe(asked);
        Remember(asked.IsCompletedSuccessfully ? asked.Result : null);
        Info(write);
    }

    private void Remember(CommitId? commit)
    {
        if (commit is { } id)
        {
            Unknown.Add((id, false));
        }
    }

    private void Succeed(Attempt write, long index)
    {
        _seenIndex = Math.Max(_seenIndex, index);
        if (write.Id is { } id)
        {
            if (write.CasOperation is { } cas)
            {
                Complete(write.History, id, cas, [write.Results[^1]]);
            }
            else
            {
                Complete(write.History, id, write.Plan.Operation!, write.Results);
            }
        }

        RecordUndone(write);
    }

    private void Fail(Attempt write)
    {
        if (write.Id is { } id)
        {
            write.History.Fail(id);
        }

        RecordUndone(write);
    }

    private void Info(Attempt write)
    {
        if (write.Id is { } id)
        {
            write.History.Info(id);
        }

        RecordUndone(write);
    }

    /// <summary>What was undone before the commit failed for good.</summary>
    private void RecordUndone(Attempt write)
    {
        foreach (var undone in write.Plan.Undone)
        {
            write.History.Fail(write.History.Begin(_process, Operation.Transaction(undone)));
        }
    }

    private sealed class Attempt(SimNode node, ReplicatedDatabase database, TransactionPlan plan, History history, int life)
    {
        public SimNode Node { get; } = node;

        public ReplicatedDatabase Database { get; } = database;

        public TransactionPlan Plan { get; } = plan;

        public History History { get; } = history;

        public int Life { get; } = life;

        public List<OpResult> Results { get; } = [];

        public Operation? CasOperation { get; set; }

        public int? Id { get; set; }
    }
}
