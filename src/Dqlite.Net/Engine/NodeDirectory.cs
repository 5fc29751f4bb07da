using System.Globalization;
using Dqlite.Net.Storage;
using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>
/// The data directory of one node, from the lock to what a runtime is put together from. Synchronous, over a file system that a simulator may
/// replace.
///
///   lock -> metadata -> unfinished install -> [blank: become a member] -> log -> core
/// </summary>
internal sealed class NodeDirectory : IDisposable
{
    private readonly DqliteNodeOptions _options;
    private readonly IFileSystem _files;
    private NodeLock? _lock;
    private MetadataFile? _metadata;

    public NodeDirectory(DqliteNodeOptions options, IFileSystem files)
    {
        _options = options;
        _files = files;
    }

    /// <summary>Whether the node belongs to a cluster.</summary>
    public bool IsMember => Metadata.Identity.ClusterId != NodeIdentity.NoCluster;

    /// <summary>Cluster, node and incarnation.</summary>
    public NodeIdentity Identity => Metadata.Identity;

    /// <summary>The address that a member's directory holds; empty for none.</summary>
    public string StoredAddress => ReadLogBase().OwnAddress;

    private MetadataFile Metadata => _metadata ?? throw new InvalidOperationException("The directory is not open.");

    private string DatabaseDirectory => Path.Combine(_options.DataDirectory, NodeFiles.DatabaseDirectoryName);

    private string LogBasePath => Path.Combine(_options.DataDirectory, LogBaseFile.FileName);

    private string LogDirectory => Path.Combine(_options.DataDirectory, NodeFiles.LogDirectoryName);

