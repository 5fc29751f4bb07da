using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Dqlite.Net.Tests.Engine;

/// <summary>Keeps what the nodes of one test log.</summary>
internal sealed class TestLog
{
    private readonly ConcurrentQueue<(int Event, string Line)> _lines = new();

    public ILoggerFactory FactoryFor(string node) => new Factory(this, node);

    public IEnumerable<string> Lines(int eventId) => _lines.Where(line => line.Event == eventId).Select(line => line.Line);

    public void Print()
    {
        foreach (var (_, line) in _lines.TakeLast(400))
        {
            TestContext.Out.WriteLine(line);
        }
    }

    private void Add(string node, LogLevel level, EventId id, string text, Exception? exception) => _lines.Enqueue((id.Id,
        string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:HH:mm:ss.fff} {node} {level} {id.Id} {text}{(exception is null ? "" : Environment.NewLine + exception)}")));

    private sealed class Factory(TestLog log, string node) : ILoggerFactory
    {
        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public ILogger CreateLogger(string categoryName) => new Logger(log, node);

        public void Dispose()
        {
        }
    }

    private sealed class Logger(TestLog log, string node) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Debug;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            log.Add(node, logLevel, eventId, formatter(state, exception), exception);
    }
}
