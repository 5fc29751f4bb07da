using System.Diagnostics;
using Dqlite.Load.Operations;
using Dqlite.Net;

namespace Dqlite.Load.Clusters;

/// <summary>A large transaction on the node that leads, with a small one in another database every so often.</summary>
internal static class LargeTransactionRun
{
    private const string BesideName = "beside";
    private static readonly TimeSpan BesideInterval = TimeSpan.FromMilliseconds(20);

    public static async Task<LargeTransactionResult> RunAsync(DqliteNode node, LargeTransactionRequest request)
    {
        await using (var warm = await node.OpenDatabaseAsync("warm"))
        {
            await using var connection = await warm.OpenConnectionAsync();
            await request.Transaction.ToWarmUp().RunAsync(connection);
        }

        using var ended = new CancellationTokenSource();
        await using var beside = await node.OpenDatabaseAsync(BesideName);
        var source = await node.OpenDatabaseAsync(request.Database);
        var longest = LongestCommitAsync(beside, ended.Token);
        var began = Stopwatch.GetTimestamp();
        await using (var connection = await source.OpenConnectionAsync())
        {
            await request.Transaction.RunAsync(connection);
        }

        var seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        await ended.CancelAsync();
        var result = new LargeTransactionResult(seconds, await longest, node.Leader?.Term ?? 0);
        await source.DisposeAsync();
        return result;
    }

    private static async Task<double> LongestCommitAsync(DqliteDataSource source, CancellationToken ended)
    {
        var longest = TimeSpan.Zero;
        await using var connection = await source.OpenConnectionAsync(CancellationToken.None);
        await connection.RunAsync("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, value NOT NULL)");
        using var insert = new InsertOperation(connection, Values.Texts(100, 0));
        while (!ended.IsCancellationRequested)
        {
            var began = Stopwatch.GetTimestamp();
            await insert.RunAsync();
            var took = Stopwatch.GetElapsedTime(began);
            longest = took > longest ? took : longest;
            await Task.Delay(BesideInterval, CancellationToken.None);
        }

        return longest.TotalMilliseconds;
    }
}
