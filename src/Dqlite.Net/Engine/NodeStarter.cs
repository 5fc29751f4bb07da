using System.Globalization;
using Dqlite.Net.Storage;
using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Sqlite;
using Microsoft.Extensions.Logging;

namespace Dqlite.Net.Engine;

/// <summary>
/// Brings one node from its directory to a running loop, and down again.
///
///   directory -> listen -> [blank: found or join] -> log -> core -> databases -> loop
/// </summary>
internal sealed class NodeStarter
{
    private static readonly TimeSpan JoinTimeout = TimeSpan.FromSeconds(30);

    private readonly NodeDirectory _directory;
    private readonly NodeServices _services;
    private readonly Inbox _inbox = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource<NodeContext> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TcpPeerTransport? _transport;
    private NodeTransportEvents? _events;
    private Task _background = Task.CompletedTask;
    private Exception? _failure;

    public NodeStarter(DqliteNodeOptions options)
    {
        Options = options;
        Address = options.Address;
        Logger = GuardedLogger.Create(options.LoggerFactory, "Dqlite.Net.Node");
        Log = new NodeLog(Logger);
        _services = new NodeServices(RealFileSystem.Instance, ShimPageStores.Instance, new NodeThreads(Clock), Clock, Log);
        _directory = new NodeDirectory(options, _services.Files);
    }

    /// <summary>The loop is about to start.</summary>
    public event Action<NodeContext>? Attached;

    public DqliteNodeOptions Options { get; }

    public NodeLog Log { get; }

    /// <summary>Where peers reach the node: what is stored, listed and told. It listens there unless the options say otherwise.</summary>
    public string Address { get; private set; }

    public string Incarnation { get; private set; } = "";

    public NodeRuntime? Runtime { get; private set; }

    /// <summary>Completes when the node belongs to a cluster and runs.</summary>
    public Task<NodeContext> Ready => _ready.Task;

    /// <summary>Why the node stopped by itself.</summary>
    public Exception? Failure => Runtime?.Node.Failure ?? _failure;

    private ILogger Logger { get; }

    private static long Clock() => MonotonicClock.NowNs;

