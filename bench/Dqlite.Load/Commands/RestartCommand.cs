using System.Diagnostics;
using System.Globalization;
using Dqlite.Load.Operations;
using Dqlite.Load.Output;
using Dqlite.Net;
using Dqlite.Net.Benchmarks;
using Quickstart;

namespace Dqlite.Load.Commands;

/// <summary>Kills all nodes of a cluster with a large database and starts them again: the time to the first reads on the first of them.</summary>
internal sealed class RestartCommand(string parent, int[] sizes)
{
    private const int Nodes = 3;

    public static RestartCommand Parse(Arguments arguments) => new(LoadOptions.DirectoryOf(arguments), BigDatabase.ParseSizes(arguments.Find("megabytes") ?? "200,2048"));

    public async Task RunAsync()
    {
        using var directory = new ScratchDirectory(parent);
        var progress = new Progress(sizes.Length);
        foreach (var megabytes in sizes)
        {
            var line = await MeasureAsync(directory.Sub("restart"), megabytes, progress);
            progress.End($"{megabytes} MB");
            Console.WriteLine(line);
        }
    }

    private static async Task<string> MeasureAsync(string directory, int megabytes, Progress progress)
    {
        await using var cluster = await LocalCluster.StartAsync(directory, Nodes);
        await BigDatabase.FillAsync(cluster, megabytes, progress);
        await cluster.WaitForAgreementAsync();
        await Task.WhenAll(Enumerable.Range(0, Nodes).Select(cluster.KillAsync));
        var began = Stopwatch.GetTimestamp();
        var node = await cluster.StartNodeAsync(0);
        await ReadAsync(node, ReadConsistency.Local);
        var local = Stopwatch.GetElapsedTime(began);
        for (var i = 1; i < Nodes; i++)
        {
            await cluster.StartNodeAsync(i);
        }

        await ReadAsync(node, ReadConsistency.Linearizable);
        return string.Create(CultureInfo.InvariantCulture,
            $"restart with {megabytes} MB: {local.TotalMilliseconds:0} ms to the first local read, {Stopwatch.GetElapsedTime(began).TotalMilliseconds:0} ms to the first linearizable one, with {Nodes} nodes started one after the other");
    }

    private static async Task ReadAsync(DqliteNode node, ReadConsistency consistency)
    {
        var source = await node.OpenDatabaseAsync(LocalCluster.DatabaseName, new DqliteDatabaseOptions { CreateIfMissing = false });
        await using var connection = await source.OpenConnectionAsync();
        connection.Consistency = consistency;
        await using var command = connection.Prepare("SELECT count(*) FROM sqlite_schema");
        await command.ExecuteScalarAsync();
    }
}
