using System.Globalization;
using Dqlite.Crash.Ledgers;
using Dqlite.Crash.Nodes;
using Dqlite.Net;
using Quickstart;

namespace Dqlite.Crash.Calls;

/// <summary>
/// A script in which nodes do everything that touches a disk, in well under a second:
/// <code>
///   one node      open, commit, segments, checkpoint, compaction, abrupt end, reopen, commit, polite stop, reopen
///   three nodes   the same, and a follower that was away long enough to need a snapshot, and a leader that hands over
/// </code>
/// </summary>
/// <param name="nodes">Those of the scenario.</param>
/// <param name="prefix">Of the tags of its rows.</param>
internal sealed class Scenario(ScenarioNodes nodes, string prefix)
{
    private const int SmallWrites = 6;
    private const int BlobBytes = 100_000;

    // As docs/HACKING.md lists them.
    private const int CompactedEvent = 15;
    private const int InstalledEvent = 11;

    private int _sequence;

    /// <summary>Plays it.</summary>
    /// <param name="hook">Hears of the steps.</param>
    /// <exception cref="ScenarioEndedException">A node could not go on.</exception>
    public async Task PlayAsync(CallHook hook)
    {
        await nodes.StartAllAsync();
        await nodes.PrepareAsync();
        hook.Step = ScenarioStep.Work;
        await WriteAsync(SmallWrites);
        if (nodes.Count == 1)
        {
            await GrowAsync();
            await nodes.AbortAsync(0);
        }
        else
        {
            await LeaveOneBehindAsync();
        }

        hook.Step = ScenarioStep.Reopen;
        await ReopenAsync();
        await WriteAsync(SmallWrites);
        hook.Step = ScenarioStep.Stop;
        await nodes.StopAsync(nodes.PositionOf(await nodes.LeaderAsync()));
    }

    /// <summary>Writes one row, whatever becomes of attempts before: each has a tag of its own.</summary>
    public async Task WriteOneAsync(bool withBlob)
    {
        var deadline = new Deadline(ScenarioNodes.Patience, "a write succeeds");
        while (true)
        {
            nodes.ThrowIfFailed();
            var leader = await nodes.LeaderAsync();
            var tag = string.Create(CultureInfo.InvariantCulture, $"{prefix}{++_sequence}");
            ChildReport.Tag(TagState.Intended, tag);
            var result = await nodes.UnlessFailedAsync(InsertAsync(leader, tag, withBlob));
            ChildReport.Tag(result.State, tag);
            if (result.State != TagState.Failed)
            {
                return;
            }

            deadline.ThrowIfOver(result.Error);
            await Task.Delay(1);
        }
    }

    private static async Task<InsertResult> InsertAsync(DqliteNode leader, string tag, bool withBlob)
    {
        try
        {
            var source = await leader.OpenDatabaseAsync(Facts.Database);
            return await (withBlob ? RowInsert.RunWithBlobAsync(source, tag, BlobBytes) : RowInsert.RunAsync(source, tag, "a row"));
        }
        catch (DqliteException exception)
        {
            return new InsertResult(TagState.Failed, exception); // the database could not be opened
        }
    }

    private async Task WriteAsync(int rows)
    {
        for (var i = 0; i < rows; i++)
        {
            await WriteOneAsync(withBlob: false);
        }
    }

    /// <summary>Writes until the leader has cut its log.</summary>
    private async Task GrowAsync()
    {
        var leader = nodes.PositionOf(await nodes.LeaderAsync());
        var before = nodes.CountOf(leader, CompactedEvent);
        while (nodes.CountOf(leader, CompactedEvent) == before)
        {
            await WriteOneAsync(withBlob: true);
        }
    }

    private async Task LeaveOneBehindAsync()
    {
        var leader = await nodes.LeaderAsync();
        var away = (nodes.PositionOf(leader) + 1) % nodes.Count;
        await nodes.AbortAsync(away);
        await GrowAsync();
        var before = nodes.CountOf(away, InstalledEvent);
        await nodes.StartAsync(away);
        await nodes.LoggedAsync(away, InstalledEvent, before);
        await WriteAsync(1);
        for (var position = 0; position < nodes.Count; position++)
        {
            await nodes.AbortAsync(position);
        }
    }

    private async Task ReopenAsync()
    {
        await nodes.StartAllAsync();
        await nodes.LeaderAsync();
    }
}
