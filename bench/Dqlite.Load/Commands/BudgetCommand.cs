using System.Diagnostics;
using Dqlite.Load.Budget;
using Dqlite.Load.Clusters;
using Dqlite.Load.Operations;
using Dqlite.Net.Benchmarks;
using Quickstart;

namespace Dqlite.Load.Commands;

/// <summary>Where the time of one commit goes: one client of a cluster in this process, and the events that its nodes raise.</summary>
internal sealed class BudgetCommand(string parent, int commits)
{
    private const int Nodes = 3;
    private const int ValueBytes = 100;

    /// <summary>Three nodes raise some twenty-five for a commit.</summary>
    private const int MaxEventsPerCommit = 40;

    public static BudgetCommand Parse(Arguments arguments) => new(LoadOptions.DirectoryOf(arguments), arguments.Number("commits", 3000, 100, 100_000));

    public async Task RunAsync()
    {
        using var directory = new ScratchDirectory(parent);
        using var recorder = new CommitRecorder((commits * MaxEventsPerCommit) + 1000);
        await using var cluster = await LocalCluster.StartAsync(directory.Sub("nodes"), Nodes);
        var (leader, _) = await cluster.LeaderAsync();
        await using var database = await leader.OpenDatabaseAsync("budget");
        await using var connection = await database.OpenConnectionAsync();
        await KeyValueTable.CreateAsync(connection);
        using var insert = new InsertOperation(connection, Values.Texts(ValueBytes, 0));
        await MeasureAsync(insert);
        var undisturbed = await MeasureAsync(insert);
        await RecordAsync(insert, recorder);
        var paths = CommitPath.Find(recorder.Events, leader.Id);
        if (paths.Count < commits / 2)
        {
            throw new MemberException($"Only {paths.Count} of {commits} commits have all of their events: leadership was lost.");
        }

        BudgetTable.Print(paths, undisturbed.P50Us);
    }

    private async Task<LatencySummary> MeasureAsync(InsertOperation insert)
    {
        var latencies = new Latencies();
        var began = Stopwatch.GetTimestamp();
        for (var i = 0; i < commits; i++)
        {
            var before = Stopwatch.GetTimestamp();
            await insert.RunAsync();
            latencies.Add(Stopwatch.GetTimestamp() - before);
        }

        return latencies.Summarize(Stopwatch.GetElapsedTime(began));
    }

    private async Task RecordAsync(InsertOperation insert, CommitRecorder recorder)
    {
        recorder.Start();
        for (var i = 0; i < commits; i++)
        {
            recorder.Add(CommitStep.Begun);
            await insert.RunAsync();
            recorder.Add(CommitStep.Ended);
        }

        recorder.Stop();
    }
}
