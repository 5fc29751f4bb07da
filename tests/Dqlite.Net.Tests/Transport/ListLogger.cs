using Microsoft.Extensions.Logging;

namespace Dqlite.Net.Tests.Transport;

/// <summary>Keeps what is logged; tests wait for a line.</summary>
internal sealed class ListLogger : ILogger
{
    private readonly object gate = new();
    private readonly List<string> lines = [];

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (gate)
        {
            lines.Add($"{eventId.Id} {formatter(state, exception)}");
            Monitor.PulseAll(gate);
        }
    }

    public string[] Lines(int eventId)
    {
        lock (gate)
        {
            return [.. lines.Where(line => line.StartsWith($"{eventId} ", StringComparison.Ordinal))];
        }
    }

    public string Wait(int eventId)
    {
        var end = Environment.TickCount64 + 20_000;
        lock (gate)
        {
            while (true)
            {
                if (lines.Find(line => line.StartsWith($"{eventId} ", StringComparison.Ordinal)) is { } found)
                {
                    return found;
                }

                var leftMs = end - Environment.TickCount64;
                Assert.That(leftMs, Is.GreaterThan(0), $"Event {eventId} was not logged. What was: {string.Join("; ", lines)}");
                Monitor.Wait(gate, (int)leftMs);
            }
        }
    }
}
