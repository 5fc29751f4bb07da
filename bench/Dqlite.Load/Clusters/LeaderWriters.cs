using System.Diagnostics;
using Dqlite.Load.Operations;
using Dqlite.Net;

namespace Dqlite.Load.Clusters;

/// <summary>Writers that work whenever their node leads, and pause while it does not.</summary>
internal sealed class LeaderWriters : IAsyncDisposable
{
    private const string Database = "failover";
    private static readonly object Value = Values.Texts(100, 0)[0];
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(1);
    private readonly CancellationTokenSource _stop = new();
    private readonly WriteLedger _ledger = new();
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

    /// <summary>See <see cref="WriteLedger.CountAfter"/>.</summary>
    public int CountAfter(long moment) => _ledger.CountAfter(moment);

    /// <summary>Ends the writers, and compares with the database what they were told, as a read that is linearizable has it.</summary>
    /// <returns>How many rows were acknowledged.</returns>
    /// <exception cref="MemberException">A row was lost, was repeated, or appeared after an error that excludes it.</exception>
    public async Task<int> VerifyAsync()
    {
        await StopAsync();
        await using var connection = await (await _node.OpenDatabaseAsync(Database)).OpenConnectionAsync();
        return await _ledger.VerifyAsync(connection);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _run;
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
        var writer = _ledger.Add(_node.Id);
        try
        {
            await using var connection = await (await _node.OpenDatabaseAsync(Database)).OpenConnectionAsync();
            await connection.RunAsync(WriteLedger.CreateTable);
            await using var insert = connection.Prepare("INSERT INTO t(writer, number, value) VALUES ($p0, $p1, $p2)", writer.Name, 0, Value);
            while (_node.IsLeader && !_stop.IsCancellationRequested)
            {
                insert.Parameters[1].Value = writer.Acknowledged;
                await insert.ExecuteNonQueryAsync();
                writer.Acknowledge();
                Interlocked.CompareExchange(ref _firstWriteAt, Stopwatch.GetTimestamp(), 0);
            }
        }
        catch (DqliteException exception) when (exception.IsTransient)
        {
            // Leadership is lost, and the row is not there: the next leader's writers go on.
        }
        catch (DqliteUnknownOutcomeException)
        {
            // The same, but the row may be there.
            writer.EndUnknown();
        }
    }
}
