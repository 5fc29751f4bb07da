using System.Diagnostics;
using System.Globalization;
using Dqlite.Load.Clusters;
using Dqlite.Load.Operations;
using Dqlite.Load.Output;
using Dqlite.Net.Benchmarks;
using Quickstart;

namespace Dqlite.Load.Commands;

/// <summary>How a leader goes.</summary>
internal enum Loss
{
    /// <summary>SIGKILL: its sockets close.</summary>
    Kill,

    /// <summary>SIGSTOP: its sockets stay open and nothing comes from them, as behind a broken network.</summary>
    Silent,
}

/// <summary>Takes the leader's process away under load, again and again: the time to the first write that another node acknowledged.</summary>
internal sealed class FailoverCommand
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly Arguments _arguments;

    private FailoverCommand(Arguments arguments, Loss[] losses)
    {
        _arguments = arguments;
        Losses = losses;
        Nodes = arguments.Number("nodes", 3, 3, 9);
        Rounds = arguments.Number("rounds", 20, 1, 10_000);
        Writers = arguments.Number("clients", 4, 1, 1024);
        Directory = LoadOptions.DirectoryOf(arguments);
    }

    private Loss[] Losses { get; }

    private int Nodes { get; }

    private int Rounds { get; }

    private int Writers { get; }

    private string Directory { get; }

    public static FailoverCommand Parse(Arguments arguments) =>
        new(arguments, [.. (arguments.Find("how") ?? "kill,silent").Split(',').Select(word => Names.Parse<Loss>("how", word))]);

    public async Task RunAsync()
    {
        using var directory = new ScratchDirectory(Directory);
        var progress = new Progress(Losses.Length * Rounds);
        foreach (var loss in Losses)
        {
            await using var cluster = ProcessCluster.Start(directory.Sub(Names.Of(loss)), Nodes);
            foreach (var member in cluster.Running)
            {
                await member.AskAsync<bool>(new WriteRequest(Writers));
            }

            var sample = new Sample(Rounds);
            for (var round = 1; round <= Rounds; round++)
            {
                var gap = await MeasureAsync(cluster, loss);
                sample.Add(gap);
                progress.End(string.Create(CultureInfo.InvariantCulture, $"{Names.Of(loss)} {round}/{Rounds}: {gap.TotalMilliseconds:0} ms"));
            }

            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Names.Of(loss)}, first write elsewhere: p50 {sample.P50:0} ms, max {sample.Max:0} ms, {Rounds} rounds"));
        }
    }

    private async Task<TimeSpan> MeasureAsync(ProcessCluster cluster, Loss loss)
    {
        var victim = await ReadyLeaderAsync(cluster);
        return loss switch
        {
            Loss.Kill => await KillAsync(cluster, victim),
            Loss.Silent => await SilenceAsync(cluster, cluster.At(victim)),
        };
    }

    private async Task<TimeSpan> KillAsync(ProcessCluster cluster, int victim)
    {
        var lostAt = Stopwatch.GetTimestamp();
        await cluster.KillAsync(victim);
        var firstWriteAt = await FirstWriteAsync(cluster.Running, lostAt);
        await cluster.StartMember(victim).AskAsync<bool>(new WriteRequest(Writers));
        return Stopwatch.GetElapsedTime(lostAt, firstWriteAt);
    }

    private static async Task<TimeSpan> SilenceAsync(ProcessCluster cluster, MemberProcess victim)
    {
        var before = await victim.AskAsync<MemberState>(new StateRequest());
        var lostAt = Stopwatch.GetTimestamp();
        await victim.SignalAsync("STOP");
        try
        {
            return Stopwatch.GetElapsedTime(lostAt, await FirstWriteAsync(cluster.Running.Where(member => member != victim), lostAt));
        }
        finally
        {
            await victim.SignalAsync("CONT");

            // Until it hears of the next leader it takes itself for one, and would be the next victim.
            await UntilAsync(victim, state => state.FirstWriteAt != before.FirstWriteAt);
        }
    }

    /// <summary>A leader that has written, and that the others have caught up with.</summary>
    private static async Task<int> ReadyLeaderAsync(ProcessCluster cluster)
    {
        var (leader, position) = await cluster.LeaderAsync();
        var state = await leader.AskAsync<MemberState>(new StateRequest());
        foreach (var member in cluster.Running)
        {
            await UntilAsync(member, found => found.AppliedIndex >= state.AppliedIndex);
        }

        await UntilAsync(leader, found => found.FirstWriteAt > 0 || !found.IsLeader);
        return position;
    }

    private static async Task<long> FirstWriteAsync(IEnumerable<MemberProcess> others, long after)
    {
        for (var began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began) < Patience;)
        {
            foreach (var member in others)
            {
                if ((await member.AskAsync<MemberState>(new StateRequest())).FirstWriteAt is var at && at > after)
                {
                    return at;
                }
            }

            await Task.Delay(LookInterval);
        }

        throw new TimeoutException($"No other node acknowledged a write within {Patience.TotalSeconds:0} s.");
    }

    private static async Task<MemberState> UntilAsync(MemberProcess member, Predicate<MemberState> condition)
    {
        for (var began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began) < Patience;)
        {
            var state = await member.AskAsync<MemberState>(new StateRequest());
            if (condition(state))
            {
                return state;
            }

            await Task.Delay(LookInterval);
        }

        throw new TimeoutException($"Process {member.Id} did not get where it was expected within {Patience.TotalSeconds:0} s.");
    }
}
