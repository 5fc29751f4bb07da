using Dqlite.Net.Engine;
using Dqlite.Raft;

namespace Dqlite.Net;

/// <summary>The leader that a node knows of.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Address">Where its peers reach it; empty in a cluster of one that listens nowhere.</param>
/// <param name="Term">The Raft term that it leads.</param>
/// <param name="IsLocal">Whether it is the node that was asked.</param>
public sealed record DqliteLeader(long Id, string Address, long Term, bool IsLocal);

/// <summary>
/// One member of a cluster, inside the application's process: it owns a data directory, talks to its peers, and serves databases. Start one
/// per process and keep it until the process ends. All members are thread-safe.
/// </summary>
public sealed class DqliteNode : IAsyncDisposable
{
    private static readonly TimeSpan HandOverTimeout = TimeSpan.FromSeconds(2);

    /// <summary>A transfer is given up by the core after an election timeout.</summary>
    private const int MaxHandOverAttempts = 3;

    private readonly NodeStarter _starter;
    private readonly Lock _lock = new();
    private readonly List<LeaderWaiter> _waiters = [];
    private readonly Queue<DqliteLeader?> _announcements = new();
    private readonly Dictionary<(string Name, string Settings, Action<DqliteConnection>? Initialize), DqliteDataSource> _sources = [];
    private DqliteLeader? _leader;
    private bool _announcing;
    private bool _hasEnded;
    private Task? _stop;

    private DqliteNode(NodeStarter starter)
    {
        _starter = starter;
        Cluster = new DqliteCluster(this);
    }

    /// <summary>Raised when the leader that this node knows of changes; null when there is none. Handlers run one at a time, in order, on the thread pool.</summary>
    public event EventHandler<DqliteLeader?>? LeaderChanged;

    /// <summary>The number of this node, or 0 while it is blank (its cluster is not founded yet).</summary>
    public long Id => _starter.Runtime?.Node.Core.Id.Value ?? 0;

    /// <summary>Where its peers reach this node, with the port that the system chose; empty when it listens nowhere.</summary>
    public string Address => _starter.Address;

    /// <summary>Identity of the data directory: 32 hexadecimal digits, random, made with the directory.</summary>
    public string Incarnation => _starter.Incarnation;

    /// <summary>The data directory, absolute.</summary>
    public string DataDirectory => _starter.Options.DataDirectory;

    /// <summary>The leader that this node knows of, or null.</summary>
    public DqliteLeader? Leader => Volatile.Read(ref _leader);

    /// <summary>Whether this node leads and takes writes.</summary>
    public bool IsLeader => _starter.Runtime?.Node.CanWrite ?? false;

    /// <summary>Why the node stopped by itself (a failing disk, damage, a broken invariant), or null.</summary>
    public Exception? Failure => _starter.Failure;

    /// <summary>Highest log index that this node has applied.</summary>
    public long AppliedIndex => _starter.Runtime?.Node.AppliedIndex ?? 0;

    /// <summary>The membership.</summary>
    public DqliteCluster Cluster { get; }

