namespace Dqlite.Net.Tests.Engine;

/// <summary>Who belongs to the cluster, and who leads it.</summary>
internal sealed class MembershipTests : EngineFixture
{
    [TestCase(0)]
    [TestCase(1)]
    [TestCase(2)]
    public async Task A_blank_node_joins_through_any_member_and_becomes_a_voter(int through)
    {
        await Cluster.FoundAsync(3);
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        Cluster.Reserve(1);
        var joined = await Cluster.JoinAsync(3, through);
        await EventuallyAsync(async () => (await joined.Cluster.ListAsync()).Any(member => member.Id == joined.Id && member.IsVoter), "the node is a voter");
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "INSERT INTO t VALUES (1)");
        Assert.That(await ScalarAsync<long>(await joined.OpenDatabaseAsync("app"), "SELECT count(*) FROM t"), Is.EqualTo(1));
    }

    [Test]
    public async Task Members_are_added_promoted_demoted_and_removed_from_any_node()
    {
        await Cluster.FoundAsync(1);
        Cluster.Reserve(1);
        var joined = await Cluster.JoinAsync(1, 0, asVoter: false);
        Assert.That(await RolesAsync(joined), Is.EqualTo(new[] { (1L, true), (joined.Id, false) }));

        await InTime(joined.Cluster.PromoteAsync(joined.Id));
        Assert.That(await RolesAsync(Cluster[0]), Is.EqualTo(new[] { (1L, true), (joined.Id, true) }));
        await InTime(joined.Cluster.PromoteAsync(joined.Id));

        await InTime(Cluster[0].Cluster.DemoteAsync(joined.Id));
        Assert.That(await RolesAsync(Cluster[0]), Is.EqualTo(new[] { (1L, true), (joined.Id, false) }));

        await InTime(Cluster[0].Cluster.RemoveAsync(joined.Id));
        await InTime(Cluster[0].Cluster.RemoveAsync(joined.Id));
        Assert.That(await RolesAsync(Cluster[0]), Is.EqualTo(new[] { (1L, true) }));

        var failure = await FailureAsync(() => InTime(Cluster[0].Cluster.RemoveAsync(1)));
        Assert.Multiple(() =>
        {
            Assert.That(failure.IsTransient, Is.False);
            Assert.That(failure.Message, Does.Contain("no voter"));
        });
        failure = await FailureAsync(() => InTime(Cluster[0].Cluster.PromoteAsync(77)));
        Assert.That(failure.Message, Does.Contain("not a member"));
    }

    [Test]
    public async Task Leadership_goes_where_it_is_asked_to()
    {
        await Cluster.FoundAsync(3);
        for (var id = 1L; id <= 3; id++)
        {
            await InTime(Cluster.Running.First().Cluster.TransferLeadershipAsync(id));
            Assert.That((await Cluster.LeaderAsync(node => node.Id == id)).Id, Is.EqualTo(id));
        }

        var failure = await FailureAsync(() => InTime(Cluster[0].Cluster.TransferLeadershipAsync(99)));
        Assert.That(failure.IsTransient, Is.False, failure.Message);
    }

    [Test]
    public async Task A_leader_that_is_removed_hands_over_first_and_disturbs_nobody_afterwards()
    {
        await Cluster.FoundAsync(3);
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        var leaving = await Cluster.LeaderAsync();
        await InTime(leaving.Cluster.RemoveAsync(leaving.Id));
        var next = await Cluster.LeaderAsync(node => node != leaving);
        await EventuallyAsync(async () => (await next.Cluster.ListAsync()).Count == 2, "two members are left");

        // Many elections of the removed node's would fit in here.
        await RunAsync(await next.OpenDatabaseAsync("app"), "INSERT INTO t VALUES (1)");
        var term = next.Leader!.Term;
        var ticks = await TestCluster.OnLoopAsync(leaving, context => context.Core.CurrentTerm.Value);
        for (var i = 2; i < 200; i++)
        {
            await RunAsync(await next.OpenDatabaseAsync("app"), $"INSERT INTO t VALUES ({i})");
        }

        Assert.Multiple(() =>
        {
            Assert.That(next.Leader!.Term, Is.EqualTo(term), "nobody was elected meanwhile");
            Assert.That(ticks, Is.LessThanOrEqualTo(term), "the removed node has raised no term");
        });
        await InTime(Cluster.StopAsync(Cluster.PositionOf(leaving)));
    }

    [Test]
    public async Task A_leader_that_is_demoted_hands_over_first_and_follows()
    {
        await Cluster.FoundAsync(3);
        var leader = await Cluster.LeaderAsync();
        await InTime(leader.Cluster.DemoteAsync(leader.Id));
        var next = await Cluster.LeaderAsync(node => node != leader);
        await RunAsync(await next.OpenDatabaseAsync("app"), "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        Assert.That(await ScalarAsync<long>(await leader.OpenDatabaseAsync("app"), "SELECT count(*) FROM t"), Is.Zero, "it follows without a vote");
        await InTime(leader.Cluster.PromoteAsync(leader.Id));
        await InTime(leader.Cluster.TransferLeadershipAsync(leader.Id));
    }

    [Test]
    public async Task A_leader_that_stops_hands_over_quickly_to_a_node_that_lives()
    {
        Cluster.Configure = options => options with { ElectionTimeout = TimeSpan.FromSeconds(3) };
        await Cluster.FoundAsync(3);
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        await Cluster.CaughtUpAsync();
        var leader = await Cluster.LeaderAsync();
        await Cluster.AbortAsync(Cluster.PositionOf(await Cluster.FollowerAsync()));
        await EventuallyAsync(
            async () => await TestCluster.OnLoopAsync(leader, context => context.Core.Configuration.Voters.Count(voter => voter != context.Core.Id && context.Core.ProgressOf(voter)?.IsConnected == true)) == 1,
            "the leader has noticed");
        var other = await Cluster.FollowerAsync();

        // With one node dead, the other can win only with the vote of the one that stops.
        await InTime(Cluster.StopAsync(Cluster.PositionOf(leader)));
        Assert.That(Cluster.Log.Lines(2), Has.Some.Contains($"Node {other.Id} is Leader"));
    }

    [Test]
    public async Task A_wiped_founding_member_is_refused_with_the_remedy_which_works()
    {
        await Cluster.FoundAsync(3);
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        var wiped = Cluster.PositionOf(await Cluster.FollowerAsync());
        var id = Cluster[wiped].Id;
        await Cluster.AbortAsync(wiped);
        Directory.Delete(Cluster.DirectoryOf(wiped), recursive: true);

        var failure = await FailureAsync(() => Cluster.StartAsync(wiped));
        Assert.Multiple(() =>
        {
            Assert.That(failure.IsTransient, Is.False);
            Assert.That(failure.Message, Does.Contain($"Cluster.RemoveAsync({id})").And.Contain("Join"));
        });

        var through = Cluster.PositionOf(await Cluster.LeaderAsync());
        failure = await FailureAsync(() => Cluster.JoinAsync(wiped, through));
        Assert.That(failure.Message, Does.Contain($"Cluster.RemoveAsync({id})"));

        await InTime(Cluster[through].Cluster.RemoveAsync(id));
        var joined = await Cluster.JoinAsync(wiped, through);
        Assert.That(joined.Id, Is.Not.EqualTo(id), "ids are not used again");
        await EventuallyAsync(async () => (await joined.Cluster.ListAsync()).Count(member => member.IsVoter) == 3, "the node is a voter");
        await Cluster.CaughtUpAsync();
        Assert.That(await ScalarAsync<long>(await joined.OpenDatabaseAsync("app"), "SELECT count(*) FROM t"), Is.Zero);
    }

    [Test]
    public async Task Blank_nodes_found_nothing_until_all_of_them_have_started()
    {
        Cluster.Reserve(3);
        await Cluster.StartAsync(0);
        await Cluster.StartAsync(1);
        await EventuallyAsync(() => Cluster[0].Address == Cluster.Addresses[0], "the node listens");
        Assert.That((Cluster[0].Id, Cluster[1].Id), Is.EqualTo((0L, 0L)), "both are blank");
        await Cluster.StartAsync(2);
        await Cluster.LeaderAsync();
        Assert.That(Cluster.Running.Select(node => node.Id), Is.EquivalentTo(new[] { 1L, 2L, 3L }));
    }

    [Test]
    public async Task Founding_members_with_other_lists_are_refused()
    {
        Cluster.Reserve(2);
        await Cluster.StartAsync(0);
        var failure = await FailureAsync(() => Cluster.StartAsync(1, options => options with { Members = [Cluster.Addresses[1], Cluster.Addresses[0]] }));
        Assert.That(failure.Message, Does.Contain("same list"));
    }

    [Test]
    public async Task A_node_of_another_cluster_is_told_how_to_join()
    {
        await Cluster.FoundAsync(1);
        Cluster.Reserve(1);
        var failure = await FailureAsync(() => Cluster.StartAsync(1));
        Assert.That(failure.Message, Does.Contain($"Join = \"{Cluster.Addresses[0]}\""));
    }

    [Test]
    public async Task Members_may_be_listed_by_name_and_keep_their_names()
    {
        static string Named(string address) => address.Replace("127.0.0.1", "localhost", StringComparison.Ordinal);

        Cluster.Configure = options => options with { Address = Named(options.Address), Members = [.. options.Members.Select(Named)] };
        await Cluster.FoundAsync(2);
        var names = Cluster.Addresses.Select(Named).ToArray();
        Assert.Multiple(async () =>
        {
            Assert.That(Cluster.Running.Select(node => node.Address), Is.EqualTo(names));
            Assert.That((await Cluster[0].Cluster.ListAsync()).Select(member => member.Address), Is.EqualTo(names));
        });

        await Cluster.AbortAsync(1);
        await Cluster.StartAsync(1);
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    }

    [Test]
    public async Task A_port_that_the_system_chose_is_part_of_the_address()
    {
        await using var node = await DqliteNode.StartAsync(new DqliteNodeOptions { DataDirectory = Cluster.DirectoryOf(0), Address = "localhost:0" });
        Assert.That(node.Address, Does.Match("^localhost:[1-9][0-9]+$"));
    }

    private static async Task<(long Id, bool IsVoter)[]> RolesAsync(DqliteNode node)
    {
        // The asked node may not be the one that carried the change out.
        await node.ListDatabasesAsync();
        return (await node.Cluster.ListAsync()).Select(member => (member.Id, member.IsVoter)).ToArray();
    }
}
