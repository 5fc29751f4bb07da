using Dqlite.Load.Operations;
using Dqlite.Net;

namespace Dqlite.Load.Tests.Operations;

/// <summary>Which client is where.</summary>
public sealed class LoadSpecTests
{
    [TestCase(1, new[] { 1, 0, 0 })]
    [TestCase(4, new[] { 2, 1, 1 })]
    [TestCase(6, new[] { 2, 2, 2 })]
    public void Clients_are_given_to_the_nodes_in_turn(int clients, int[] shares) =>
        Assert.That(SpecOf(clients, Place.All).Split(3).Select(share => share.Clients), Is.EqualTo(shares));

    [TestCase("leader", true, false)]
    [TestCase("followers", false, true)]
    [TestCase("all", true, true)]
    public void A_place_means_some_nodes(string name, bool leader, bool follower)
    {
        var spec = SpecOf(1, Names.Parse<Place>("on", name));
        Assert.That((spec.UsesNode(isLeader: true), spec.UsesNode(isLeader: false)), Is.EqualTo((leader, follower)));
    }

    private static LoadSpec SpecOf(int clients, Place on) => new(OperationKind.Select, clients, 100, 1000, 1, ReadConsistency.Local, on);
}
