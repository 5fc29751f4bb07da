using Dqlite.Net.Engine;
using Dqlite.Raft;

namespace Dqlite.Net.Tests.Engine;

/// <summary>Two nodes need not agree on who is a member: whoever must be answered must be dialled.</summary>
public sealed class PeerBookTests
{
    private readonly List<string> _dialled = [];
    private PeerBook _book = null!;

    [SetUp]
    public void Open()
    {
        _dialled.Clear();
        _book = new PeerBook(new NodeId(2), "b:1", peers => _dialled.Add(string.Join(' ', peers.Select(peer => $"{peer.Id.Value}={peer.Address}"))));
    }

    [Test]
    public void Members_are_dialled_and_not_the_node_itself()
    {
        _book.Set(Members(1, 2, 3), NodeId.None);
        _book.Set(Members(1, 2, 3), new NodeId(1));
        Assert.That(_dialled, Is.EqualTo(new[] { "1=a:1 3=c:1" }), "the second time nothing has changed");
    }

    [Test]
    public void A_leader_that_is_no_member_is_dialled_where_it_says_that_it_is()
    {
        _book.OnAccepted(new NodeId(3), "c:1");
        _book.Set(Members(1, 2), NodeId.None);
        _book.Set(Members(1, 2), new NodeId(3));
        _book.Set(Members(1, 2), new NodeId(1));
        Assert.That(_dialled, Is.EqualTo(new[] { "1=a:1", "1=a:1 3=c:1", "1=a:1" }));
    }

    [Test]
    public void A_candidate_that_gets_the_vote_and_is_no_member_is_dialled_until_there_is_a_leader()
    {
        _book.Set(Members(1, 2), NodeId.None);
        _book.OnVoteGranted(new NodeId(3));
        Assert.That(_dialled, Is.EqualTo(new[] { "1=a:1" }), "nobody knows where it is");
        _book.OnAccepted(new NodeId(3), "c:1");
        _book.OnVoteGranted(new NodeId(3));
        Assert.That(_dialled[^1], Is.EqualTo("1=a:1 3=c:1"));
        _book.Set(Members(1, 2), new NodeId(1));
        Assert.That(_dialled[^1], Is.EqualTo("1=a:1"));
        _book.OnVoteGranted(new NodeId(3));
        Assert.That(_dialled, Has.Count.EqualTo(3), "who follows a leader votes for nobody");
    }

    [Test]
    public void A_candidate_in_the_place_of_a_removed_member_is_dialled_there_alone()
    {
        _book.OnAccepted(new NodeId(4), "a:1");
        _book.Set(Members(1, 2), NodeId.None);
        _book.OnVoteGranted(new NodeId(4));
        Assert.That(_dialled[^1], Is.EqualTo("4=a:1"));
    }

    private static ClusterConfiguration Members(params long[] ids) =>
        new([.. ids.Select(id => new ClusterMember(new NodeId(id), $"{(char)('a' + id - 1)}:1", "", MemberRole.Voter))]);
}
