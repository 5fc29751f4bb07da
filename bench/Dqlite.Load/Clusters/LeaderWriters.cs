using System.Diagnostics;
using Dqlite.Load.Operations;
using Dqlite.Net;

namespace Dqlite.Load.Clusters;

/// <summary>Writers that work whenever their node leads, and pause while it does not.</summary>
internal sealed class LeaderWriters : IAsyncDisposable
{
    private const string Database = "failover";
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(1);
    private readonly CancellationTokenSource _stop = new();
    private readonly DqliteNode _node;
    private readonly int _count;
    private readonly Task _run;
    private long _firstWriteAt;

    public LeaderWriters(DqliteNode node, int count)
    {
        _node = node;
        _count = count;
        _run = Task.Run(RunAsync);
    }

    /// <summary>When the first write was acknowledged since the node leads; 0 before.</summary>
    public long FirstWriteAt => Interlocked.Read(ref _firstWriteAt);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _run;
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            if (_node.IsLeader)
            {
                await Task.WhenAll(Enumerable.Range(0, _count).Select(_ => WriteAsync()));
                Interlocked.Exchange(ref _firstWriteAt, 0);
            }

            await Task.Delay(LookInterval);
        }
    }

    private async Task WriteAsync()
    {
        try
        {
            await using var connection = await (await _node.OpenDatabaseAsync(Database)).OpenConnectionAsync();
            await connection.RunAsync("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, value NOT NULL)");
            using var insert = new InsertOperation(connection, Values.Texts(100, 0));
            while (_node.IsLeader && !_stop.IsCancellationRequested)
            {
                await insert.RunAsync();
                Interlocked.CompareExchange(ref _firstWriteAt, Stopwatch.GetTimestamp(), 0);
            }
        }
        catch (Exception exception) when (exception is DqliteException { IsTransient: true } or DqliteUnknownOutcomeException)
        {
            // Leadership is lost: the next leader's writers go on.
        }
    }
}
