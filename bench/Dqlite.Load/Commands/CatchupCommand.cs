using System.Diagnostics;
using System.Globalization;
using Dqlite.Load.Output;
using Dqlite.Net;
using Dqlite.Net.Benchmarks;
using Dqlite.Sqlite;
using Quickstart;

namespace Dqlite.Load.Commands;

/// <summary>How long a node takes to get what it lacks: all of a large database, or 1 % of its pages. Beside the disk's own speed.</summary>
internal sealed class CatchupCommand(string parent, int megabytes)
{
    private const int Nodes = 3;
    private const int CopyChunkBytes = 1 << 20;
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    public static CatchupCommand Parse(Arguments arguments) => new(LoadOptions.DirectoryOf(arguments), arguments.Number("megabytes", 200, 1, 100_000));

    public async Task RunAsync()
    {
        using var directory = new ScratchDirectory(parent);
        var progress = new Progress(2);
        await using var cluster = await LocalCluster.StartAsync(directory.Sub("nodes"), Nodes);
        await BigDatabase.FillAsync(cluster, megabytes, progress);
        await cluster.WaitForAgreementAsync();
        var missed = await MissPagesAsync(cluster);
        progress.End("node that was away");
        var copied = await Task.Run(() => Copy(Path.Combine(directory.Sub("copy"), "file")));
        var blank = await JoinAsync(cluster, directory.Sub("blank"));
        progress.End("blank node");
        Print("a node that missed 1 % of the pages", missed);
        Print($"a blank node catches up with {megabytes} MB", blank);
        Print($"the disk takes {megabytes} MB, written and flushed", copied);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"blank node: {megabytes / blank.TotalSeconds:0} MB/s, {copied / blank:0.00} x the disk's own speed"));
    }

    private static void Print(string what, TimeSpan time) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what}: {time.TotalMilliseconds:0} ms"));

    /// <summary>A follower is killed, one row on every hundredth page changes, and the follower starts again.</summary>
    private async Task<TimeSpan> MissPagesAsync(LocalCluster cluster)
    {
        var (leader, position) = await cluster.LeaderAsync();
        var away = (position + 1) % Nodes;
        await cluster.KillAsync(away);
        await using (var connection = await cluster.OpenAsync())
        {
            await using var command = connection.CreateCommand();
            command.CommandText = $"UPDATE big SET value = randomblob({BigTable.RowBytes}) WHERE id % 200 = 0";
            await command.ExecuteNonQueryAsync();
        }

        var began = Stopwatch.GetTimestamp();
        await UntilCaughtUpAsync(await cluster.StartNodeAsync(away), leader);
        return Stopwatch.GetElapsedTime(began);
    }

    private static async Task<TimeSpan> JoinAsync(LocalCluster cluster, string directory)
    {
        var (leader, _) = await cluster.LeaderAsync();
        var began = Stopwatch.GetTimestamp();
        await using var node = await DqliteNode.StartAsync(new DqliteNodeOptions
        {
            DataDirectory = directory,
            Address = LocalCluster.FreeAddresses(1)[0],
            Join = leader.Address,
            JoinAsVoter = false,
        });
        await UntilCaughtUpAsync(node, leader);
        return Stopwatch.GetElapsedTime(began);
    }

    private static async Task UntilCaughtUpAsync(DqliteNode node, DqliteNode leader)
    {
        var target = leader.AppliedIndex;
        for (var began = Stopwatch.GetTimestamp(); node.AppliedIndex < target;)
        {
            if (Stopwatch.GetElapsedTime(began) > Patience)
            {
                throw new TimeoutException($"Node {node.Id} has applied {node.AppliedIndex} of {target} after {Patience.TotalMinutes:0} minutes.");
            }

            await Task.Delay(LookInterval);
        }
    }

    private TimeSpan Copy(string path)
    {
        var chunk = new byte[CopyChunkBytes];
        Random.Shared.NextBytes(chunk);
        using var file = DurableFile.Open(path, DurableFileMode.Read | DurableFileMode.Write | DurableFileMode.Create);
        var began = Stopwatch.GetTimestamp();
        for (long offset = 0; offset < BigDatabase.BytesOf(megabytes); offset += chunk.Length)
        {
            file.Write(chunk, offset);
        }

        file.Sync();
        return Stopwatch.GetElapsedTime(began);
    }
}