    /// <summary>Locks the directory, reads or creates its metadata, and ends an installation that a crash interrupted.</summary>
    /// <param name="newIncarnation">Identifies a directory that is blank: 32 hexadecimal digits, never used before.</param>
    /// <exception cref="StorageDamagedException">Something that must be there is missing or damaged.</exception>
    /// <exception cref="DirectoryInUseException">Another node has it.</exception>
    public void Open(Func<string> newIncarnation)
    {
        _files.CreateDurableDirectory(_options.DataDirectory);
        _lock = NodeLock.Acquire(_files, _options.DataDirectory);
        var metadataPath = Path.Combine(_options.DataDirectory, MetadataFile.FileName);
        if (MetadataFile.Exists(_files, metadataPath))
        {
            _metadata = MetadataFile.Open(_files, metadataPath);
        }
        else
        {
            RefuseStrayData();
            _metadata = MetadataFile.Create(_files, metadataPath, new NodeIdentity(NodeId.None, NodeIdentity.NoCluster, newIncarnation()));
            _files.SyncDirectory(_options.DataDirectory);
        }

        if (!IsMember)
        {
            // An earlier start may have been killed between the creation and this: a member's directory must not vanish with the power.
            _files.SyncDirectory(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(_options.DataDirectory)))!);
        }

        InstallFiles.Recover(_files, _options.DataDirectory, DatabaseDirectory, () => StoredAddress, ReplaceLog);
    }

    /// <summary>Writes what makes this node a member, the metadata last: only it says so.</summary>
    public void Become(Founding founding, string address)
    {
        LogBaseFile.Write(_files, LogBasePath, new LogBase
        {
            Index = LogIndex.Zero,
            Term = Term.Zero,
            Configuration = founding.Configuration,
            ConfigurationIndex = LogIndex.Zero,
            TermStarts = [],
            OwnAddress = address,
        });
        using (SegmentedLog.Open(_files, LogDirectory, LogOptions(mustExist: false), LogIndex.Zero, Term.Zero))
        {
            // Created before the metadata, so that a missing log is damage from now on.
        }

        Metadata.Write(Identity with { ClusterId = founding.ClusterId, NodeId = founding.NodeId });
        _files.SyncDirectory(_options.DataDirectory);
    }

    /// <summary>Opens the log and puts a member together, to be run.</summary>
    public NodeParts CreateParts(NodeServices services, IPeerTransport? transport, Inbox inbox)
    {
        var logBase = ReadLogBase();
        var log = SegmentedLog.Open(_files, LogDirectory, LogOptions(mustExist: true), logBase.Index, logBase.Term);
        try
        {
            var core = new RaftCore(RaftOptionsOf(services.Clock()), InitialStateOf(logBase, log));
            return new NodeParts(_options, services, Metadata, logBase, log, core, transport, inbox);
        }
        catch
        {
            log.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _metadata?.Dispose();
        _lock?.Dispose();
    }

    private LogBase ReadLogBase() => LogBaseFile.Read(_files, LogBasePath)
        ?? throw new StorageDamagedException(LogBasePath, "it is missing although this node is a member of a cluster");

    /// <summary>Without its metadata a directory with a log or databases is not blank: its votes are forgotten.</summary>
    private void RefuseStrayData()
    {
        if (_files.Exists(LogDirectory) || _files.Exists(DatabaseDirectory) || _files.Exists(LogBasePath))
        {
            throw new StorageDamagedException(Path.Combine(_options.DataDirectory, MetadataFile.FileName), "it is missing although the directory holds a log or databases");
        }
    }

    private void ReplaceLog(LogBase logBase)
    {
        LogBaseFile.Write(_files, LogBasePath, logBase);
        using var log = SegmentedLog.Open(_files, LogDirectory, LogOptions(mustExist: false), logBase.Index, logBase.Term);
        log.Reset(logBase.Index, logBase.Term);
    }

    private SegmentedLogOptions LogOptions(bool mustExist) => new() { SegmentSizeBytes = _options.SegmentBytes, MustExist = mustExist };

    private RaftInitialState InitialStateOf(LogBase logBase, SegmentedLog log)
    {
        var committed = DatabaseSet.HighestTarget(_files, DatabaseDirectory);
        if (committed > log.LastIndex)
        {
            throw new StorageDamagedException(LogDirectory, $"the log ends at index {log.LastIndex}, but a database was checkpointed up to index {committed}");
        }

        return new RaftInitialState
        {
            HardState = Metadata.HardState,
            Configuration = logBase.Configuration,
            ConfigurationIndex = logBase.ConfigurationIndex,
            FirstIndex = logBase.Index.Next,
            PreviousTerm = logBase.Term,
            Entries = log.EntryInfos(),
            ConfigurationEntries = log.ConfigurationEntries().Select(entry => (entry.Index, ConfigurationCodec.Decode(entry.Payload.Span))).ToArray(),
            TermStarts = logBase.TermStarts,
            CommitIndex = committed > logBase.Index ? committed : logBase.Index,
        };
    }

    private RaftOptions RaftOptionsOf(long nowNs)
    {
        int Ticks(TimeSpan time) => Math.Max(1, (int)Math.Round(time / _options.TickInterval));

        return new RaftOptions
        {
            Id = Identity.NodeId,
            ElectionTimeoutTicks = Ticks(_options.ElectionTimeout),
            HeartbeatTicks = Ticks(_options.HeartbeatInterval),
            LeaseNs = (long)_options.LeaseDuration.TotalNanoseconds,
            MaxAppendBytes = _options.MaxAppendBytes,
            DefersCommit = true,
            Seed = ulong.Parse(Identity.Incarnation.AsSpan(0, 16), NumberStyles.HexNumber, CultureInfo.InvariantCulture) ^ (ulong)nowNs,
        };
    }
}

/// <summary>What a node uses of the outside.</summary>
/// <param name="Files">Where its directory is.</param>
/// <param name="PageStores">What its databases are made of.</param>
/// <param name="Threads">Where its work is done.</param>
/// <param name="Clock">Monotonic time in nanoseconds; goes on while the process is stopped. Any thread.</param>
/// <param name="Log">Where it says what happens.</param>
/// <param name="Observer">Watches the core, or null.</param>
internal sealed record NodeServices(IFileSystem Files, Dqlite.Sqlite.IPageStoreFactory PageStores, INodeThreads Threads, Func<long> Clock, NodeLog Log,
    ICoreObserver? Observer = null);
