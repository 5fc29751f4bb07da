using System.Diagnostics;
using System.Security.Cryptography;
using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>How a blank node came to belong to a cluster.</summary>
internal sealed record Founding(string ClusterId, NodeId NodeId, ClusterConfiguration Configuration);

/// <summary>
/// Makes a blank node a member. A cluster is created only when *all* listed members answer and are blank; the first listed creates it, and the
/// others take over what it created, which lists them with the incarnation of their data directory. A node whose directory was wiped has
/// another incarnation: it finds that the cluster knows its address, and is refused.
/// </summary>
internal sealed class Bootstrap(DqliteNodeOptions options, string address, string incarnation)
{
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    private Hello Self => new("", NodeId.None, incarnation, address, PeerPurpose.Rpc);

    /// <summary>A cluster of one.</summary>
    public Founding FoundAlone() => Found([address], [incarnation]);

    /// <summary>One round of questions: the founding, or null when not everybody has answered yet.</summary>
    /// <exception cref="DqliteException">This node may not become a member; says why and what to do.</exception>
    public async Task<Founding?> TryFoundAsync(CancellationToken cancellationToken)
    {
        var incarnations = new string?[options.Members.Count];
        for (var i = 0; i < options.Members.Count; i++)
        {
            var member = options.Members[i];
            if (member == address)
            {
                incarnations[i] = incarnation;
                continue;
            }

            if (await ProbeAsync(member, cancellationToken).ConfigureAwait(false) is not { } reply)
            {
                continue;
            }

            if (reply.ClusterId.Length > 0)
            {
                return Adopt(member, reply);
            }

            if (!reply.Members.SequenceEqual(options.Members, StringComparer.Ordinal))
            {
                throw Refused($"The node at {member} was given another list of members ({string.Join(", ", reply.Members)}); give all founding nodes the same list in the same order.");
            }

            incarnations[i] = reply.Incarnation;
        }

        return address == options.Members[0] && Array.TrueForAll(incarnations, found => found is not null)
            ? Found(options.Members, incarnations!)
            : null;
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

    private static DqliteException Refused(string message) => new(message, 1, false, null);

    private static Founding Found(IReadOnlyList<string> members, IReadOnlyList<string> incarnations)
    {
        var configuration = new ClusterConfiguration(members.Select((member, i) => new ClusterMember(new NodeId(i + 1), member, incarnations[i], MemberRole.Voter)));
        return new Founding(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)), new NodeId(1), configuration);
    }

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

    private Founding Adopt(string member, ProbeReply reply)
    {
        var configuration = ConfigurationCodec.Decode(reply.Configuration);
        var listed = configuration.Members.FirstOrDefault(other => other.Address == address);
        if (listed is null)
        {
            throw Refused($"The node at {member} belongs to a cluster that does not list {address}: set Join = \"{member}\" to join it.");
        }

        if (listed.Incarnation != incarnation)
        {
            throw Refused(
                $"The cluster of {member} knows node {listed.Id} at {address} with another data directory: this one is blank or was wiped, and may not vote in its place. "
                + $"Remove the old member with Cluster.RemoveAsync({listed.Id}) on a running node, then start this one with Join = \"{member}\".");
        }

        return new Founding(reply.ClusterId, listed.Id, configuration);
    }
}
