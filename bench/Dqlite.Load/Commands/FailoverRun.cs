using System.Diagnostics;
using System.Globalization;
using Dqlite.Load.Clusters;
using Dqlite.Load.Partitions;

namespace Dqlite.Load.Commands;

/// <summary>A cluster under load whose leaders are lost in one way.</summary>
internal sealed class FailoverRun : IAsyncDisposable
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Loss _loss;
    private readonly ProcessCluster _cluster;
    private readonly RelayNetwork? _relays;
    private readonly WriteRequest _write;
    private int _afterLease;
    private int _afterFirstWrite;

    private FailoverRun(Loss loss, string directory, int nodes, int writers)
    {
        _loss = loss;
        _relays = loss == Loss.Silent ? RelayNetwork.Start(nodes) : null;
        _cluster = ProcessCluster.Start(directory, nodes, _relays);
        _write = new WriteRequest(writers);
    }

    /// <summary>What leaders acknowledged that were cut off; empty when none went on.</summary>
    public string OldLeaders => _relays is null
        ? ""
        : string.Create(CultureInfo.InvariantCulture, $"; by leaders that were cut off: {_afterLease} after their lease, {_afterFirstWrite} after the first write elsewhere");

    /// <summary>All members run, and write when they lead.</summary>
    public static async Task<FailoverRun> StartAsync(Loss loss, string directory, int nodes, int writers)
    {
        var run = new FailoverRun(loss, directory, nodes, writers);
        foreach (var member in run._cluster.Running)
        {
            await member.AskAsync<bool>(run._write);
        }

        return run;
    }

    /// <summary>Loses a leader and brings it back: the time to the first write elsewhere.</summary>
    public async Task<TimeSpan> MeasureAsync()
    {
        var victim = await ReadyLeaderAsync();
        return _loss switch
        {
            Loss.Kill => await KillAsync(victim),
            Loss.Silent => await CutAsync(victim, _relays!),
            Loss.Stop => await StopAsync(_cluster.At(victim)),
        };
    }

    /// <summary>Ends the writers; every process compares what it has acknowledged with what is there. (One that was killed cannot.)</summary>
    /// <returns>How many rows were acknowledged.</returns>
    /// <exception cref="MemberException">An acknowledged row is not there.</exception>
    public async Task<int> VerifyAsync()
    {
        await ReadyLeaderAsync();
        var acknowledged = 0;
        foreach (var member in _cluster.Running)
        {
            acknowledged += await member.AskAsync<int>(new VerifyRequest());
        }

        return acknowledged;
    }

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        if (_relays is not null)
        {
            await _relays.DisposeAsync();
        }
    }

    private async Task<TimeSpan> KillAsync(int victim)
    {
        var lostAt = Stopwatch.GetTimestamp();
        await _cluster.KillAsync(victim);
        var firstWriteAt = await FirstWriteAsync(_cluster.Running, lostAt);
        await _cluster.StartMember(victim).AskAsync<bool>(_write);
        return Stopwatch.GetElapsedTime(lostAt, firstWriteAt);
    }

    private async Task<TimeSpan> StopAsync(MemberProcess victim)
    {
        var before = await StateAsync(victim);
        var lostAt = Stopwatch.GetTimestamp();
        await victim.SignalAsync("STOP");
        try
        {
            return Stopwatch.GetElapsedTime(lostAt, await FirstWriteAsync(Others(victim), lostAt));
        }
        finally
        {
            await victim.SignalAsync("CONT");
            await WritersEndedAsync(victim, before);
        }
    }

    private async Task<TimeSpan> CutAsync(int position, RelayNetwork relays)
    {
        var victim = _cluster.At(position);
        var before = await StateAsync(victim);
        var lostAt = Stopwatch.GetTimestamp();
        await relays.CutAsync(position);
        try
        {
            var leaseEndsAt = Stopwatch.GetTimestamp() + (long)(MemberCommand.LeaseDuration.TotalSeconds * Stopwatch.Frequency);
            var firstWriteAt = await FirstWriteAsync(Others(victim), lostAt);

            // It is not told, and must find out by itself. What it acknowledges after that, it has learnt from the others.
            await UntilAsync(victim, state => !state.IsLeader);
            _afterLease += await victim.AskAsync<int>(new AcknowledgedRequest(leaseEndsAt));
            _afterFirstWrite += await victim.AskAsync<int>(new AcknowledgedRequest(firstWriteAt));
            return Stopwatch.GetElapsedTime(lostAt, firstWriteAt);
        }
        finally
        {
            relays.Heal(position);
            await WritersEndedAsync(victim, before);
        }
    }

    private IEnumerable<MemberProcess> Others(MemberProcess victim) => _cluster.Running.Where(member => member != victim);

    /// <summary>Until an old leader hears of the next one it may take itself for one, and would be the next victim; its writers wait for the fate of their rows.</summary>
    private static Task WritersEndedAsync(MemberProcess victim, MemberState before) => UntilAsync(victim, state => state.FirstWriteAt != before.FirstWriteAt);

    /// <summary>A leader that has written, and that the others have caught up with.</summary>
    private async Task<int> ReadyLeaderAsync()
    {
        var (leader, position) = await _cluster.LeaderAsync();
        var state = await StateAsync(leader);
        foreach (var member in _cluster.Running)
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
                if ((await StateAsync(member)).FirstWriteAt is var at && at > after)
                {
                    return at;
                }
            }

            await Task.Delay(LookInterval);
        }

        throw new TimeoutException($"No other node acknowledged a write within {Patience.TotalSeconds:0} s.");
    }

    private static async Task UntilAsync(MemberProcess member, Predicate<MemberState> condition)
    {
        for (var began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began) < Patience;)
        {
            if (condition(await StateAsync(member)))
            {
                return;
            }

            await Task.Delay(LookInterval);
        }

        throw new TimeoutException($"Process {member.Id} did not get where it was expected within {Patience.TotalSeconds:0} s.");
    }

    private static Task<MemberState> StateAsync(MemberProcess member) => member.AskAsync<MemberState>(new StateRequest());
}
