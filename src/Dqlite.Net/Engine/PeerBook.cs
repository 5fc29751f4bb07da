using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>
/// Whom to dial. The members; and beside them one that is none, when this node must answer it. Which membership is in force is a question of how
/// far a log goes, so two nodes need not agree:
///
///   the leader: a node that replays an old log passes memberships of the past, in which neither the leader that sends it nor the node itself need be
///   a candidate that gets this node's vote: its removal may stand in this node's log alone, and never have been committed. When the others are
///   gone, the two are the majority (Raft dissertation, section 4.1: votes are granted to servers outside the own configuration)
///
/// Belongs to the loop.
/// </summary>
/// <param name="own">This node.</param>
/// <param name="ownAddress">Where it is reached.</param>
/// <param name="dial">Takes the new list when it has changed.</param>
internal sealed class PeerBook(NodeId own, string ownAddress, Action<IReadOnlyList<(NodeId Id, string Address)>> dial)
{
    /// <summary>Addresses of nodes that dialled this one are remembered up to this number.</summary>
    private const int MaxCallers = 64;

    private readonly Dictionary<NodeId, string> _callers = [];
    private List<(NodeId Id, string Address)> _peers = [];
    private ClusterConfiguration? _configuration;
    private NodeId _leader = NodeId.None;
    private NodeId _candidate = NodeId.None;

    /// <summary>A node of this cluster has dialled this one, and says where it can be dialled itself.</summary>
    public void OnAccepted(NodeId id, string address)
    {
        if (address.Length == 0 || id == own)
        {
            return;
        }

        if (_callers.Count >= MaxCallers)
        {
            _callers.Clear();
        }

        _callers[id] = address;
        Update();
    }

    /// <summary>This node grants a vote, or would. The answer may be lost before there is a connection: candidates ask again.</summary>
    public void OnVoteGranted(NodeId candidate)
    {
        if (_candidate != candidate && _leader == NodeId.None)
        {
            _candidate = candidate;
            Update();
        }
    }

    /// <summary>What is in force.</summary>
    public void Set(ClusterConfiguration configuration, NodeId leader)
    {
        (_configuration, _leader) = (configuration, leader);
        _candidate = leader == NodeId.None ? _candidate : NodeId.None;
        Update();
    }

    private void Update()
    {
        if (_configuration is not { } configuration)
        {
            return;
        }

        var peers = configuration.Members.Where(member => member.Id != own && member.Address != ownAddress).Select(member => (member.Id, member.Address)).ToList();
        var outsider = _leader == NodeId.None ? _candidate : _leader;
        if (outsider != NodeId.None && outsider != own && configuration.Find(outsider) is null && _callers.TryGetValue(outsider, out var address))
        {
            peers.RemoveAll(peer => peer.Address == address);
            peers.Add((outsider, address));
        }

        if (!peers.SequenceEqual(_peers))
        {
            _peers = peers;
            dial(peers);
        }
    }
}
