using System.Collections;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Dqlite.Net;

/// <summary>
/// Reads and writes connection strings: <c>Data Source=app;Node=/var/lib/app;Consistency=Session</c>. A keyword that is not known is an
/// <see cref="ArgumentException"/> that names it.
/// </summary>
public sealed class DqliteConnectionStringBuilder : DbConnectionStringBuilder
{
    private const string DataSourceKeyword = "Data Source";
    private const string NodeKeyword = "Node";
    private const string ConsistencyKeyword = "Consistency";
    private const string MaxStalenessKeyword = "Max Staleness";
    private const string DefaultTimeoutKeyword = "Default Timeout";
    private const string PoolingKeyword = "Pooling";
    private const string MaxPoolSizeKeyword = "Max Pool Size";
    private const string ForeignKeysKeyword = "Foreign Keys";
    private const string RecursiveTriggersKeyword = "Recursive Triggers";

    private static readonly string[] Keywords =
    [
        DataSourceKeyword, NodeKeyword, ConsistencyKeyword, MaxStalenessKeyword, DefaultTimeoutKeyword, PoolingKeyword, MaxPoolSizeKeyword,
        ForeignKeysKeyword, RecursiveTriggersKeyword,
    ];

    private static readonly Dictionary<string, string> Synonyms = new(StringComparer.OrdinalIgnoreCase)
    {
        ["DataSource"] = DataSourceKeyword,
        ["Database"] = DataSourceKeyword,
        ["Filename"] = DataSourceKeyword,
        ["Command Timeout"] = DefaultTimeoutKeyword,
        ["MaxStaleness"] = MaxStalenessKeyword,
        ["Maximum Pool Size"] = MaxPoolSizeKeyword,
    };

    /// <summary>Makes an empty one.</summary>
    public DqliteConnectionStringBuilder()
    {
    }

    /// <summary>Reads a connection string.</summary>
    /// <param name="connectionString">The text.</param>
    /// <exception cref="ArgumentException">It has an unknown keyword or a value of the wrong form.</exception>
    public DqliteConnectionStringBuilder(string? connectionString) => ConnectionString = connectionString;

    /// <summary>Name of the database. <c>Data Source</c></summary>
    [AllowNull]
    public string DataSource
    {
        get => Text(DataSourceKeyword);
        set => this[DataSourceKeyword] = value;
    }

    /// <summary>Data directory of the node in this process; may be left out when one node alone has the database. <c>Node</c></summary>
    [AllowNull]
    public string Node
    {
        get => Text(NodeKeyword);
        set => this[NodeKeyword] = value;
    }

    /// <summary>How fresh reads must be; null: as the data source says. <c>Consistency</c></summary>
    public ReadConsistency? Consistency
    {
        get => Value(ConsistencyKeyword) is { } text ? ParseConsistency(text) : null;
        set => this[ConsistencyKeyword] = value?.ToString();
    }

    /// <summary>For <see cref="ReadConsistency.Bounded"/>: how far behind the leader a read may be; null: as the data source says. <c>Max Staleness</c></summary>
    public TimeSpan? MaxStaleness
    {
        get => Value(MaxStalenessKeyword) is { } text ? ParseStaleness(text) : null;
        set => this[MaxStalenessKeyword] = value?.ToString("c", CultureInfo.InvariantCulture);
    }

