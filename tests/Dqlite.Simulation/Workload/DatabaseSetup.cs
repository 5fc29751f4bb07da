using Dqlite.Net.Engine;
using Dqlite.Simulation.Cluster;
using Dqlite.Simulation.Faults;
using Dqlite.Simulation.Running;

namespace Dqlite.Simulation.Workload;

/// <summary>Creates the databases at the beginning, and the tables of every one that appears.</summary>
internal sealed class DatabaseSetup(SimCluster cluster, Admin admin)
{
    private readonly HashSet<long> _ready = [];

    /// <summary>Whether clients may use a database.</summary>
    public bool IsReady(ReplicatedDatabase database) => _ready.Contains(database.Id);

    /// <summary>Until the cluster has to be quiet.</summary>
    public async Task RunAsync()
    {
        for (var i = 0; i < cluster.Shape.Databases; i++)
        {
            await admin.AskAsync(new LeaderRequest(LeaderOperation.CreateDatabase, $"db{i}", cluster.Tier.PageSize), cluster.Shape.HealAtNs);
        }

        while (cluster.Scheduler.NowNs < cluster.Shape.QuietAtNs)
        {
            if (cluster.Leader is { Node: { } context } leader && context.Databases.Published.FirstOrDefault(database => !IsReady(database)) is { } database)
            {
                await SetUpAsync(leader, database);
            }

            await cluster.Waits.Delay(SimShape.Second / 20);
        }
    }

    /// <summary>The first transaction of a database. When its outcome is not known, what was applied tells.</summary>
    private async Task SetUpAsync(SimNode node, ReplicatedDatabase database)
    {
        if (!database.CanWrite || database.AppliedIndex > database.Id)
        {
            if (database.AppliedIndex > database.Id)
            {
                _ready.Add(database.Id);
            }

            return;
        }

        var state = database.Pages.State;
        if (state.DraftLsn != state.CommittedLsn)
        {
            return;
        }

        var ticket = database.NextTicket();
        var acquired = database.AcquireWriterAsync(ticket);
        var life = node.Machine.Life;
        if (!await cluster.Waits.For(acquired, SimShape.Second) || acquired.IsFaulted || !node.Machine.IsUp || node.Machine.Life != life || node.Node is null)
        {
            _ = acquired.Exception;
            database.ReleaseWriter(ticket);
            return;
        }

        Task commit;
        try
        {
            using var entered = node.Enter();
            using var connection = cluster.Tier.Connect(database);
            connection.BeginWrite(ticket);
            foreach (var step in cluster.Tier.Setup(cluster.Shape.Workload))
            {
                connection.Execute(step);
            }

            commit = database.WaitCommittedAsync(connection.Commit());
        }
        catch (SimDatabaseException exception)
        {
            cluster.Log.Say($"the tables of {database.Name} could not be made: {exception.Message}");
            database.ReleaseWriter(ticket);
            return;
        }

        await cluster.Waits.For(commit, SimShape.Second);
        _ = commit.Exception;
    }
}
