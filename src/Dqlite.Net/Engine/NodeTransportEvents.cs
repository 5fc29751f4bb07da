using Dqlite.Net.Data;
using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>
/// Turns what the transport reports into inputs of the loop, and decides who may connect. While the node is blank there is no loop yet:
/// only probes are answered.
/// </summary>
internal sealed class NodeTransportEvents(string incarnation, IReadOnlyList<string> members) : ITransportEvents
{
    private volatile NodeContext? _node;

    /// <summary>The node belongs to a cluster from now on.</summary>
    public void Attach(NodeContext node) => _node = node;

    /// <inheritdoc/>
    public HandshakeVerdict Validate(Hello remote)
    {
        var node = _node;
        if (remote.Purpose == PeerPurpose.Rpc)
        {
            return HandshakeVerdict.Accept;
        }

        if (node is null)
        {
            return HandshakeVerdict.Refuse("This node is blank and not a member of a cluster yet; try again once the cluster is founded.");
        }

        if (remote.ClusterId != node.ClusterId)
        {
            return HandshakeVerdict.Refuse($"This node belongs to cluster {node.ClusterId}, not to {(remote.ClusterId.Length == 0 ? "none" : remote.ClusterId)}; check the addresses.");
        }

        var known = node.Status.Configuration.Find(remote.NodeId);
        var isOther = known is not null && known.Incarnation != remote.Incarnation;
#if MUTANTS
        isOther &= !Mutant.Is("R29") && !Mutant.Is("D5");
#endif
        return isOther
            ? HandshakeVerdict.Refuse($"Node {remote.NodeId} is a member with another data directory; remove it with Cluster.RemoveAsync({remote.NodeId}), empty its directory and join it again.")
            : HandshakeVerdict.Accept;
    }

    /// <inheritdoc/>
    public void OnMessage(NodeId from, PeerMessage message, bool isLast)
    {
        if (message is RaftPeerMessage raft)
        {
            CommitEvents.Log.Received(raft.Message);
        }

        var input = new NodeEvent(NodeEventKind.Message, message, from.Value);
        if (isLast)
        {
            _node?.Inbox.Deliver(input);
        }
        else
        {
            _node?.Inbox.Post(input);
        }
    }

    /// <inheritdoc/>
    public void OnConnected(NodeId peer) => _node?.Inbox.Post(new NodeEvent(NodeEventKind.Connected, null, peer.Value));

    /// <inheritdoc/>
    public void OnDisconnected(NodeId peer)
    {
        var node = _node;
        node?.Inbox.Post(new NodeEvent(NodeEventKind.Disconnected, null, peer.Value));
        node?.Call((_, _) => node.Installs.OnDisconnected(peer));
    }

    /// <inheritdoc/>
    public void OnAccepted(Hello remote)
    {
        var node = _node;
        node?.Call((_, _) => node.OnAccepted(remote.NodeId, remote.Address));
    }

    /// <inheritdoc/>
    public void OnRefused(NodeId peer, string address, string reason) => _node?.Log.PeerRefused(peer.Value, address, reason);

    /// <inheritdoc/>
    public void OnRequest(Hello from, NodeMessage request, Action<NodeMessage> reply)
    {
        var node = _node;
        switch (request.Kind)
        {
            case ProbeRequest.MessageKind:
                var answer = node is null
                    ? new ProbeReply("", incarnation, members, [])
                    : new ProbeReply(node.ClusterId, incarnation, [], ConfigurationCodec.Encode(node.Status.Configuration));
                reply(new NodeMessage(ProbeReply.MessageKind, request.RequestId, answer.Encode()));
                break;
            case LeaderRequest.MessageKind:
                Relay(node, request, reply);
                break;
            default:
                reply(new NodeMessage(LeaderReply.MessageKind, request.RequestId, new LeaderReply(LeaderStatus.Refused, Text: $"Unknown request {request.Kind}.").Encode()));
                break;
        }
    }

    /// <summary>A blank node asks whom it can reach; the leader, wherever it is, answers.</summary>
    private static void Relay(NodeContext? node, NodeMessage request, Action<NodeMessage> reply)
    {
        void Answer(LeaderReply answer) => reply(new NodeMessage(LeaderReply.MessageKind, request.RequestId, answer.Encode()));

        if (node is null)
        {
            Answer(new LeaderReply(LeaderStatus.Retry, Text: "the asked node is blank"));
            return;
        }

        LeaderRequest decoded;
        try
        {
            decoded = LeaderRequest.Decode(request.Body);
        }
        catch (Exception exception) when (exception is InvalidDataException or MessagePackSerializationException)
        {
            Answer(new LeaderReply(LeaderStatus.Refused, Text: "The request is damaged, or of another version: " + exception.Message));
            return;
        }

        node.Requests.AskAsync(decoded, TimeSpan.FromSeconds(10), CancellationToken.None).ContinueWith(
            asked => Answer(asked.IsCompletedSuccessfully
                ? asked.Result
                : new LeaderReply(asked.Exception?.InnerException is DqliteException { IsTransient: true } ? LeaderStatus.Retry : LeaderStatus.Refused,
                    Text: asked.Exception?.InnerException?.Message ?? "cancelled")),
            CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }
}
