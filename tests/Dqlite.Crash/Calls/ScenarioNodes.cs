using System.Collections.Concurrent;
using System.Globalization;
using Dqlite.Crash.Nodes;
using Dqlite.Crash.Processes;
using Dqlite.Net;
using Microsoft.Extensions.Logging;

namespace Dqlite.Crash.Calls;

/// <summary>The nodes of a scenario, all in this process, with limits so small that a few writes make them do everything. Disposing stops them politely and waits for all that was begun.</summary>
internal sealed class ScenarioNodes(string directory, IReadOnlyList<string> addresses) : IAsyncDisposable
{
    /// <summary>Ends a wait for something that should have happened long ago.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly DqliteNode?[] _nodes = new DqliteNode?[addresses.Count];
    private readonly ConcurrentDictionary<(int Position, int Event), int> _events = new();
    private readonly Watch _watch = new();
    private readonly List<Task> _abandoned = [];

    /// <summary>Whether the scenario ends when a node has stopped by itself.</summary>
    public bool EndsWithFailure { get; set; } = true;

    /// <summary>Whether the cluster is founded and has its tables.</summary>
    public bool IsPrepared { get; private set; }

    public int Count => _nodes.Length;

    public IEnumerable<DqliteNode> Running => _nodes.OfType<DqliteNode>();

    public int PositionOf(DqliteNode node) => Array.IndexOf(_nodes, node);

    public async Task StartAsync(int position)
    {
        try
        {
            _nodes[position] = await DqliteNode.StartAsync(OptionsOf(position)).WaitAsync(Patience);
        }
        catch (DqliteException exception)
        {
            throw new ScenarioEndedException($"node {position + 1} refused to start: {exception.Message}", exception);
        }
    }

    public async Task StartAllAsync()
    {
        for (var position = 0; position < Count; position++)
        {
            await StartAsync(position);
        }
    }

    /// <summary>As a kill of its process would.</summary>
    public Task AbortAsync(int position) => Take(position).AbortAsync().WaitAsync(Patience);

    public async Task StopAsync(int position)
    {
        try
        {
            await Take(position).StopAsync().WaitAsync(Patience);
        }
        catch (DqliteException exception)
        {
            throw new ScenarioEndedException($"node {position + 1} stopped with an error: {exception.Message}", exception);
        }
    }

    /// <summary>Waits for a running node that leads and takes writes.</summary>
    public async Task<DqliteNode> LeaderAsync()
    {
        DqliteNode? leader = null;
        await EventuallyAsync(() => (leader = Running.FirstOrDefault(node => node.IsLeader)) is not null, "a node leads");
        return leader!;
    }

    /// <summary>Makes the tables, unless they exist.</summary>
    public async Task PrepareAsync()
    {
        var deadline = new Deadline(Patience, "the tables are made");
        DqliteException? failure = null;
        while (true)
        {
            var leader = await LeaderAsync();
            try
            {
                if (await UnlessFailedAsync(Schema.TryPrepareAsync(leader, CancellationToken.None)) is not null)
                {
                    IsPrepared = true;
                    return;
                }
            }
            catch (DqliteException exception)
            {
                // Each of its statements may be repeated.
                failure = exception;
            }

            deadline.ThrowIfOver(failure);
            await Task.Delay(1);
        }
    }

    /// <summary>How often a node has logged an event since it exists.</summary>
    public int CountOf(int position, int logEvent) => _events.GetValueOrDefault((position, logEvent));

    /// <summary>Waits until a node has logged an event more often than before.</summary>
    public async Task LoggedAsync(int position, int logEvent, int before) =>
        await _watch.UntilAsync(() => CountOf(position, logEvent) > before || Failure() is not null, Patience, $"node {position + 1} logs event {logEvent}", CancellationToken.None);

    /// <summary>Waits for a condition that no event announces.</summary>
    public async Task EventuallyAsync(Func<bool> condition, string what)
    {
        var deadline = new Deadline(Patience, what);
        while (!condition())
        {
            ThrowIfFailed();
            deadline.ThrowIfOver();
            await Task.Delay(1);
        }
    }

    /// <summary>Waits for work that may need a majority, unless a node stops by itself: then perhaps nobody does it.</summary>
    public async Task<T> UnlessFailedAsync<T>(Task<T> work)
    {
        using var done = new CancellationTokenSource();
        var failure = _watch.UntilAsync(() => EndsWithFailure && Failure() is not null, Patience, "a write ends", done.Token);
        if (await Task.WhenAny(work, failure) == failure)
        {
            _abandoned.Add(work);
            await failure;
            ThrowIfFailed();
        }

        await done.CancelAsync();
        return await work;
    }

    /// <summary>Ends the scenario when a node has stopped by itself.</summary>
    public void ThrowIfFailed()
    {
        if (EndsWithFailure && Failure() is { } failure)
        {
            throw failure;
        }
    }

    public async ValueTask DisposeAsync()
    {
        for (var position = 0; position < Count; position++)
        {
            try
            {
                await (_nodes[position] is null ? Task.CompletedTask : StopAsync(position));
            }
            catch (ScenarioEndedException exception)
            {
                exception.Say();
            }
        }

        foreach (var work in _abandoned)
        {
            await Task.WhenAny(work).WaitAsync(Patience);
            if (work.Exception?.InnerException is not (null or DqliteException))
            {
                await work;
            }
        }
    }

    private ScenarioEndedException? Failure() => Running.Where(node => node.Failure is not null)
        .Select(node => new ScenarioEndedException($"node {PositionOf(node) + 1} stopped: {node.Failure!.Message}", node.Failure)).FirstOrDefault();

    private DqliteNode Take(int position)
    {
        var node = _nodes[position]!;
        _nodes[position] = null;
        return node;
    }

    private DqliteNodeOptions OptionsOf(int position) => new()
    {
        DataDirectory = Path.Combine(directory, (position + 1).ToString(CultureInfo.InvariantCulture)),
        Address = Count == 1 ? "" : addresses[position],
        Members = Count == 1 ? [] : addresses,
        LoggerFactory = new EventCounter(this, position),
        TickInterval = TimeSpan.FromMilliseconds(5),
        HeartbeatInterval = TimeSpan.FromMilliseconds(20),
        ElectionTimeout = TimeSpan.FromMilliseconds(150),
        SegmentBytes = 256 << 10,
        CheckpointLogBytes = 128 << 10,
        RetainedLogBytes = 0,
    };

    private void OnLogged(int position, int logEvent)
    {
        _events.AddOrUpdate((position, logEvent), 1, static (_, count) => count + 1);
        _watch.Pulse();
    }

    private sealed class EventCounter(ScenarioNodes nodes, int position) : ILoggerFactory, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            nodes.OnLogged(position, eventId.Id);

        public void Dispose()
        {
        }
    }
}
