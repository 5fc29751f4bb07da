using Dqlite.Net.Transport;
using Microsoft.Extensions.Logging;

namespace Dqlite.Net;

/// <summary>Settings of a node. Only <see cref="DataDirectory"/> is needed for a cluster of one.</summary>
public sealed record DqliteNodeOptions
{
    /// <summary>Directory that this node alone owns; created when absent. Local disk, never a shared volume.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>Where its peers reach this node, as host:port, and where it listens unless <see cref="ListenAddress"/> says otherwise.
    /// Empty: a cluster of one that listens nowhere. The address is part of the membership and stored; a restart may leave it empty.
    /// Port 0 lets the system choose.</summary>
    public string Address { get; init; } = "";

    /// <summary>Where this node listens, as host:port, when its peers reach it elsewhere: behind a port mapping, NAT or a proxy. Empty: at <see cref="Address"/>.
    /// 0.0.0.0 is every IPv4 address of the machine, [::] every address, IPv4 included; both need <see cref="AllowInsecureNonLoopback"/>.
    /// The port must be given. Nobody else sees it and it is not stored: give it at every start.</summary>
    public string ListenAddress { get; init; } = "";

    /// <summary>The members that found a new cluster, as host:port, the same list on each of them; ignored once the node belongs to a cluster.</summary>
    public IReadOnlyList<string> Members { get; init; } = [];

    /// <summary>Address of any member of a running cluster that a blank node joins.</summary>
    public string Join { get; init; } = "";

    /// <summary>Whether a joining node becomes a voter once it has caught up.</summary>
    public bool JoinAsVoter { get; init; } = true;

    /// <summary>Allows peers on addresses that are not loopback although nothing encrypts or authenticates the traffic yet.</summary>
    public bool AllowInsecureNonLoopback { get; init; }

    /// <summary>Receives the node's log.</summary>
    public ILoggerFactory? LoggerFactory { get; init; }

    /// <summary>Length of a tick, the unit of the election settings. A busy node wakes that often; an idle one with the heartbeats.</summary>
    public TimeSpan TickInterval { get; init; } = TimeSpan.FromMilliseconds(25);

