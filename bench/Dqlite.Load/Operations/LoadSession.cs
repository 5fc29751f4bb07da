using System.Data.Common;
using System.Diagnostics;

namespace Dqlite.Load.Operations;

/// <summary>The clients of one point: connected, prepared and warm when it has started.</summary>
internal sealed class LoadSession : IAsyncDisposable
{
    private static readonly TimeSpan MaxWarmUp = TimeSpan.FromSeconds(1);

    private readonly IDatabaseUnderLoad _database;
    private readonly LoadSpec _spec;
    private readonly List<DbConnection> _connections = [];
    private readonly List<IOperation> _operations = [];

    private LoadSession(IDatabaseUnderLoad database, LoadSpec spec)
    {
        _database = database;
        _spec = spec;
    }

    /// <summary>The session owns the database from here on.</summary>
    public static async Task<LoadSession> StartAsync(IDatabaseUnderLoad database, LoadSpec spec)
    {
        var session = new LoadSession(database, spec);
        try
        {
            await session.PrepareAsync();
            return session;
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    public Task<LoadResult> MeasureAsync() => RunAsync(TimeSpan.FromSeconds(_spec.Seconds));

    public async ValueTask DisposeAsync()
    {
        _operations.ForEach(operation => operation.Dispose());
        foreach (var connection in _connections)
        {
            await connection.DisposeAsync();
        }

        await _database.DisposeAsync();
    }

    private static async Task<Latencies> RunClientAsync(IOperation operation, long until)
    {
        var latencies = new Latencies();
        for (var before = Stopwatch.GetTimestamp(); before < until;)
        {
            await operation.RunAsync();
            var after = Stopwatch.GetTimestamp();
            latencies.Add(after - before);
            before = after;
        }

        return latencies;
    }

    private async Task PrepareAsync()
    {
        for (var client = 0; client < _spec.Clients; client++)
        {
            var connection = await _database.OpenAsync();
            _connections.Add(connection);
            _operations.Add(OperationFactory.Create(connection, _spec, client));
        }

        var fifth = TimeSpan.FromSeconds(_spec.Seconds / 5);
        await RunAsync(fifth < MaxWarmUp ? fifth : MaxWarmUp);
    }

    private async Task<LoadResult> RunAsync(TimeSpan duration)
    {
        var began = Stopwatch.GetTimestamp();
        var until = began + (long)(duration.TotalSeconds * Stopwatch.Frequency);
        var ofClients = await Task.WhenAll(_operations.Select(operation => StartClient(operation, until)));
        var elapsed = Stopwatch.GetElapsedTime(began);
        var all = new Latencies();
        Array.ForEach(ofClients, all.Add);
        return new LoadResult(all, elapsed);
    }

    /// <summary>A client whose awaits do not suspend, since it blocks or only reads, has a thread of its own and stays on it: the pool has too few for many such.</summary>
    private Task<Latencies> StartClient(IOperation operation, long until) => _database.Blocks || _spec.OnlyReads
        ? Task.Factory.StartNew(() => RunClientAsync(operation, until), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap()
        : Task.Run(() => RunClientAsync(operation, until));
}
