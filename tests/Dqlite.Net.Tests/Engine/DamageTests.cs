using System.Text;

namespace Dqlite.Net.Tests.Engine;

/// <summary>Disks that give back other bytes than were written to one of three nodes.</summary>
internal sealed class DamageTests : EngineFixture
{
    private const int Rows = 60;
    private const int RotEvent = 12;

    [Test]
    public async Task A_flipped_byte_in_the_log_is_refused_at_start_and_a_new_node_takes_its_place()
    {
        await FillAsync();
        var damaged = Cluster.PositionOf(await Cluster.FollowerAsync());
        var id = Cluster[damaged].Id;
        await InTime(Cluster.StopAsync(damaged));

        // The payload of the first entry: everything behind it says that it was durable.
        var segment = Directory.GetFiles(Path.Combine(Cluster.DirectoryOf(damaged), "log"), "*.segment").Order(StringComparer.Ordinal).First();
        await FlipAsync(segment, 4096 + 60);
        var failure = await FailureAsync(() => Cluster.StartAsync(damaged));
        Assert.That(failure.SqliteErrorCode, Is.EqualTo(11), failure.ToString());
        Assert.That(failure.Message, Does.Contain(segment).And.Contain("remove the node from the cluster, delete its data directory and join it again"));
        var leader = await Cluster.LeaderAsync();
        await RunAsync(await leader.OpenDatabaseAsync("app"), "INSERT INTO t VALUES (1000, 'written by the other two')");

        // The remedy, by the letter.
        await InTime(leader.Cluster.RemoveAsync(id));
        Directory.Delete(Cluster.DirectoryOf(damaged), recursive: true);
        var back = await Cluster.JoinAsync(damaged, Cluster.PositionOf(leader));
        Assert.That(back.Id, Is.Not.EqualTo(id));
        await EventuallyAsync(async () => (await leader.Cluster.ListAsync()).Count(member => member.IsVoter) == 3, "the node is a voter again");
        await AssertWholeAsync(Rows + 1);
    }

    [Test]
    public async Task A_page_of_the_leader_that_rots_is_an_error_for_its_reader_and_another_node_leads()
    {
        await FillAsync();

        // After a clean restart every page is read from the file.
        for (var i = 0; i < 3; i++)
        {
            await InTime(Cluster.StopAsync(i));
        }

        for (var i = 0; i < 3; i++)
        {
            await Cluster.StartAsync(i);
        }

        var leader = await Cluster.LeaderAsync();
        var source = await leader.OpenDatabaseAsync("app");
        var path = Cluster.DatabasePath(Cluster.PositionOf(leader));
        await FlipAsync(path, (await File.ReadAllBytesAsync(path)).AsSpan().IndexOf(Encoding.UTF8.GetBytes($"row {Rows / 2} ")));
        var failure = await FailureAsync(() => ScalarAsync<long>(source, "SELECT sum(length(name)) FROM t"));
        Assert.That((failure.SqliteErrorCode, failure.IsTransient), Is.EqualTo((11, false)), failure.ToString());
        var next = await Cluster.LeaderAsync(node => node != leader);
        Assert.That(leader.Failure, Is.Null, "the node lives: it follows, and votes");
        Assert.That(Cluster.Log.Lines(RotEvent), Is.Not.Empty, "the rot is logged");
        await RunAsync(await next.OpenDatabaseAsync("app"), "INSERT INTO t VALUES (1000, 'written after the rot')");
        await AssertWholeAsync(Rows + 1, except: leader);
    }

    [Test]
    public async Task A_follower_whose_pages_differ_stops_and_names_the_database_while_the_others_go_on()
    {
        await FillAsync();
        var follower = await Cluster.FollowerAsync();
        await TestCluster.OnLoopAsync(follower, context =>
        {
            // As an entry that was applied wrongly would: another page, and a database checksum that nobody else has. Page 2 is the root
            // of the table: an insert at the end does not write it, which would put the difference right.
            var pages = context.Databases.FindByName("app")!.Pages;
            return pages.Apply([2], new byte[4096], pages.State.PageCount, 0);
        });
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "INSERT INTO t VALUES (1000, 'found out')");
        await EventuallyAsync(() => follower.Failure is not null, "the node stops");
        Assert.That(follower.Failure!.Message, Does.Contain(Cluster.DatabasePath(Cluster.PositionOf(follower))).And.Contain("do not match"));
        await RunAsync(source, "INSERT INTO t VALUES (1001, 'the others go on')");
        await AssertWholeAsync(Rows + 2, except: follower);
    }

    private async Task FillAsync()
    {
        await Cluster.FoundAsync(3);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
        for (var i = 0; i < Rows; i++)
        {
            await RunAsync(source, $"INSERT INTO t VALUES ({i}, 'row {i} {new string('x', 500)}')");
        }

        await Cluster.CaughtUpAsync();
    }

    private async Task AssertWholeAsync(int rows, DqliteNode? except = null)
    {
        foreach (var node in Cluster.Running.Where(node => node != except))
        {
            Assert.That(node.Failure, Is.Null);
            var source = await node.OpenDatabaseAsync("app");
            Assert.That(await ScalarAsync<long>(source, "SELECT count(*) FROM t WHERE length(name) > 0"), Is.EqualTo(rows));
            Assert.That(await ScalarAsync<string>(source, "PRAGMA integrity_check"), Is.EqualTo("ok"));
        }
    }

    private static async Task FlipAsync(string path, long offset)
    {
        Assert.That(offset, Is.Positive);
        await using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        file.Position = offset;
        var value = file.ReadByte();
        file.Position = offset;
        file.WriteByte((byte)(value ^ 1));
    }
}