    /// <summary>See <see cref="DqliteNode.StartAsync"/>.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            await Task.Run(OpenDirectory, cancellationToken).ConfigureAwait(false);
            if (_directory.IsMember)
            {
                Run();
            }
            else
            {
                await BeginMembershipAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception exception)
        {
            _ready.TrySetException(exception);
            _ = _ready.Task.Exception;
            await StopAsync(abruptly: true).ConfigureAwait(false);
            if (Translate(exception) is { } translated)
            {
                throw translated;
            }

            throw;
        }
    }

    /// <summary>Ends whatever has been started. Idempotent.</summary>
    public async Task StopAsync(bool abruptly)
    {
        ShimRuntime.Message -= Log.VfsMessage;
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _background.ConfigureAwait(false);
        _ready.TrySetException(DqliteErrors.Stopped(Failure));
        _ = _ready.Task.Exception;
        if (Runtime is { } runtime)
        {
            if (abruptly)
            {
                runtime.Abort();
            }
            else
            {
                runtime.Stop();
            }

        }
        else
        {
            _transport?.Dispose();
        }

        try
        {
            await (Runtime?.Stopped ?? Task.CompletedTask).ConfigureAwait(false);
        }
        catch (Exception exception) when (Failure is not null || abruptly)
        {
            // Whatever else goes wrong in a node that failed or was killed is a consequence; Failure holds the cause.
            Log.EndFailed(exception);
        }
        catch (Exception exception) when (Translate(exception) is { } translated)
        {
            throw translated;
        }
        finally
        {
            _directory.Dispose();
        }
    }

    /// <summary>The errors of a start or a stop that a user can do something about, as the library's exception.</summary>
    private static DqliteException? Translate(Exception exception) => exception switch
    {
        StorageDamagedException or DatabaseDamagedException or InvalidDataException => new DqliteException(exception.Message, 11, false, null, exception),
        ShimException shim => new DqliteException(shim.Message, shim.ResultCode, false, null, shim),
        DirectoryInUseException => new DqliteException(exception.Message, 5, false, null, exception),
        TransportConfigurationException => new DqliteException(exception.Message, 14, false, null, exception),
        LogFullException => new DqliteException(exception.Message, ShimResult.Full, false, null, exception),
        DurableIOException or StorageFailedException => new DqliteException(exception.Message, 10, false, null, exception),
        RaftInvariantException => new DqliteException(exception.Message, 11, false, null, exception),
        _ => null,
    };

    private void OpenDirectory()
    {
        ShimRuntime.EnsureInitialized();
        ShimRuntime.Message += Log.VfsMessage;
        _directory.Open(SystemRandom.NewId);
        Incarnation = _directory.Identity.Incarnation;
        if (_directory.IsMember)
        {
            TakeStoredAddress(_directory.StoredAddress);
        }

        if (Address.Length > 0)
        {
            Listen();
        }
        else if (Options.ListenAddress.Length > 0)
        {
            throw new ArgumentException(
                $"{nameof(Options.ListenAddress)} needs an {nameof(Options.Address)} that the other members reach this node at; the data directory has none stored.", nameof(Options.ListenAddress));
        }
    }

    private void TakeStoredAddress(string stored)
    {
        if (Address.Length == 0)
        {
            Address = stored;
        }
        else if (stored.Length > 0 && stored != Address)
        {
            throw new ArgumentException(
                $"This node is a member of its cluster at {stored}, not at {Address}: leave Address empty or give the stored one. To move a node, remove it and join it again.");
        }
    }

    private void Listen()
    {
        var transportOptions = new TransportOptions
        {
            ListenAddress = Options.ListenAddress.Length > 0 ? Options.ListenAddress : Address,
            AllowInsecureNonLoopback = Options.AllowInsecureNonLoopback,
            MaxMessageBytes = 32 << 20,
            Logger = GuardedLogger.Create(Options.LoggerFactory, "Dqlite.Net.Transport"),
        };
        _transport = new TcpPeerTransport(transportOptions, IdentityOf(_directory.Identity));
        _events = new NodeTransportEvents(Incarnation, Options.Members);
        _transport.Start(_events);
        var given = PeerAddress.Parse(Address);
        if (given.Port == 0)
        {
            // Only the port: a name stays the name that the other members list and dial, whatever it means on this machine.
            Address = (given with { Port = PeerAddress.Parse(_transport.BoundAddress).Port }).ToString();
        }
    }

    private Hello IdentityOf(NodeIdentity identity) =>
        new(identity.ClusterId == NodeIdentity.NoCluster ? "" : identity.ClusterId, identity.NodeId, identity.Incarnation, Address);

    private async Task BeginMembershipAsync(CancellationToken cancellationToken)
    {
        var bootstrap = new Bootstrap(Options, Address, Incarnation);
        if (Options.Join.Length > 0)
        {
            var joined = await bootstrap.JoinAsync(JoinTimeout, cancellationToken).ConfigureAwait(false);
            Log.Joined(joined.ClusterId, joined.NodeId.Value);
            Become(joined);
            if (Options.JoinAsVoter)
            {
                _background = PromoteAsync(_stopping.Token);
            }

            return;
        }

        if (Options.Members.Count <= 1)
        {
            Become(bootstrap.FoundAlone());
            return;
        }

        // The first round finds most of what forbids this node to take part; the rest goes on behind, so that the others can be started.
        if (await bootstrap.TryFoundAsync(cancellationToken).ConfigureAwait(false) is { } founding)
        {
            Become(founding);
        }
        else
        {
            _background = FoundAsync(bootstrap, _stopping.Token);
        }
    }

    private async Task FoundAsync(Bootstrap bootstrap, CancellationToken cancellationToken)
    {
        try
        {
            Become(await bootstrap.FoundAsync(cancellationToken).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The node is stopped while it is still blank.
        }
#pragma warning disable CA1031 // Nobody awaits this task but StopAsync: the error goes to everybody who waits for the node to be ready.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            _failure = exception;
            Log.Failed(0, exception.Message, exception);
            _ready.TrySetException(exception);
            _ = _ready.Task.Exception;
        }
    }

    /// <summary>The leader promotes a member that has caught up; until then it answers "not yet".</summary>
    private async Task PromoteAsync(CancellationToken cancellationToken)
    {
        var node = Runtime!.Node;
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await node.Requests.AskAsync(new LeaderRequest(LeaderOperation.Promote, NodeId: node.Core.Id.Value), JoinTimeout, cancellationToken).ConfigureAwait(false);
                return;
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (DqliteException exception) when (exception.IsTransient && node.Failure is null)
            {
                Log.PromotionWaits(exception.Message);
            }
            catch (DqliteException exception)
            {
                Log.PromotionRefused(exception.Message);
                return;
            }
        }
    }

    private void Become(Founding founding)
    {
        _directory.Become(founding, Address);
        Log.Founded(founding.ClusterId, founding.Configuration.Members.Count);
        Run();
    }

    private void Run()
    {
        var parts = _directory.CreateParts(_services, _transport, _inbox);
        _transport?.SetIdentity(IdentityOf(_directory.Identity));
        var runtime = new NodeRuntime(parts);
        Runtime = runtime;
        Attached?.Invoke(runtime.Node);
        _events?.Attach(runtime.Node);
        Log.Started(_directory.Identity.NodeId.Value, _directory.Identity.ClusterId, Address, parts.Core.FirstIndex.Value, parts.Core.LastIndex.Value, parts.LogBase.Index.Value);
        runtime.Start();
        _ready.TrySetResult(runtime.Node);
    }
}
