using System.Diagnostics;
using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>How a blank node came to belong to a cluster.</summary>
internal sealed record Founding(string ClusterId, NodeId NodeId, ClusterConfiguration Configuration);

/// <summary>
/// One round of questions among the members that were given to a blank node. A cluster is created only when *all* of them answer and are blank;
/// the first listed creates it, and the others take over what it created, which lists them with the incarnation of their data directory. A node
/// whose directory was wiped has another incarnation: it finds that the cluster knows its address, and is refused.
/// </summary>
internal sealed class FoundingRound(IReadOnlyList<string> members, string address, string incarnation)
{
    private readonly string?[] _incarnations = [.. members.Select(member => member == address ? incarnation : null)];

    /// <summary>The others, who are to be asked.</summary>
    public IEnumerable<string> Asked => members.Where(member => member != address);

    /// <summary>A member has answered: the founding, if it belongs to a cluster already.</summary>
    /// <exception cref="DqliteException">This node may not become a member; says why and what to do.</exception>
    public Founding? Add(string member, ProbeReply reply)
    {
        if (reply.ClusterId.Length > 0)
        {
            return Adopt(member, reply);
        }

        if (!reply.Members.SequenceEqual(members, StringComparer.Ordinal))
        {
            throw Bootstrap.Refused($"The node at {member} was given another list of members ({string.Join(", ", reply.Members)}); give all founding nodes the same list in the same order.");
        }

        _incarnations[IndexOf(member)] = reply.Incarnation;
        return null;
    }

    /// <summary>The founding, when everybody has answered and this node is the one to create it; else null.</summary>
    public Founding? Complete(Func<string> newClusterId) =>
        address == members[0] && Array.TrueForAll(_incarnations, found => found is not null) ? Found(members, _incarnations!, newClusterId()) : null;

    /// <summary>A founding of these members, all of them voters.</summary>
    public static Founding Found(IReadOnlyList<string> members, IReadOnlyList<string> incarnations, string clusterId)
    {
        var configuration = new ClusterConfiguration(members.Select((member, i) => new ClusterMember(new NodeId(i + 1), member, incarnations[i], MemberRole.Voter)));
        return new Founding(clusterId, new NodeId(1), configuration);
    }

    private int IndexOf(string member)
    {
        var index = 0;
        while (members[index] != member)
        {
            index++;
        }

        return index;
    }

    private Founding Adopt(string member, ProbeReply reply)
    {
        var configuration = ConfigurationCodec.Decode(reply.Configuration);
        var listed = configuration.Members.FirstOrDefault(other => other.Address == address);
        if (listed is null)
        {
            throw Bootstrap.Refused($"The node at {member} belongs to a cluster that does not list {address}: set Join = \"{member}\" to join it.");
        }

        var isOther = listed.Incarnation != incarnation;
#if MUTANTS
        isOther &= !Mutant.Is("R29") && !Mutant.Is("D5");
#endif
        if (isOther)
        {
            throw Bootstrap.Refused(
                $"The cluster of {member} knows node {listed.Id} at {address} with another data directory: this one is blank or was wiped, and may not vote in its place. "
                + $"Remove the old member with Cluster.RemoveAsync({listed.Id}) on a running node, then start this one with Join = \"{member}\".");
        }

        return new Founding(reply.ClusterId, listed.Id, configuration);
    }
}

/// <summary>Makes a blank node a member, over the network.</summary>
internal sealed class Bootstrap(DqliteNodeOptions options, string address, string incarnation)
{
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    private Hello Self => new("", NodeId.None, incarnation, address, PeerPurpose.Rpc);

    /// <summary>A cluster of one.</summary>
    public Founding FoundAlone() => FoundingRound.Found([address], [incarnation], SystemRandom.NewId());

    /// <summary>One round of questions: the founding, or null when not everybody has answered yet.</summary>
    /// <exception cref="DqliteException">This node may not become a member; says why and what to do.</exception>
    public async Task<Founding?> TryFoundAsync(CancellationToken cancellationToken)
    {
        var round = new FoundingRound(options.Members, address, incarnation);
        foreach (var member in round.Asked)
        {
            if (await ProbeAsync(member, cancellationToken).ConfigureAwait(false) is { } reply && round.Add(member, reply) is { } known)
            {
                return known;
            }
        }

        return round.Complete(SystemRandom.NewId);
    }

    /// <summary>Repeats the rounds until the cluster is founded.</summary>
    public async Task<Founding> FoundAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (await TryFoundAsync(cancellationToken).ConfigureAwait(false) is { } founding)
            {
                return founding;
            }

            await Task.Delay(Pause, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Joins a running cluster through any of its members, as a non-voter.</summary>
    /// <exception cref="DqliteException">Refused, or nobody answered in time.</exception>
    public async Task<Founding> JoinAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        var began = Stopwatch.GetTimestamp();
        var last = "nobody answered";
        while (Stopwatch.GetElapsedTime(began) < timeout)
        {
            var request = new LeaderRequest(LeaderOperation.AddMember, Address: address, Incarnation: incarnation);
            try
            {
                var answer = await PeerClient.CallAsync(options.Join, Self, new NodeMessage(LeaderRequest.MessageKind, 1, request.Encode()), TimeSpan.FromSeconds(12),
                    TransportOptions, cancellationToken).ConfigureAwait(false);
                var reply = LeaderReply.Decode(answer.Response.Body);
                if (reply.Status == LeaderStatus.Done)
                {
                    return new Founding(reply.ClusterId, new NodeId(reply.NodeId), ConfigurationCodec.Decode(reply.Configuration));
                }

                if (reply.Status == LeaderStatus.Refused)
                {
                    throw Refused(reply.Text);
                }

                last = reply.Text;
            }
            catch (Exception exception) when (PeerClient.IsUnreachable(exception))
            {
                last = exception.Message;
            }

            await Task.Delay(Pause, cancellationToken).ConfigureAwait(false);
        }

        throw DqliteErrors.Transient(Dqlite.Sqlite.ShimResult.NotLeader, $"The node could not join through {options.Join}: {last}.", null);
    }

    private TransportOptions TransportOptions => new() { AllowInsecureNonLoopback = options.AllowInsecureNonLoopback };

    /// <summary>The error of a node that may not become a member.</summary>
    internal static DqliteException Refused(string message) => new(message, 1, false, null);

    private async Task<ProbeReply?> ProbeAsync(string member, CancellationToken cancellationToken)
    {
        try
        {
            var request = new NodeMessage(ProbeRequest.MessageKind, 1, new ProbeRequest(options.Members).Encode());
            var answer = await PeerClient.CallAsync(member, Self, request, CallTimeout, TransportOptions, cancellationToken).ConfigureAwait(false);
            return ProbeReply.Decode(answer.Response.Body);
        }
        catch (Exception exception) when (PeerClient.IsUnreachable(exception))
        {
            // Not there yet: the next round asks again.
            return null;
        }
    }
}
