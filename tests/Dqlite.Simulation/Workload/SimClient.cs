using Dqlite.Net;
using Dqlite.Net.Engine;
using Dqlite.Simulation.Checking;
using Dqlite.Simulation.Cluster;
using Dqlite.Simulation.Running;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Workload;

/// <summary>
/// One client: it does one transaction after the other, on whichever node it likes, as the library's connections do. It belongs to the
/// process of the node that it uses: when that dies, it never learns what became of its transaction.
/// </summary>
internal sealed partial class SimClient
{
    private const long AnswerTimeoutNs = 4 * SimShape.Second;

    private readonly SimCluster _cluster;
    private readonly DatabaseHistories _histories;
    private readonly DatabaseSetup _setup;
    private readonly ConnectionCache _connections;
    private readonly SeededRandom _random;
    private readonly int _process;
    private readonly Func<long> _newValue;
    private long _seenIndex;

    public SimClient(SimCluster cluster, DatabaseHistories histories, DatabaseSetup setup, int process, Func<long> newValue)
    {
        _setup = setup;
        _cluster = cluster;
        _histories = histories;
        _process = process;
        _newValue = newValue;
        _random = cluster.Random.Stream("client", process);
        _connections = new ConnectionCache(cluster.Tier);
    }

    /// <summary>Commits whose outcome the client was not told, to be asked for later.</summary>
    public List<(CommitId Commit, bool IsSettled)> Unknown { get; } = [];

    /// <summary>Goes on until the cluster has to be quiet.</summary>
    public async Task RunAsync(long thinkNs)
    {
        while (_cluster.Scheduler.NowNs < _cluster.Shape.QuietAtNs)
        {
            await _cluster.Waits.Delay(_random.Between(thinkNs / 4, thinkNs * 7 / 4) / (IsBehind() ? 5 : 1));
            var plan = TransactionPlan.Draw(_random, _cluster.Shape.Mix, _cluster.Shape.Workload, _newValue);
            if (PickNode(plan) is { Node: { } context } node && PickDatabase(context) is { } database)
            {
                if (plan.Writes)
                {
                    await WriteAsync(node, database, plan);
                }
                else
                {
                    await ReadAsync(node, database, plan);
                }
            }
        }

        _connections.Clear();
    }

    /// <summary>Whether outages have kept the clients from as many operations as they were to do by now.</summary>
    private bool IsBehind() => _histories.Operations < _cluster.Shape.TargetOperations * (_cluster.Scheduler.NowNs / (double)_cluster.Shape.QuietAtNs);

    /// <summary>Reads all that there is, through the leader.</summary>
    public async Task ReadEverythingAsync()
    {
        if (_cluster.Leader is not { Node: { } context } leader)
        {
            return;
        }

        foreach (var database in context.Databases.Published.Where(_setup.IsReady))
        {
            foreach (var plan in TransactionPlan.Everything(_cluster.Shape.Workload))
            {
                await ReadAsync(leader, database, plan);
            }
        }

        _connections.Clear();
    }

    private SimNode? PickNode(TransactionPlan plan)
    {
        if (_random.Chance(plan.Writes ? 0.9 : 0.5) && _cluster.Leader is { } leader)
        {
            return leader;
        }

        var node = _random.Pick(_cluster.Nodes);
        return node.Node is null || node.Machine.IsPaused ? null : node;
    }

    private ReplicatedDatabase? PickDatabase(NodeContext context)
    {
        var databases = context.Databases.Published.Where(_setup.IsReady).ToArray();
        return databases.Length == 0 ? null : _random.Pick(databases);
    }

    private async Task ReadAsync(SimNode node, ReplicatedDatabase database, TransactionPlan plan)
    {
        var history = _histories.Of(database.Id);
        var id = history.Begin(_process, plan.Operation!);
        var life = node.Machine.Life;
        var level = plan.Operation!.Level switch
        {
            ReadLevel.Linearizable => ReadConsistency.Linearizable,
            ReadLevel.Session => ReadConsistency.Session,
            ReadLevel.Local => ReadConsistency.Local,
        };
        var proof = database.BeginReadAsync(level, _seenIndex, TimeSpan.Zero);
        var answered = await _cluster.Waits.For(proof, AnswerTimeoutNs);
        if (!answered || proof.IsFaulted || !IsAlive(node, life))
        {
            Observe(proof);
            history.Fail(id);
            return;
        }

        if (database.AppliedIndex == database.Id && level != ReadConsistency.Linearizable)
        {
            // A node that lags behind may have an empty database still.
            history.Fail(id);
            return;
        }

        try
        {
            var connection = On(node, () => _connections.Get(node, database));
            On(node, connection.BeginRead);
            var results = new List<OpResult>();
            foreach (var step in plan.Steps)
            {
                results.Add(On(node, () => connection.Execute(step)));
                if (_random.Chance(0.15))
                {
                    // A reader that takes its time: its snapshot must stay what it was.
                    await _cluster.Waits.Delay(_random.Between(100_000L, 400_000_000L));
                    if (!IsAlive(node, life))
                    {
                        history.Fail(id);
                        return;
                    }
                }
            }

            On(node, connection.Rollback);
            _seenIndex = Math.Max(_seenIndex, database.AppliedIndex);
            Complete(history, id, plan.Operation, results);
        }
        catch (SimDatabaseException exception)
        {
            OnRefused(node, database, exception);
            history.Fail(id);
        }
    }

    /// <summary>Runs something on a node: native code sees its clock.</summary>
    private static void On(SimNode node, Action action)
    {
        using var entered = node.Enter();
        action();
    }

    private static T On<T>(SimNode node, Func<T> action)
    {
        using var entered = node.Enter();
        return action();
    }

    private static void Observe(Task task) => _ = task.Exception;

    private static bool IsAlive(SimNode node, int life) => node.Machine.IsUp && node.Machine.Life == life && node.Node is not null;

    private void OnRefused(SimNode node, ReplicatedDatabase database, SimDatabaseException exception)
    {
        _cluster.Log.Add('e', node.Number, exception.Code);
        if (Errors.IsUnexpected(exception.Code) && !node.IsDamaged && !node.HasDiskErrors)
        {
            _cluster.Invariants.Fail($"node {node.Number}, database {database.Name}: {exception.Message}");
        }

        On(node, () => _connections.Drop(node, database));
    }

    /// <summary>Ends an operation with what its steps gave.</summary>
    public static void Complete(History history, int id, Operation operation, IReadOnlyList<OpResult> results)
    {
        switch (operation.Kind)
        {
            case OperationKind.Read:
                history.OkRead(id, results[0].Value);
                break;
            case OperationKind.ReadAll:
                history.OkReadAll(id, results[0].Values!);
                break;
            case OperationKind.Transaction when operation.HasResult:
                history.OkTransaction(id, [.. operation.Steps.Select((step, i) => step.Appended is null ? results[i].Values : null)]);
                break;
            case OperationKind.Cas or OperationKind.Transfer when !results[^1].Applied:
                history.Fail(id);
                break;
            case OperationKind.Write or OperationKind.Cas or OperationKind.Transfer or OperationKind.Transaction:
                history.Ok(id);
                break;
            default:
                throw new InvalidOperationException($"Unknown operation {operation.Kind}.");
        }
    }
}