    /// <summary>Command timeout in seconds, 0 for none; null: as the data source says (30). <c>Default Timeout</c></summary>
    public int? DefaultTimeout
    {
        get => Value(DefaultTimeoutKeyword) is { } text ? ParseCount(DefaultTimeoutKeyword, text) : null;
        set => this[DefaultTimeoutKeyword] = value?.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>Whether handles are reused; null: as the data source says (true). <c>Pooling</c></summary>
    public bool? Pooling
    {
        get => Flag(PoolingKeyword);
        set => this[PoolingKeyword] = value?.ToString();
    }

    /// <summary>How many connections of a data source may be open at once; null: 100. Takes effect in <see cref="DqliteDatabaseOptions.ConnectionString"/>, not for a single connection. <c>Max Pool Size</c></summary>
    public int? MaxPoolSize
    {
        get => Value(MaxPoolSizeKeyword) is { } text ? ParseCount(MaxPoolSizeKeyword, text) : null;
        set => this[MaxPoolSizeKeyword] = value?.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>Whether foreign keys are enforced; null: as SQLite was built (the bundled one enforces them). <c>Foreign Keys</c></summary>
    public bool? ForeignKeys
    {
        get => Flag(ForeignKeysKeyword);
        set => this[ForeignKeysKeyword] = value?.ToString();
    }

    /// <summary>Whether triggers may fire themselves; null: as the data source says (false). <c>Recursive Triggers</c></summary>
    public bool? RecursiveTriggers
    {
        get => Flag(RecursiveTriggersKeyword);
        set => this[RecursiveTriggersKeyword] = value?.ToString();
    }

    /// <inheritdoc/>
    public override ICollection Keys => Keywords;

    /// <inheritdoc/>
    public override bool IsFixedSize => true;

    /// <inheritdoc/>
    [AllowNull]
    public override object this[string keyword]
    {
        get => Value(Canonical(keyword)) ?? (object)string.Empty;
        set
        {
            var canonical = Canonical(keyword);
            var text = Convert.ToString(value, CultureInfo.InvariantCulture);
            if (string.IsNullOrEmpty(text))
            {
                base.Remove(canonical);
                return;
            }

            Validate(canonical, text);
            base[canonical] = text;
        }
    }

    /// <inheritdoc/>
    public override bool ContainsKey(string keyword) => TryCanonical(keyword, out _);

    /// <inheritdoc/>
    public override bool ShouldSerialize(string keyword) => TryCanonical(keyword, out var canonical) && base.ShouldSerialize(canonical);

    /// <inheritdoc/>
    public override bool Remove(string keyword) => TryCanonical(keyword, out var canonical) && base.Remove(canonical);

    /// <inheritdoc/>
    public override bool TryGetValue(string keyword, [NotNullWhen(true)] out object? value)
    {
        if (TryCanonical(keyword, out var canonical))
        {
            value = Value(canonical) ?? string.Empty;
            return true;
        }

        value = null;
        return false;
    }

    private static bool TryCanonical(string keyword, [NotNullWhen(true)] out string? canonical)
    {
        ArgumentNullException.ThrowIfNull(keyword);
        canonical = Array.Find(Keywords, known => known.Equals(keyword, StringComparison.OrdinalIgnoreCase));
        return canonical is not null || Synonyms.TryGetValue(keyword, out canonical);
    }

    private static string Canonical(string keyword) => TryCanonical(keyword, out var canonical)
        ? canonical
        : throw new ArgumentException($"Connection string keyword '{keyword}' is not supported. Known are: {string.Join(", ", Keywords)}.", nameof(keyword));

    private static void Validate(string keyword, string text)
    {
        switch (keyword)
        {
            case ConsistencyKeyword:
                ParseConsistency(text);
                break;
            case MaxStalenessKeyword:
                ParseStaleness(text);
                break;
            case DefaultTimeoutKeyword or MaxPoolSizeKeyword:
                ParseCount(keyword, text);
                break;
            case PoolingKeyword or ForeignKeysKeyword or RecursiveTriggersKeyword:
                ParseFlag(keyword, text);
                break;
        }
    }

    private static ReadConsistency ParseConsistency(string text) => Enum.TryParse<ReadConsistency>(text, ignoreCase: true, out var level) && Enum.IsDefined(level)
        ? level
        : throw Invalid(ConsistencyKeyword, text, "one of Linearizable, Session, Local, Bounded");

    private static TimeSpan ParseStaleness(string text)
    {
        // A bare number is a number of seconds: TimeSpan.Parse would take it for days.
        if (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds))
        {
            return TimeSpan.FromSeconds(seconds);
        }

        return TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var span) && span >= TimeSpan.Zero
            ? span
            : throw Invalid(MaxStalenessKeyword, text, "a time such as 00:00:05, or a number of seconds");
    }

    private static int ParseCount(string keyword, string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count)
        ? count
        : throw Invalid(keyword, text, "a number that is not negative");

    private static bool ParseFlag(string keyword, string text) => text.ToUpperInvariant() switch
    {
        "TRUE" or "YES" or "ON" or "1" => true,
        "FALSE" or "NO" or "OFF" or "0" => false,
        _ => throw Invalid(keyword, text, "True or False"),
    };

    private static ArgumentException Invalid(string keyword, string text, string expected) =>
        new($"Connection string keyword '{keyword}' has the value '{text}'; expected {expected}.");

    private string? Value(string keyword) => base.TryGetValue(keyword, out var value) ? (string)value : null;

    private string Text(string keyword) => Value(keyword) ?? string.Empty;

    private bool? Flag(string keyword) => Value(keyword) is { } text ? ParseFlag(keyword, text) : null;
}
