using Dqlite.Load.Operations;
using Dqlite.Load.Partitions;
using Dqlite.Net.Benchmarks;

namespace Dqlite.Load.Clusters;

/// <summary>One process per node.</summary>
internal sealed class ProcessCluster : ICluster
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(5);
    private readonly string _directory;
    private readonly string[] _addresses;
    private readonly string[]? _listenAddresses;
    private readonly MemberProcess?[] _members;

    private ProcessCluster(string directory, int count, RelayNetwork? relays)
    {
        _directory = directory;
        _addresses = relays?.Addresses ?? LocalCluster.FreeAddresses(count);
        _listenAddresses = relays?.ListenAddresses;
        _members = new MemberProcess?[count];
    }

    public IEnumerable<MemberProcess> Running => _members.OfType<MemberProcess>();

    /// <param name="directory">Where all of them have their data.</param>
    /// <param name="count">How many.</param>
    /// <param name="relays">Through which they reach each other, or null: directly.</param>
    public static ProcessCluster Start(string directory, int count, RelayNetwork? relays = null)
    {
        var cluster = new ProcessCluster(directory, count, relays);
        for (var i = 0; i < count; i++)
        {
            cluster.StartMember(i);
        }

        return cluster;
    }

    public MemberProcess At(int position) => _members[position]!;

    public MemberProcess StartMember(int position) => _members[position] =
        MemberProcess.Start(position + 1, _directory, _addresses, _listenAddresses?[position] ?? "");

    public async Task KillAsync(int position)
    {
        var member = _members[position]!;
        _members[position] = null;
        await member.KillAsync();
    }

    /// <summary>The position of the one that leads, and its process; waits for it.</summary>
    public async Task<(MemberProcess Member, int Position)> LeaderAsync()
    {
        while (true)
        {
            for (var i = 0; i < _members.Length; i++)
            {
                if (_members[i] is { } member && (await member.AskAsync<MemberState>(new StateRequest())).IsLeader)
                {
                    return (member, i);
                }
            }

            await Task.Delay(LookInterval);
        }
    }

    public async Task<ClusterPoint> MeasureAsync(string database, Api api, LoadSpec spec)
    {
        var (leader, _) = await LeaderAsync();
        var term = await LeaderTermAsync(leader);
        await leader.AskAsync<bool>(new CreateRequest(database, spec));
        var readers = Running.Where(member => spec.UsesNode(isLeader: member == leader)).ToArray();
        var shares = readers.Zip(spec.Split(readers.Length)).Where(share => share.Second.Clients > 0).ToArray();
        foreach (var (member, share) in shares)
        {
            await member.AskAsync<bool>(new PrepareRequest(database, api, share));
        }

        var before = await UsageAsync();
        var results = await Task.WhenAll(shares.Select(share => share.First.AskAsync<LoadResult>(new MeasureRequest())));
        var spent = await UsageAsync() - before;
        foreach (var member in shares.Select(share => share.First).Append(leader))
        {
            await member.AskAsync<bool>(new CleanRequest());
        }

        return await LeaderTermAsync(leader) == term ? new ClusterPoint(LoadResult.Merge(results).Summarize(), spent) : throw new MemberException(ICluster.LeaderMoved);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var member in Running)
        {
            await member.DisposeAsync();
        }
    }

    /// <summary>0: it does not lead.</summary>
    private static async Task<long> LeaderTermAsync(MemberProcess member) => await member.AskAsync<MemberState>(new StateRequest()) is { IsLeader: true } state ? state.Term : 0;

    private async Task<Usage> UsageAsync()
    {
        var sum = new Usage(0, 0, 0, 0);
        foreach (var member in Running)
        {
            sum += await member.AskAsync<Usage>(new UsageRequest());
        }

        return sum;
    }
}
