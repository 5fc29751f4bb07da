using System.Data.Common;
using System.Diagnostics;
using Dqlite.Load.Operations;
using Dqlite.Net;

namespace Dqlite.Load.Soak;

/// <summary>
/// One client: a new row, a change of one, the end of the oldest, each a commit of its own, so that its share of the table keeps its length.
/// It goes on, on whatever node leads, when leadership was lost.
/// </summary>
internal sealed class SoakClient(Func<Task<DqliteDataSource>> find, int number)
{
    private const int Rows = 500;
    private const long IdsPerClient = 1_000_000_000_000;
    private readonly Lock _gate = new();
    private readonly object[] _values = Values.Texts(400, number);
    private readonly Random _random = new(number);
    private Latencies _latencies = new();

    /// <summary>Since the last call. Any thread.</summary>
    public Latencies Take()
    {
        lock (_gate)
        {
            var taken = _latencies;
            _latencies = new Latencies();
            return taken;
        }
    }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var next = number * IdsPerClient;
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await using var connection = await (await find()).OpenConnectionAsync(CancellationToken.None);
                next = await LoadAsync(connection, next, cancellationToken);
            }
            catch (Exception exception) when (exception is DqliteException { IsTransient: true } or DqliteUnknownOutcomeException)
            {
                // Leadership is lost: the same client goes on where the next leader is. What is undecided has an id that is not used again.
                next += Rows;
            }
        }
    }

    private async Task<long> LoadAsync(DqliteConnection connection, long next, CancellationToken cancellationToken)
    {
        await using var insert = connection.Prepare("INSERT INTO soak(id, value) VALUES ($p0, $p1)", 0L, "");
        await using var update = connection.Prepare("UPDATE soak SET value = $p1 WHERE id = $p0", 0L, "");
        await using var delete = connection.Prepare("DELETE FROM soak WHERE id BETWEEN $p1 AND $p0", 0L, 0L);
        for (; !cancellationToken.IsCancellationRequested; next++)
        {
            await RunAsync(insert, next, _values[next % _values.Length]);
            await RunAsync(update, next - _random.Next(Rows), _values[(next + 1) % _values.Length]);
            await RunAsync(delete, next - Rows, number * IdsPerClient);
        }

        return next;
    }

    private async Task RunAsync(DbCommand command, long id, object second)
    {
        command.Parameters[0].Value = id;
        command.Parameters[1].Value = second;
        var before = Stopwatch.GetTimestamp();
        await command.ExecuteNonQueryAsync(CancellationToken.None);
        var elapsed = Stopwatch.GetTimestamp() - before;
        lock (_gate)
        {
            _latencies.Add(elapsed);
        }
    }
}
