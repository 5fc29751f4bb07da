using Dqlite.Net.Engine;
using Dqlite.Simulation.Checking;
using Dqlite.Simulation.Cluster;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Workload;

/// <summary>
/// A client with an unmodified connection (Vfs=dqlite): its calls block inside SQLite, and the world goes on meanwhile. At most one such call is
/// under way in the whole world.
/// </summary>
internal sealed class SimPlainClient(SimCluster cluster, DatabaseHistories histories, DatabaseSetup setup, int process, Func<long> newValue)
{
    private readonly SeededRandom _random = cluster.Random.Stream("plain", process);
    private readonly List<(ReplicatedDatabase Database, ISimPlainConnection Connection)> _open = [];

    /// <summary>Goes on until the cluster has to be quiet.</summary>
    public async Task RunAsync(long thinkNs)
    {
        while (cluster.Scheduler.NowNs < cluster.Shape.QuietAtNs)
        {
            await cluster.Waits.Delay(_random.Between(thinkNs / 4, thinkNs * 7 / 4));
            var plan = TransactionPlan.Draw(_random, cluster.Shape.Mix, cluster.Shape.Workload, newValue);
            var node = _random.Chance(0.85) ? cluster.Leader : _random.Pick(cluster.Nodes);
            if (!cluster.IsInNestedTime && node is { Node: { } context, Machine.IsPaused: false } && plan is { Operation: not null, RollsBack: false }
                && context.Databases.Published.FirstOrDefault(setup.IsReady) is { } database)
            {
                Run(node, context, database, plan);
            }
        }

        foreach (var (_, connection) in _open)
        {
            connection.Dispose();
        }
    }

    private void Run(SimNode node, NodeContext context, ReplicatedDatabase database, TransactionPlan plan)
    {
        // On a node that does not lead its reads are as old as they may be.
        var operation = plan.Operation!;
        var isWeak = !context.CanWrite && !plan.Writes;
        if (database.AppliedIndex == database.Id || (isWeak && operation.Kind != OperationKind.Read))
        {
            return;
        }

        var history = histories.Of(database.Id);
        var id = history.Begin(process, isWeak ? Operation.Read(operation.Key, ReadLevel.Local) : operation);
        var life = node.Machine.Life;
        try
        {
            using var entered = node.Enter();
            var results = Connection(database).Run(plan.Steps, plan.Writes);
            if (node.Machine.Life != life || !node.Machine.IsUp)
            {
                history.Info(id);
            }
            else
            {
                SimClient.Complete(history, id, operation, results);
            }
        }
        catch (SimDatabaseException exception)
        {
            End(history, id, plan, exception, isCertain: node.Machine.IsUp && node.Machine.Life == life);
            if (Errors.IsUnexpected(exception.Code) && !node.IsDamaged && !node.HasDiskErrors)
            {
                cluster.Invariants.Fail($"node {node.Number}, database {database.Name}, plain connection: {exception.Message}");
            }
        }

        foreach (var undone in plan.Undone)
        {
            history.Fail(history.Begin(process, Operation.Transaction(undone)));
        }
    }

    private static void End(History history, int id, TransactionPlan plan, SimDatabaseException exception, bool isCertain)
    {
        if (plan.Writes && (exception.IsUnknown || !isCertain))
        {
            history.Info(id);
        }
        else
        {
            history.Fail(id);
        }
    }

    private ISimPlainConnection Connection(ReplicatedDatabase database)
    {
        for (var i = _open.Count - 1; i >= 0; i--)
        {
            if (_open[i].Database.IsStopped)
            {
                _open[i].Connection.Dispose();
                _open.RemoveAt(i);
            }
            else if (ReferenceEquals(_open[i].Database, database))
            {
                return _open[i].Connection;
            }
        }

        var connection = cluster.Tier.ConnectPlain(database) ?? throw new InvalidOperationException("This tier has no plain connections.");
        _open.Add((database, connection));
        return connection;
    }
}
