using System.Collections.Concurrent;
using System.Globalization;

namespace Dqlite.Net.Tests.Engine;

/// <summary>
/// Writers that insert tags, each of them until it is acknowledged, and follow the leader. A transient error promises that nothing happened,
/// so the same tag is inserted again: if that promise is broken, the tag is there twice.
/// </summary>
internal sealed class TagWriters(TestCluster cluster, int count)
{
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentQueue<string> _acknowledged = new();
    private readonly ConcurrentDictionary<DqliteNode, bool> _killed = new();
    private readonly ConcurrentQueue<string> _broken = new();
    private Task[] _writers = [];

    public int Acknowledged => _acknowledged.Count;

    /// <summary>What must not happen, and did: unknown outcomes on a node that lives, errors of other kinds.</summary>
    public IReadOnlyCollection<string> Broken => _broken;

    public int UnknownOnKilledNodes { get; private set; }

    public static async Task CreateTableAsync(DqliteDataSource source)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var command = new DqliteCommand("CREATE TABLE tags (id INTEGER PRIMARY KEY, tag TEXT NOT NULL)", connection);
        await command.ExecuteNonQueryAsync();
    }

    public void Start() => _writers = Enumerable.Range(0, count).Select(writer => Task.Run(() => WriteAsync(writer))).ToArray();

    /// <summary>From now on, outcomes on this node may be unknown.</summary>
    public void OnKill(DqliteNode node) => _killed[node] = true;

    /// <summary>Waits until so many more tags are acknowledged.</summary>
    public Task ProgressAsync(int more)
    {
        var goal = Acknowledged + more;
        return TestCluster.EventuallyAsync(() => Task.FromResult(Acknowledged >= goal || !_broken.IsEmpty), $"{more} more tags are acknowledged");
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_writers).WaitAsync(TimeSpan.FromSeconds(90));
    }

    /// <summary>Every acknowledged tag is there once, none is there twice, on every node.</summary>
    public async Task CheckAsync(string database = "app")
    {
        Assert.That(_broken, Is.Empty);
        Assert.That(_acknowledged.Distinct(StringComparer.Ordinal).Count(), Is.EqualTo(_acknowledged.Count), "the writers' own tags are unique");
        foreach (var node in cluster.Running)
        {
            var source = await node.OpenDatabaseAsync(database);
            await using var connection = await source.OpenConnectionAsync();
            await using var command = new DqliteCommand("SELECT tag FROM tags", connection);
            await using var reader = await command.ExecuteReaderAsync();
            var found = new List<string>();
            while (await reader.ReadAsync())
            {
                found.Add(reader.GetString(0));
            }

            var lost = _acknowledged.Except(found, StringComparer.Ordinal).ToArray();
            var twice = found.GroupBy(tag => tag, StringComparer.Ordinal).Where(group => group.Count() > 1).Select(group => group.Key).ToArray();
            Assert.Multiple(() =>
            {
                Assert.That(lost, Is.Empty, $"acknowledged tags are lost on node {node.Id}");
                Assert.That(twice, Is.Empty, $"tags are there twice on node {node.Id}");
            });
        }
    }

    private async Task WriteAsync(int writer)
    {
        for (var i = 0; !_stop.IsCancellationRequested; i++)
        {
            var tag = string.Create(CultureInfo.InvariantCulture, $"{writer}-{i}");
            while (!await TryWriteAsync(tag))
            {
                if (!_broken.IsEmpty)
                {
                    return;
                }

                await Task.Delay(2);
            }

            _acknowledged.Enqueue(tag);
        }
    }

    /// <summary>False: without effect.</summary>
    private async Task<bool> TryWriteAsync(string tag)
    {
        var node = cluster.Running.FirstOrDefault(candidate => candidate.IsLeader);
        if (node is null)
        {
            return false;
        }

        try
        {
            var source = await node.OpenDatabaseAsync("app");
            await using var connection = await source.OpenConnectionAsync();
            await using var command = new DqliteCommand("INSERT INTO tags (tag) VALUES ($tag)", connection);
            command.Parameters.AddWithValue("$tag", tag);
            await command.ExecuteNonQueryAsync();
            return true;
        }
        catch (DqliteUnknownOutcomeException exception)
        {
            if (!_killed.ContainsKey(node))
            {
                _broken.Enqueue($"Tag {tag} has an unknown outcome on node {node.Id}, which lives: {exception}");
                return false;
            }

            UnknownOnKilledNodes++;
            return await ResolveAsync(tag, exception.CommitId);
        }
        catch (DqliteException exception) when (exception.IsTransient)
        {
            return false;
        }
        catch (ObjectDisposedException) when (_killed.ContainsKey(node))
        {
            return false;
        }
        catch (Exception exception)
        {
            _broken.Enqueue($"Tag {tag} on node {node.Id}: {exception}");
            return false;
        }
    }

    private async Task<bool> ResolveAsync(string tag, CommitId? commit)
    {
        if (commit is not { } id)
        {
            _broken.Enqueue($"Tag {tag} has an unknown outcome without a commit id.");
            return false;
        }

        var outcome = CommitOutcome.Undecided;
        await TestCluster.EventuallyAsync(
            async () =>
            {
                try
                {
                    outcome = await (await cluster.OpenOnLeaderAsync(id.Database)).GetOutcomeAsync(id);
                }
                catch (Exception exception) when (exception is DqliteException { IsTransient: true } or ObjectDisposedException)
                {
                    return false;
                }

                return outcome != CommitOutcome.Undecided;
            },
            $"commit {id} is decided");
        return outcome == CommitOutcome.Committed;
    }
}