    /// <summary>Minimum time without a leader before an election; the actual one is random in [this, 2 x this).</summary>
    public TimeSpan ElectionTimeout { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Interval of the leader's heartbeats.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Length of the leader lease, which lets the leader serve linearizable reads without asking; zero turns it off.</summary>
    public TimeSpan LeaseDuration { get; init; } = TimeSpan.FromMilliseconds(60);

    /// <summary>Bytes of pages that one transaction may change; a larger one fails without effect. A large one needs as much room in a temporary file
    /// beside the database, and in the log, but not in memory.</summary>
    public long MaxTransactionBytes { get; init; } = 1L << 30;

    /// <summary>Bytes of drafts that may wait for their commit; beyond, new writers wait. A single transaction may be larger.</summary>
    public long MaxUndecidedBytes { get; init; } = 128L << 20;

    /// <summary>Bytes of old page versions that readers may hold; beyond, the oldest readers get "snapshot gone".</summary>
    public long MaxVersionBytes { get; init; } = 256L << 20;

    /// <summary>How long an open write transaction may keep others waiting before it is revoked.</summary>
    public TimeSpan MaxWriteTransactionHold { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a plain connection waits for the right to write.</summary>
    public TimeSpan PlainWriterTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a plain connection's commit waits for the quorum before its outcome is reported as unknown.</summary>
    public TimeSpan PlainCommitTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Entries of one database that may be on their way to a quorum; drafts that wait meanwhile share the next entry.</summary>
    public int MaxPipelinedEntries { get; init; } = 2;

    /// <summary>Bytes of pages and changes in one entry: larger drafts are cut into parts. With its header an entry stays below 85,000 bytes, where .NET's
    /// large object heap begins, which keeps what it once took. Simulated nodes take less, so that small transactions have parts, too.</summary>
    internal int MaxEntryBytes { get; init; } = 64 << 10;

    /// <summary>Page bytes of the drafts that are coalesced, and of the parts that are on their way.</summary>
    internal int MaxBatchBytes { get; init; } = 4 << 20;

    /// <summary>See <see cref="Dqlite.Sqlite.PageDatabaseOptions.SpillBytes"/>.</summary>
    internal long SpillBytes { get; init; } = 16L << 20;

    /// <summary>Payload bytes of one message of entries to a follower, at least one entry. Simulated nodes take less: what goes wrong between
    /// two messages is rare when one holds everything.</summary>
    internal int MaxAppendBytes { get; init; } = 64 << 10;

    /// <summary>Size of a log segment.</summary>
    public long SegmentBytes { get; init; } = 16L << 20;

    /// <summary>Log bytes that start a checkpoint.</summary>
    public long CheckpointLogBytes { get; init; } = 8L << 20;

    /// <summary>Log bytes kept behind the checkpoint for followers that were away.</summary>
    public long RetainedLogBytes { get; init; } = 8L << 20;

    /// <summary>Recent log entries kept in memory.</summary>
    public long LogCacheBytes { get; init; } = 1L << 20;

    /// <summary>Throws for a setting that cannot work.</summary>
    internal void Validate()
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(DataDirectory);
        Require(TickInterval >= TimeSpan.FromMilliseconds(1), nameof(TickInterval), "must be at least 1 ms");
        Require(HeartbeatInterval >= TickInterval, nameof(HeartbeatInterval), "must be at least one tick");
        Require(ElectionTimeout >= HeartbeatInterval * 3, nameof(ElectionTimeout), "must be at least three heartbeats");
        Require(LeaseDuration >= TimeSpan.Zero && LeaseDuration * 1.2 < ElectionTimeout, nameof(LeaseDuration), "must be shorter than the election timeout less the clock drift");
        Require(MaxTransactionBytes >= 1 << 16, nameof(MaxTransactionBytes), "must be at least 64 KiB");
        Require(MaxUndecidedBytes >= 1 << 16, nameof(MaxUndecidedBytes), "must be at least 64 KiB");
        Require(MaxVersionBytes >= 1 << 16, nameof(MaxVersionBytes), "must be at least 64 KiB");
        Require(CheckpointLogBytes > 0, nameof(CheckpointLogBytes), "must be positive");
        Require(RetainedLogBytes >= 0, nameof(RetainedLogBytes), "must not be negative");
        Require(LogCacheBytes > 0, nameof(LogCacheBytes), "must be positive");
        Require(MaxWriteTransactionHold > TimeSpan.Zero, nameof(MaxWriteTransactionHold), "must be positive");
        Require(PlainWriterTimeout > TimeSpan.Zero, nameof(PlainWriterTimeout), "must be positive");
        Require(PlainCommitTimeout > TimeSpan.Zero, nameof(PlainCommitTimeout), "must be positive");
        Require(MaxPipelinedEntries >= 1, nameof(MaxPipelinedEntries), "must be at least 1");
        Require(SegmentBytes >= 1 << 16, nameof(SegmentBytes), "must be at least 64 KiB");
        ValidateAddresses();
        Require(Join.Length == 0 || Address.Length > 0, nameof(Join), "needs an Address that the members can reach this node at");
        if (Members.Count > 1 || (Members.Count == 1 && Address.Length > 0))
        {
            Require(Members.Contains(Address, StringComparer.Ordinal), nameof(Members), $"must contain the node's own Address '{Address}'");
            Require(Members.Distinct(StringComparer.Ordinal).Count() == Members.Count, nameof(Members), "has an address twice");
            Require(Members.Count <= 99, nameof(Members), "has more than 99 members");
        }
    }

    /// <summary>Whether an address belongs to <see cref="ListenAddress"/> shows only once it is known whether the directory has one.</summary>
    private void ValidateAddresses()
    {
        RequireAddress(Address, nameof(Address));
        RequireAddress(ListenAddress, nameof(ListenAddress));
        if (Address.Length > 0)
        {
            var reached = PeerAddress.Parse(Address);
            Require(!reached.IsWildcard, nameof(Address), $"'{Address}' is no address that peers can dial: give the one that they reach this node at, and set {nameof(ListenAddress)} to this one");
            Require(reached.Port > 0 || ListenAddress.Length == 0, nameof(Address), $"'{Address}' has no port, which the system chooses only for a node without {nameof(ListenAddress)}");
        }

        Require(ListenAddress.Length == 0 || PeerAddress.Parse(ListenAddress).Port > 0, nameof(ListenAddress), $"'{ListenAddress}' has no port: whatever forwards to it must know one");
    }

    private static void RequireAddress(string address, string name) =>
        Require(address.Length == 0 || PeerAddress.IsValid(address), name, $"'{address}' is not an address: write host:port or [IPv6]:port, for example 127.0.0.1:9001");

    private static void Require(bool condition, string name, string problem)
    {
        if (!condition)
        {
            throw new ArgumentException($"{name} {problem}.", name);
        }
    }
}

/// <summary>Properties of a database, fixed when it is created.</summary>
public sealed record DqliteDatabaseOptions
{
    /// <summary>Page size in bytes, a power of two from 512 to 65536.</summary>
    public int PageSize { get; init; } = 4096;

    /// <summary>SQLite's auto_vacuum: 0 none, 1 full, 2 incremental.</summary>
    public int AutoVacuum { get; init; }

    /// <summary>Settings of this data source's connections, as a connection string without Data Source and Node: <c>Consistency=Session;Max Pool Size=20</c>.</summary>
    public string ConnectionString { get; init; } = "";

    /// <summary>Runs once for each new handle of the pool, on a connection that has it: functions and collations that it creates stay with the handle.</summary>
    public Action<DqliteConnection>? InitializeConnection { get; init; }

    /// <summary>False: opening a database that does not exist fails instead of creating it.</summary>
    public bool CreateIfMissing { get; init; } = true;
}

/// <summary>A database of the cluster.</summary>
/// <param name="Name">Its name.</param>
/// <param name="PageSize">Page size in bytes.</param>
/// <param name="PageCount">Size in pages, as this node has it.</param>
/// <param name="AppliedIndex">Log index of the last change that this node has applied to it.</param>
public sealed record DqliteDatabaseInfo(string Name, int PageSize, long PageCount, long AppliedIndex);
