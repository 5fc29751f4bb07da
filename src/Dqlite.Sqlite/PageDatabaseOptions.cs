namespace Dqlite.Sqlite;

/// <summary>How to open a <see cref="PageDatabase"/> (dq_db_config).</summary>
public sealed record PageDatabaseOptions
{
    /// <summary>Absolute path of the database file; what connections open with <c>Vfs=dqlite</c>.</summary>
    public required string Path { get; init; }

    /// <summary>Absolute path of the file with the page checksums.</summary>
    public required string SumsPath { get; init; }

    /// <summary>Page size in bytes; must match the file.</summary>
    public required int PageSize { get; init; }

    /// <summary>Pages at the last finished checkpoint; the file may be longer after a crash.</summary>
    public required uint PageCount { get; init; }

    /// <summary>Checksum of the database at the last finished checkpoint.</summary>
    public ulong Checksum { get; init; }

    /// <summary>Bound of the pages of one transaction, in bytes.</summary>
    public long MaxTransactionBytes { get; init; } = 256L << 20;

    /// <summary>Bound of the drafts that Raft has not committed; beyond it nobody gets the writer slot.</summary>
    public long MaxUndecidedBytes { get; init; } = 64L << 20;

    /// <summary>Bound of the page versions that are held for readers alone; beyond it the oldest are revoked.</summary>
    public long MaxVersionBytes { get; init; } = 256L << 20;

    /// <summary>Bytes of page images in memory; beyond it those of large transactions (an eighth of it) lie in a temporary file beside the
    /// database. 0: never.</summary>
    public long SpillBytes { get; init; } = 16L << 20;

    /// <summary>How long a plain connection waits for the writer slot.</summary>
    public TimeSpan SlotTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a plain connection waits at its commit point.</summary>
    public TimeSpan CommitTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long an open write transaction may hold the slot while others wait.</summary>
    public TimeSpan SlotHold { get; init; } = TimeSpan.FromSeconds(10);
}
