using Microsoft.Extensions.Logging;

namespace Dqlite.Simulation.Cluster;

/// <summary>Prints what a node's own log says. Not an event of the run: its hash stays what it is.</summary>
internal sealed class SimLogger(SimNode node, Func<long> clock, Action<string> sink) : ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        sink($"{clock() / 1e9,10:0.000000} [{node.Number}] {formatter(state, exception)}");
}
