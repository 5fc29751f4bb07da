using System.Net;
using System.Net.Sockets;
using Dqlite.Net.Engine;
using Dqlite.Net.Transport;
using Microsoft.Data.Sqlite;

namespace Dqlite.Net.Tests.Engine;

/// <summary>What is wrong from outside is said clearly, and does no harm.</summary>
internal sealed class BadInputTests : EngineFixture
{
    [Test]
    public async Task A_directory_in_use_is_refused()
    {
        await Cluster.FoundAsync(1);
        Cluster.Reserve(1);
        var failure = await FailureAsync(() => DqliteNode.StartAsync(new DqliteNodeOptions { DataDirectory = Cluster.DirectoryOf(0) }));
        Assert.That(failure.Message, Does.Contain(Cluster.DirectoryOf(0)).And.Contain("use"));
        Assert.That(await ScalarAsync<long>(await Cluster.OpenOnLeaderAsync(), "SELECT 1"), Is.EqualTo(1), "the first node goes on");
    }

    [Test]
    public async Task A_directory_that_another_process_holds_is_refused()
    {
        Cluster.Reserve(1);
        Directory.CreateDirectory(Cluster.DirectoryOf(0));
        var path = Path.Combine(Cluster.DirectoryOf(0), "node.lock");
        await File.WriteAllTextAsync(path, "");
        using var holder = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("flock", [path, "sh", "-c", "echo held; read line"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        Assert.That(await InTime(holder.StandardOutput.ReadLineAsync()), Is.EqualTo("held"));
        try
        {
            var failure = await FailureAsync(() => Cluster.StartAsync(0));
            Assert.That(failure.Message, Does.Contain("use"));
        }
        finally
        {
            holder.StandardInput.Close();
            await InTime(holder.WaitForExitAsync());
        }

        await Cluster.StartAsync(0);
        await Cluster.LeaderAsync();
    }

    [Test]
    public async Task A_port_in_use_is_refused_and_leaves_the_directory_free()
    {
        Cluster.Reserve(1);
        using (var taken = new TcpListener(IPEndPoint.Parse(Cluster.Addresses[0])))
        {
            taken.Start();
            var failure = await FailureAsync(() => Cluster.StartAsync(0));
            Assert.That(failure.Message, Does.Contain(Cluster.Addresses[0]));
        }

        await Cluster.StartAsync(0);
        await Cluster.LeaderAsync();
    }

    [TestCase("garbage", "cannot be used")]
    [TestCase("appended", "cannot be used")]
    [TestCase("missing", "missing")]
    [TestCase("touched", "cannot be used")]
    [TestCase("-wal", "lies beside it")]
    [TestCase("-journal", "lies beside it")]
    public async Task A_database_file_that_was_changed_while_the_node_was_down_is_refused(string change, string said)
    {
        await Cluster.FoundAsync(1);
        await RunAsync(await Cluster.OpenOnLeaderAsync(), "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        await InTime(Cluster.StopAsync(0));
        var path = Cluster.DatabasePath(0);
        var content = await File.ReadAllBytesAsync(path);
        switch (change)
        {
            case "garbage":
                await File.WriteAllTextAsync(path, "This is no database.");
                break;
            case "appended":
                await File.AppendAllTextAsync(path, new string('x', 4096));
                break;
            case "missing":
                File.Delete(path);
                break;
            case "touched":
                content[5000] ^= 1;
                await File.WriteAllBytesAsync(path, content);
                break;
            default:
                await File.WriteAllTextAsync(path + change, "frames");
                break;
        }

        var failure = await FailureAsync(() => Cluster.StartAsync(0));
        Assert.That(failure.Message, Does.Contain(path).And.Contain(said).And.Contain("join"));

        // The remedy's first half: the file as it was.
        if (change.StartsWith('-'))
        {
            File.Delete(path + change);
            await Cluster.StartAsync(0);
            Assert.That(await ScalarAsync<long>(await Cluster.OpenOnLeaderAsync(), "SELECT count(*) FROM t"), Is.Zero);
        }
    }

    [Test]
    public async Task A_peer_that_speaks_something_else_or_is_of_another_cluster_does_no_harm()
    {
        await Cluster.FoundAsync(1);
        Cluster.Reserve(2);
        for (var i = 1; i <= 2; i++)
        {
            await Cluster.StartAsync(i, options => options with { Members = [Cluster.Addresses[1], Cluster.Addresses[2]] });
        }

        await EventuallyAsync(() => Cluster[1].IsLeader || Cluster[2].IsLeader, "the other cluster has a leader");
        foreach (var garbage in new[] { "GET / HTTP/1.1\r\n\r\n", new string('\xff', 5000) })
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPEndPoint.Parse(Cluster.Addresses[0]));
            await client.GetStream().WriteAsync(System.Text.Encoding.Latin1.GetBytes(garbage));
            var buffer = new byte[256];
            try
            {
                while (await InTime(client.GetStream().ReadAsync(buffer).AsTask()) > 0)
                {
                }
            }
            catch (IOException)
            {
                // Reset instead of closed.
            }
        }

        // Node 2 of the other cluster takes this node for its node 1.
        await TestCluster.OnLoopAsync(Cluster[2], context =>
        {
            context.Transport!.SetPeers([(new Dqlite.Raft.NodeId(1), Cluster.Addresses[0])]);
            return true;
        });
        await EventuallyAsync(() => Cluster.Log.Lines(13).Any(line => line.Contains("belongs to cluster", StringComparison.Ordinal)), "the other cluster is refused");
        await RunAsync(await Cluster[0].OpenDatabaseAsync("app"), "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        Assert.That(Cluster.Running.Select(node => node.Failure), Is.All.Null);
    }

    [TestCase(3, "127.0.0.1:9001")]
    [TestCase(4096, "nowhere")]
    public async Task A_stranger_cannot_have_something_committed_that_would_stop_every_node(int pageSize, string address)
    {
        await Cluster.FoundAsync(1);
        var source = await Cluster.OpenOnLeaderAsync();
        var incarnation = new string('a', 32);
        var request = pageSize == 3
            ? new LeaderRequest(LeaderOperation.CreateDatabase, "odd", pageSize)
            : new LeaderRequest(LeaderOperation.AddMember, Address: address, Incarnation: incarnation);
        var stranger = new Hello("", Dqlite.Raft.NodeId.None, incarnation, "", PeerPurpose.Rpc);
        var answer = await InTime(PeerClient.CallAsync(Cluster.Addresses[0], stranger, new NodeMessage(LeaderRequest.MessageKind, 1, request.Encode()),
            TimeSpan.FromSeconds(20), null, CancellationToken.None));
        Assert.That(LeaderReply.Decode(answer.Response.Body).Status, Is.EqualTo(LeaderStatus.Refused));
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        Assert.That(Cluster[0].Failure, Is.Null);
    }

    [TestCase("PRAGMA journal_mode=DELETE", 1, "always in WAL mode")]
    [TestCase("PRAGMA journal_mode=MEMORY", 1, "always in WAL mode")]
    [TestCase("PRAGMA journal_mode=OFF", 1, "always in WAL mode")]
    [TestCase("PRAGMA locking_mode=EXCLUSIVE", 1, "cannot be locked exclusively")]
    [TestCase("PRAGMA schema_version=77", 1, "schema_version of a replicated database cannot be set")]
    [TestCase("PRAGMA page_size=1024; VACUUM", 1, "page size of a replicated database is fixed")]
    [TestCase("PRAGMA wal_checkpoint(TRUNCATE)", 1, "checkpointed by its node")]
    [TestCase("PRAGMA encoding='UTF-16'", 1, "encoding of a replicated database is fixed")]
    [TestCase("VACUUM INTO '{0}/into.db'", 23, "Use DqliteDataSource.ExportAsync", 14, "unable to open database")]
    public async Task A_statement_that_would_break_replication_is_refused_with_a_reason(string sql, int code, string text, int? plainCode = null, string? plainText = null)
    {
        sql = string.Format(System.Globalization.CultureInfo.InvariantCulture, sql, Cluster.Root);
        await Cluster.FoundAsync(3);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        var failure = await FailureAsync(() => RunAsync(source, sql));
        Assert.That((failure.SqliteErrorCode, failure.IsTransient), Is.EqualTo((code, false)), failure.ToString());
        Assert.That(failure.Message, Does.Contain(text));
        using (var plain = new SqliteConnection(source.PlainConnectionString))
        {
            plain.Open();
            var other = Assert.Throws<SqliteException>(() => Execute(plain, sql))!;
            Assert.That(other.SqliteErrorCode, Is.EqualTo(plainCode ?? code), other.Message);
            Assert.That(other.Message, Does.Contain(plainText ?? text));
            Execute(plain, "INSERT INTO t DEFAULT VALUES");
        }

        await RunAsync(source, "INSERT INTO t DEFAULT VALUES");
        await Cluster.CaughtUpAsync();
        Assert.That(File.Exists(Path.Combine(Cluster.Root, "into.db")), Is.False);
        foreach (var node in Cluster.Running)
        {
            Assert.That(node.Failure, Is.Null);
            var there = await node.OpenDatabaseAsync("app");
            Assert.That(await ScalarAsync<long>(there, "SELECT count(*) FROM t"), Is.EqualTo(2));
            Assert.That(await ScalarAsync<string>(there, "PRAGMA integrity_check"), Is.EqualTo("ok"));
            Assert.That(await ScalarAsync<long>(there, "PRAGMA page_size"), Is.EqualTo(4096));
        }
    }

    [Test]
    public async Task One_transaction_cannot_write_two_replicated_databases()
    {
        await Cluster.FoundAsync(1);
        var source = await Cluster.OpenOnLeaderAsync();
        var other = await Cluster.OpenOnLeaderAsync("other");
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        await RunAsync(other, "CREATE TABLE o (id INTEGER PRIMARY KEY)");
        using (var plain = new SqliteConnection(source.PlainConnectionString))
        {
            plain.Open();
            Execute(plain, $"ATTACH '{Cluster.DatabasePath(0, "other")}' AS other");
            Execute(plain, "BEGIN; INSERT INTO t VALUES (1)");
            var failure = Assert.Throws<SqliteException>(() => Execute(plain, "INSERT INTO other.o VALUES (1)"))!;
            Assert.That(failure.SqliteExtendedErrorCode, Is.EqualTo(11786));
        }

        Assert.That(await ScalarAsync<long>(source, "SELECT count(*) FROM t"), Is.Zero);
        Assert.That(await ScalarAsync<long>(other, "SELECT count(*) FROM o"), Is.Zero);
        await RunAsync(source, "INSERT INTO t VALUES (2)");
    }

    [TestCase("Data Source={0}/typo.db;Vfs=dqlite")]
    [TestCase("Data Source=typo.db;Vfs=dqlite")]
    public async Task A_path_that_is_no_database_of_a_node_cannot_be_opened_with_the_VFS(string connectionString)
    {
        await Cluster.FoundAsync(1);
        using var plain = new SqliteConnection(string.Format(System.Globalization.CultureInfo.InvariantCulture, connectionString, Cluster.Root));
        var failure = Assert.Throws<SqliteException>(() =>
        {
            plain.Open();
            Execute(plain, "CREATE TABLE t (id INTEGER)");
        })!;
        Assert.That(failure.SqliteErrorCode, Is.EqualTo(14));
        Assert.That(File.Exists(Path.Combine(Cluster.Root, "typo.db")), Is.False);
    }

    [Test]
    public async Task An_immutable_plain_connection_is_refused_before_it_reads_stale_pages()
    {
        await Cluster.FoundAsync(1);
        var source = await Cluster.OpenOnLeaderAsync();
        await RunAsync(source, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        await RunAsync(source, "INSERT INTO t VALUES (1)");
        using var plain = new SqliteConnection($"Data Source=file:{Cluster.DatabasePath(0)}?immutable=1&vfs=dqlite;Pooling=False");
        Assert.That(plain.Open, Throws.InstanceOf<SqliteException>().With.Property(nameof(SqliteException.SqliteErrorCode)).EqualTo(14));
    }

    [Test]
    public void Settings_that_cannot_work_are_argument_errors()
    {
        var options = new DqliteNodeOptions { DataDirectory = Cluster.Root };
        Assert.Multiple(() =>
        {
            Assert.That(() => DqliteNode.StartAsync(options with { DataDirectory = " " }), Throws.ArgumentException);
            Assert.That(() => DqliteNode.StartAsync(options with { Members = ["127.0.0.1:1", "127.0.0.1:2"] }), Throws.ArgumentException.With.Message.Contains("Members"));
            Assert.That(() => DqliteNode.StartAsync(options with { Address = "127.0.0.1:1", Members = ["127.0.0.1:1", "127.0.0.1:1"] }), Throws.ArgumentException);
            Assert.That(() => DqliteNode.StartAsync(options with { LeaseDuration = TimeSpan.FromSeconds(1) }), Throws.ArgumentException);
            Assert.That(() => DqliteNode.StartAsync(options with { Join = "127.0.0.1:1" }), Throws.ArgumentException);
            Assert.That(() => DqliteNode.StartAsync(options with { SegmentBytes = 1 }), Throws.ArgumentException);
        });
    }

    private static void Execute(SqliteConnection plain, string sql)
    {
        using var command = plain.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
