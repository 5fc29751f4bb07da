using System.Collections.Concurrent;
using System.Globalization;
using Dqlite.Crash.Nodes;
using Dqlite.Crash.Processes;
using Dqlite.Net;
using Microsoft.Extensions.Logging;

namespace Dqlite.Crash.Calls;

/// <summary>The nodes of a scenario, all in this process, with limits so small that a few writes make them do everything. Disposing stops them politely.</summary>
internal sealed class ScenarioNodes(string directory, IReadOnlyList<string> addresses) : IAsyncDisposable
{
    /// <summary>Ends a wait for something that should have happened long ago.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly DqliteNode?[] _nodes = new DqliteNode?[addresses.Count];
    private readonly ConcurrentDictionary<(int Position, int Event), int> _events = new();
    private readonly Watch _watch = new();

    /// <summary>Ends the scenario when a node has stopped by itself.</summary>
    public bool EndsWithFailure { get; set; } = true;

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
    public Task AbortAsync(int position) => TakeAsync(position).AbortAsync().WaitAsync(Patience);

    public Task StopAsync(int position) => TakeAsync(position).StopAsync().WaitAsync(Patience);

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
        while (true)
        {
            var leader = await LeaderAsync();
            try
            {
                await Schema.TryPrepareAsync(leader, CancellationToken.None).WaitAsync(Patience);
                return;
            }
            catch (DqliteException exception)
            {
                // Each of its statements may be repeated.
                deadline.ThrowIfOver(exception);
            }

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
            if (_nodes[position] is not null)
            {
                await StopAsync(position);
            }
        }
    }

    private ScenarioEndedException? Failure() => Running.Where(node => node.Failure is not null)
        .Select(node => new ScenarioEndedException($"node {PositionOf(node) + 1} stopped: {node.Failure!.Message}", node.Failure)).FirstOrDefault();

    private DqliteNode TakeAsync(int position)
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
