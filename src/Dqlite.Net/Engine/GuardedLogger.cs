using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Dqlite.Net.Engine;

/// <summary>
/// A logger that never throws. Providers may (a full disk, a closed console), and the library logs where an exception would end the process: on its
/// own threads, in the middle of reporting another failure. What cannot be logged is lost: there is nobody left to tell.
/// </summary>
internal sealed class GuardedLogger(ILogger inner) : ILogger
{
    /// <summary>A guarded logger of a factory, or one that drops everything.</summary>
    public static ILogger Create(ILoggerFactory? factory, string category) => factory is null ? NullLogger.Instance : new GuardedLogger(factory.CreateLogger(category));

    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => inner.BeginScope(state);

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) => inner.IsEnabled(logLevel);

    /// <inheritdoc/>
    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        try
        {
            inner.Log(logLevel, eventId, state, exception, formatter);
        }
#pragma warning disable CA1031 // See the summary.
        catch (Exception)
#pragma warning restore CA1031
        {
        }
    }
}