    /// <summary>
    /// Starts a node. A node whose directory belongs to a cluster goes on there. A blank one joins (<see cref="DqliteNodeOptions.Join"/>), or
    /// founds a cluster with the others of <see cref="DqliteNodeOptions.Members"/> as soon as all of them have started - this method does not
    /// wait for them, so several may be started one after the other - or founds a cluster of one.
    /// </summary>
    /// <param name="options">The settings.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    /// <exception cref="ArgumentException">A setting cannot work.</exception>
    /// <exception cref="DqliteException">The directory is in use, something in it is damaged, the address is taken, or the cluster refuses this node; says what to do.</exception>
    public static async Task<DqliteNode> StartAsync(DqliteNodeOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        var starter = new NodeStarter(options with { DataDirectory = Path.GetFullPath(options.DataDirectory) });
        var node = new DqliteNode(starter);
        starter.Attached += context =>
        {
            context.StatusChanged += node.OnStatusChanged;
            context.Ended.ContinueWith(static (_, state) => ((DqliteNode)state!).OnEnded(), node, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        };
        await starter.StartAsync(cancellationToken).ConfigureAwait(false);
        return node;
    }

    /// <summary>Opens a database; creates it on every node when it does not exist. The result is shared: every call for one name and the same connection settings returns the same object.</summary>
    /// <param name="name">1 to 64 letters, digits, '_' or '-' (ASCII).</param>
    /// <param name="options">Page size and auto_vacuum of a database that is created; an existing one keeps its own.</param>
    /// <param name="cancellationToken">Abandons the wait.</param>
    /// <exception cref="ArgumentException">The name or an option is not allowed.</exception>
    /// <exception cref="DqliteException">It does not exist and may not be created, or (transient) no leader was found in time.</exception>
    public async Task<DqliteDataSource> OpenDatabaseAsync(string name, DqliteDatabaseOptions? options = null, CancellationToken cancellationToken = default)
    {
        DatabaseName.Validate(name);
        options ??= new DqliteDatabaseOptions();
        var settings = SettingsOf(options);
        if (options.PageSize is < 512 or > 65536 || !System.Numerics.BitOperations.IsPow2(options.PageSize))
        {
            throw new ArgumentException($"Page size {options.PageSize} is not a power of two from 512 to 65536.", nameof(options));
        }

        if (options.AutoVacuum is < 0 or > 2)
        {
            throw new ArgumentException($"auto_vacuum {options.AutoVacuum} is not 0, 1 or 2.", nameof(options));
        }

        var context = await ReadyAsync(cancellationToken).ConfigureAwait(false);
        if (context.Databases.FindPublished(name) is null)
        {
            await FindOrCreateAsync(context, name, options, cancellationToken).ConfigureAwait(false);
        }

        var database = context.Databases.FindPublished(name) ?? throw new DqliteException($"Database '{name}' was dropped.", 14, false, context.LeaderAddress);
        lock (_lock)
        {
            var key = (name, options.ConnectionString, options.InitializeConnection);
            if (_sources.TryGetValue(key, out var source) && ReferenceEquals(source.Engine, database))
            {
                return source;
            }

            // A source of a dropped database of that name: its connections answer an error already.
            source?.Dispose();
            _sources[key] = source = new DqliteDataSource(database, settings);
            Data.OpenDatabases.Add(DataDirectory, source);
            return source;
        }
    }

    /// <summary>The databases of the cluster, as the log has them at the call.</summary>
    /// <param name="cancellationToken">Abandons the wait.</param>
    /// <exception cref="DqliteException">Transient: no leader confirmed the read in time.</exception>
    public async Task<IReadOnlyList<DqliteDatabaseInfo>> ListDatabasesAsync(CancellationToken cancellationToken = default)
    {
        var context = await ReadyAsync(cancellationToken).ConfigureAwait(false);
        await context.BeginReadAsync(ReadConsistency.Linearizable, 0, TimeSpan.Zero).WaitAsync(cancellationToken).ConfigureAwait(false);
        var answer = new TaskCompletionSource<IReadOnlyList<DqliteDatabaseInfo>>(TaskCreationOptions.RunContinuationsAsynchronously);
        context.Call((_, _) => answer.TrySetResult(context.Databases.Published
            .Select(database => new DqliteDatabaseInfo(database.Name, database.Meta.PageSize, database.Pages.State.PageCount, database.AppliedIndex)).ToArray()));
        return await context.UntilEndedAsync(answer.Task).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Drops a database on every node. Connections to it get a clear error.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="cancellationToken">Abandons the wait; the drop may still happen.</param>
    /// <exception cref="DqliteException">There is none of that name, or (transient) no leader was found in time.</exception>
    public async Task DropDatabaseAsync(string name, CancellationToken cancellationToken = default)
    {
        DatabaseName.Validate(name);
        var context = await ReadyAsync(cancellationToken).ConfigureAwait(false);
        await context.BeginReadAsync(ReadConsistency.Linearizable, 0, TimeSpan.Zero).WaitAsync(cancellationToken).ConfigureAwait(false);
        var id = context.Databases.FindPublished(name)?.Id ?? throw new DqliteException($"There is no database named '{name}'.", 1, false, context.LeaderAddress);
        var reply = await context.Requests.AskAsync(new LeaderRequest(LeaderOperation.DropDatabase, name, NodeId: id), TimeSpan.FromSeconds(30), cancellationToken).ConfigureAwait(false);
        await context.Reads.WaitAppliedAsync(reply.Index).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Makes a replicated database of an existing SQLite file, which is only read: through SQLite, so that a hot WAL or journal counts. The
    /// database appears on all nodes at once, when everything has arrived. Only on the leader.
    /// </summary>
    /// <param name="name">Name of the new database.</param>
    /// <param name="path">The SQLite file.</param>
    /// <param name="cancellationToken">Ends the import; what has arrived is dropped.</param>
    /// <exception cref="DqliteException">The name exists, the file is not a database, or (transient) this node does not lead.</exception>
    public async Task<DqliteDataSource> ImportAsync(string name, string path, CancellationToken cancellationToken = default)
    {
        DatabaseName.Validate(name);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        var context = await ReadyAsync(cancellationToken).ConfigureAwait(false);
        await DatabaseImporter.ImportAsync(context, name, Path.GetFullPath(path), cancellationToken).ConfigureAwait(false);
        return await OpenDatabaseAsync(name, null, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Waits until this node knows a leader.</summary>
    /// <param name="cancellationToken">Abandons the wait.</param>
    /// <exception cref="DqliteException">The node has stopped.</exception>
    public Task<DqliteLeader> WaitForLeaderAsync(CancellationToken cancellationToken = default) => WaitForAsync(leader => !leader.IsLocal || IsLeader, cancellationToken);

    /// <summary>Stops the node: hands leadership over, flushes, checkpoints. Afterwards its database files are plain SQLite databases.</summary>
    /// <param name="cancellationToken">Shortens the hand-over; the node stops all the same.</param>
    /// <exception cref="DqliteException">The last checkpoint failed. The node has stopped, and the log has what the database file lacks.</exception>
    public Task StopAsync(CancellationToken cancellationToken = default)
    {
        lock (_lock)
        {
            return _stop ??= StopCoreAsync(cancellationToken);
        }
    }

    /// <summary>Stops the node as if its process had been killed: nothing is handed over, flushed or checkpointed, sockets are reset. For tests of what a crash does.</summary>
    public Task AbortAsync()
    {
        lock (_lock)
        {
            return _stop ??= EndAsync(abruptly: true);
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => new(StopAsync());

    internal async Task<NodeContext> ReadyAsync(CancellationToken cancellationToken)
    {
        var context = await _starter.Ready.WaitAsync(cancellationToken).ConfigureAwait(false);
        return context.Ended.IsCompleted ? throw context.StoppedError() : context;
    }

    internal Task<DqliteLeader> WaitForAsync(Predicate<DqliteLeader> condition, CancellationToken cancellationToken)
    {
        var waiter = new LeaderWaiter(condition, new TaskCompletionSource<DqliteLeader>(TaskCreationOptions.RunContinuationsAsynchronously));
        lock (_lock)
        {
            if (_hasEnded || _stop is not null || Failure is not null)
            {
                return Task.FromException<DqliteLeader>(DqliteErrors.Stopped(Failure));
            }

            if (_leader is { } leader && condition(leader))
            {
                return Task.FromResult(leader);
            }

            _waiters.Add(waiter);
        }

        return AwaitAsync(waiter, cancellationToken);
    }

    private static Data.ConnectionSettings SettingsOf(DqliteDatabaseOptions options)
    {
        var builder = new DqliteConnectionStringBuilder(options.ConnectionString);
        if (builder.DataSource.Length > 0 || builder.Node.Length > 0)
        {
            throw new ArgumentException("ConnectionString of the database options names no Data Source and no Node: both are known.", nameof(options));
        }

        return new Data.ConnectionSettings { HandleInitializer = options.InitializeConnection }.With(builder);
    }

    private static async Task FindOrCreateAsync(NodeContext context, string name, DqliteDatabaseOptions options, CancellationToken cancellationToken)
    {
        // What this node has applied may be old: it may exist at the leader.
        await context.BeginReadAsync(ReadConsistency.Linearizable, 0, TimeSpan.Zero).WaitAsync(cancellationToken).ConfigureAwait(false);
        if (context.Databases.FindPublished(name) is not null)
        {
            return;
        }

        if (!options.CreateIfMissing)
        {
            throw new DqliteException($"There is no database named '{name}'.", 14, false, context.LeaderAddress);
        }

        var request = new LeaderRequest(LeaderOperation.CreateDatabase, name, options.PageSize, options.AutoVacuum);
        var reply = await context.Requests.AskAsync(request, TimeSpan.FromSeconds(30), cancellationToken).ConfigureAwait(false);
        await context.Reads.WaitAppliedAsync(reply.Index).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task<DqliteLeader> AwaitAsync(LeaderWaiter waiter, CancellationToken cancellationToken)
    {
        try
        {
            return await waiter.Completion.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            lock (_lock)
            {
                _waiters.Remove(waiter);
            }
        }
    }

    private async Task StopCoreAsync(CancellationToken cancellationToken)
    {
        await Task.Yield();
        if (IsLeader && _starter.Runtime is { } runtime && runtime.Node.Status.Configuration.Voters.Count > 1)
        {
            await HandOverAsync(runtime.Node, cancellationToken).ConfigureAwait(false);
        }

        await EndAsync(abruptly: false).ConfigureAwait(false);
    }

    /// <summary>A transfer that does not work out must not keep the node from stopping: the others elect a leader by themselves.</summary>
    private static async Task HandOverAsync(NodeContext context, CancellationToken cancellationToken)
    {
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timer.CancelAfter(HandOverTimeout);
        try
        {
            for (var attempts = 0; attempts < MaxHandOverAttempts; attempts += await TryHandOverAsync(context, timer.Token).ConfigureAwait(false))
            {
                await Task.Delay(context.Options.TickInterval, timer.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // The time is up.
        }
        catch (DqliteException)
        {
            // The node failed meanwhile: nothing is left to hand over.
        }
    }

    /// <summary>One look: begins a transfer unless one is going on; 1 when it was begun, enough to end when there is nothing left to wait for.</summary>
    private static async Task<int> TryHandOverAsync(NodeContext context, CancellationToken cancellationToken)
    {
        var answer = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        context.Call((nowNs, outputs) => answer.TrySetResult(context.Core.Role switch
        {
            // Commits in flight learn their fate from the next leader; stopping before would make it unknown.
            not RaftRole.Leader => context.Databases.All.Any(database => database.HasUndecided) ? 0 : MaxHandOverAttempts,
            _ when context.Core.IsTransferInProgress => 0,
            _ => context.Core.TransferLeadership(NodeId.None, nowNs, outputs) == RefusalReason.None ? 1 : MaxHandOverAttempts,
        }));
        return await context.UntilEndedAsync(answer.Task).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task EndAsync(bool abruptly)
    {
        try
        {
            await _starter.StopAsync(abruptly).ConfigureAwait(false);
        }
        finally
        {
            OnEnded();
            List<DqliteDataSource> sources;
            lock (_lock)
            {
                sources = [.. _sources.Values];
            }

            foreach (var source in sources)
            {
                await source.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>The node has stopped, by a call or by itself: nobody waits for a leader any more.</summary>
    private void OnEnded()
    {
        List<LeaderWaiter> waiters;
        lock (_lock)
        {
            _hasEnded = true;
            waiters = [.. _waiters];
            SetLeader(null);
        }

        waiters.ForEach(waiter => waiter.Completion.TrySetException(DqliteErrors.Stopped(Failure)));
    }

    /// <summary>On the node's loop: must not run foreign code.</summary>
    private void OnStatusChanged(NodeStatus status)
    {
        var leader = status.Leader == NodeId.None ? null : new DqliteLeader(status.Leader.Value, status.LeaderAddress ?? "", status.Term.Value, status.Leader.Value == Id);
        lock (_lock)
        {
            SetLeader(leader);
            foreach (var waiter in _waiters)
            {
                if (leader is not null && waiter.Condition(leader))
                {
                    waiter.Completion.TrySetResult(leader);
                }
                else if (Failure is { } failure)
                {
                    waiter.Completion.TrySetException(DqliteErrors.Stopped(failure));
                }
            }

        }
    }

    /// <summary>Under the lock.</summary>
    private void SetLeader(DqliteLeader? leader)
    {
        if (leader == _leader)
        {
            return;
        }

        _leader = leader;
        _announcements.Enqueue(leader);
        if (!_announcing)
        {
            _announcing = true;
            ThreadPool.UnsafeQueueUserWorkItem(static node => node.Announce(), this, preferLocal: false);
        }
    }

    private void Announce()
    {
        while (true)
        {
            DqliteLeader? leader;
            lock (_lock)
            {
                if (!_announcements.TryDequeue(out leader))
                {
                    _announcing = false;
                    return;
                }
            }

            try
            {
                _starter.Runtime?.Node.Telemetry.OnLeaderChanged();
                LeaderChanged?.Invoke(this, leader);
            }
#pragma warning disable CA1031 // A handler of the application must not end the node's announcements; it is logged, once, here at the boundary.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                _starter.Log.HandlerFailed(exception);
            }
        }
    }

    private sealed record LeaderWaiter(Predicate<DqliteLeader> Condition, TaskCompletionSource<DqliteLeader> Completion);
}
