namespace Dqlite.Net.Data;

/// <summary>What a connection string or a data source says about connections.</summary>
internal sealed record ConnectionSettings
{
    /// <summary>How fresh reads must be.</summary>
    public ReadConsistency Consistency { get; init; } = ReadConsistency.Linearizable;

    /// <summary>For Bounded.</summary>
    public TimeSpan MaxStaleness { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Command timeout in seconds; 0: none.</summary>
    public int DefaultTimeoutSeconds { get; init; } = 30;

    /// <summary>Whether handles are reused.</summary>
    public bool Pooling { get; init; } = true;

    /// <summary>How many connections may be open at once.</summary>
    public int MaxPoolSize { get; init; } = 100;

    /// <summary>Null: as SQLite was built.</summary>
    public bool? ForeignKeys { get; init; }

    /// <summary>Whether triggers may fire themselves.</summary>
    public bool RecursiveTriggers { get; init; }

    /// <summary>Run for each new handle, over a connection that has it: functions and collations that are made here stay with the handle.</summary>
    public Action<DqliteConnection>? HandleInitializer { get; init; }

    /// <summary>These settings, with what a connection string says instead.</summary>
    /// <param name="builder">The connection string.</param>
    public ConnectionSettings With(DqliteConnectionStringBuilder builder) => this with
    {
        Consistency = builder.Consistency ?? Consistency,
        MaxStaleness = builder.MaxStaleness ?? MaxStaleness,
        DefaultTimeoutSeconds = builder.DefaultTimeout ?? DefaultTimeoutSeconds,
        Pooling = builder.Pooling ?? Pooling,
        MaxPoolSize = builder.MaxPoolSize ?? MaxPoolSize,
        ForeignKeys = builder.ForeignKeys ?? ForeignKeys,
        RecursiveTriggers = builder.RecursiveTriggers ?? RecursiveTriggers,
    };
}
